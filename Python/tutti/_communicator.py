"""Communicators: joining, the calls that are made to their end, and what else a membership can do."""

from __future__ import annotations

import ctypes
import os
import socket
import weakref
from types import TracebackType
from typing import Any, Optional, Union

from ._arguments import integer, nanoseconds
from ._calls import call_options
from ._collectives import Collectives
from ._enums import Bits, Transport
from ._errors import TuttiError, check
from ._library import Call, WorkHandle, library
from ._memory import Memory, memory_of
from ._options import join_options, publish_secret
from ._registration import Registration
from ._store import Store, StoreUse
from ._work import Work

# What stands for any rank in a receive with a tag.
ANY_RANK = -1
_NO_COLOR = -(1 << 63)


class Started(Collectives[Work]):
    """The calls of a communicator, started: each returns at once with a `Work`. Had as `communicator.start`.

    Opening links takes time all the same, and with `checks_strictly` a start waits until all ranks have made it.
    """

    def __init__(self, owner: Communicator):
        self._owner = owner

    @property
    def rank(self) -> int:
        """This rank's number, from 0 to the rank count - 1."""
        return self._owner.rank

    @property
    def rank_count(self) -> int:
        """The number of ranks."""
        return self._owner.rank_count

    def _run(self, function: str, arguments: tuple, memory: object, options: Optional[Call]) -> Work:
        handle = WorkHandle()
        check(getattr(library, function)(self._owner._handle, *arguments, options, handle))
        return Work(handle, memory, self._owner)

    def receive(self, data: Any, source: int, *, tag: Optional[int] = None, timeout: Optional[float] = None) -> Work:
        """Starts `Communicator.receive`. With a tag, the work's `source` is the rank that the message was from."""
        handle, sender = WorkHandle(), ctypes.c_int(-1)
        memory = self._owner._receive(data, source, tag, timeout, sender, handle)
        return Work(handle, memory, self._owner, sender if tag is not None else None)


class Communicator(Collectives[None]):
    """A rank's membership of a group of ranks. Made by `join`, `in_process`, `split` and `duplicate`.

    Its calls return when they have ended on this rank; those of `start` start them. It may be used from any thread, and
    other threads run meanwhile. Close it, or use it as a context manager.
    """

    def __init__(self, handle: ctypes.c_void_p):
        """Takes a handle of the library; programs call `join`."""
        self._handle = handle
        rank, rank_count = ctypes.c_int(), ctypes.c_int()
        check(library.tutti_comm_rank(handle, rank))
        check(library.tutti_comm_rank_count(handle, rank_count))
        self._rank, self._rank_count = rank.value, rank_count.value
        # What the library has for it goes with the last that uses it; started operations do.
        weakref.finalize(self, library.tutti_comm_free, handle).atexit = False

    # MARK: Joining

    @classmethod
    def join(
        cls,
        rank: Optional[int] = None,
        rank_count: Optional[int] = None,
        address: Optional[str] = None,
        *,
        listener: Optional[socket.socket] = None,
        transport: Union[Transport, str] = Transport.AUTO,
        secret: Union[bytes, str, None] = None,
        timeout: Optional[float] = None,
        join_timeout: Optional[float] = None,
        checks_strictly: bool = False,
        topology: Union[str, os.PathLike, None] = None,
        bits: Union[Bits, str] = Bits.ENVIRONMENT,
        tuning: Union[str, os.PathLike, None] = None,
        tls: bool = False,
    ) -> Communicator:
        """Joins the other ranks of the job, and returns when all of them have.

        Without arguments, who this process is comes from the environment: TUTTI_RANK, TUTTI_SIZE, TUTTI_RENDEZVOUS, or
        the variables of a launcher, such as RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT (docs/LAUNCHING.md).

        - rank, rank_count, address: all of them, or none. The address is where rank 0 listens: "host:port",
          "[IPv6]:port", or "unix:@name" for ranks of one host.
        - listener: on rank 0, a socket that listens there already. It is taken from the caller.
        - transport: "auto", "shm", "tcp" or "rdma"; one that cannot be used is an error.
        - secret: what every connection proves to know, the same on all ranks; None for the environment's (TUTTI_SECRET).
        - timeout: the limit in seconds of calls that set none; None for 300.
        - join_timeout: the limit of joining in seconds; None for TUTTI_TIMEOUT, or 60 and an eighth for each rank.
        - checks_strictly: all ranks agree on each call before it begins, at the cost of a small all-reduce a call.
        - topology: a file that describes the network (docs/TOPOLOGIES.md).
        - bits: what the bits of floating-point results may depend on: "any", "class" or "canonical"; "environment" for
          what TUTTI_BITS says, or else "class" (docs/REPRODUCIBILITY.md).
        - tuning: a file with what was measured of the machines; None for TUTTI_TUNING, or the user's (docs/TUNING.md).
        - tls: connections over TCP speak TLS 1.3 (docs/SECURITY.md); False for what TUTTI_TLS says.
        """
        options = join_options(transport, secret, timeout, join_timeout, checks_strictly, topology, bits, tuning, tls)
        handle = ctypes.c_void_p()
        place = (rank, rank_count, address)
        if rank is None or rank_count is None or address is None:
            if any(part is not None for part in place):
                raise ValueError("rank, rank_count and address go together: give all three, or none for the environment")
            if listener is not None or secret is not None:
                raise ValueError("a listener or a secret goes with rank, rank_count and address: give these, too")
            check(library.tutti_join(options, handle))
            return cls(handle)
        if not isinstance(address, str):
            raise TypeError(f"address is {address!r}, and must be a str such as 'host:port'")
        numbers = integer(rank, "rank"), integer(rank_count, "rank_count")
        descriptor = -1 if listener is None else listener.detach()
        check(library.tutti_join_address(*numbers, address.encode(), descriptor, options, handle))
        return cls(handle)

    @classmethod
    def join_store(
        cls,
        rank: int,
        rank_count: int,
        store: Store,
        *,
        name: str = "main",
        publishes_secret: bool = False,
        transport: Union[Transport, str] = Transport.AUTO,
        secret: Union[bytes, str, None] = None,
        timeout: Optional[float] = None,
        join_timeout: Optional[float] = None,
        tls: bool = False,
    ) -> Communicator:
        """Joins the ranks that meet over a store of the program's: an object with `put(key, value)` and `get(key)`.

        Only the members of a group call it, and several groups may be made at once.

        - store: values are bytes; `get` returns None where there is nothing.
        - name: distinguishes the group from every other that meets over the store: letters, digits and `.`, `_`, `-`, `/`.
        - publishes_secret: rank 0 draws the secret and leaves it in the store, which nobody else may reach.
        - transport, secret, timeout, join_timeout, tls: as of `join`.
        """
        options = join_options(transport, secret, timeout, join_timeout, tls=tls)
        if publishes_secret:
            publish_secret(options)
        use = StoreUse(store)
        handle = ctypes.c_void_p()
        numbers = integer(rank, "rank"), integer(rank_count, "rank_count")
        try:
            check(library.tutti_join_rendezvous(*numbers, use.structure(), name.encode(), options, handle))
        except TuttiError as error:
            if use.failure is None:
                raise
            raise error from use.failure
        return cls(handle)

    @classmethod
    def in_process(cls, rank_count: int, *, timeout: Optional[float] = None) -> list[Communicator]:
        """Makes a communicator whose ranks are threads of this process, for tests: element r is for the thread of rank r.

        - rank_count: 1 to 512.
        """
        count = integer(rank_count, "rank_count")
        if not 1 <= count <= 512:
            raise ValueError(f"rank_count is {count}, and must be from 1 to 512")
        options = join_options(timeout=timeout)
        handles = (ctypes.c_void_p * count)()
        check(library.tutti_make_in_process(count, options, handles))
        return [cls(ctypes.c_void_p(handle)) for handle in handles]

    def split(self, color: Optional[int], key: int = 0, *, timeout: Optional[float] = None) -> Optional[Communicator]:
        """Divides the ranks into communicators of their own, one for each color. Every rank calls it.

        - color: ranks with equal ones form a communicator; None for none, and None is returned.
        - key: the new ranks are in the order of their keys, and for equal keys in that of their ranks here.
        """
        chosen = _NO_COLOR if color is None else integer(color, "color", 64)
        handle = ctypes.c_void_p()
        check(library.tutti_comm_split(self._handle, chosen, integer(key, "key", 64), nanoseconds(timeout), handle))
        return Communicator(handle) if handle else None

    def duplicate(self, *, timeout: Optional[float] = None) -> Communicator:
        """Makes a communicator of the same ranks, independent of this one. Every rank calls it."""
        handle = ctypes.c_void_p()
        check(library.tutti_comm_duplicate(self._handle, nanoseconds(timeout), handle))
        return Communicator(handle)

    # MARK: What it is

    @property
    def rank(self) -> int:
        """This rank's number, from 0 to the rank count - 1."""
        return self._rank

    @property
    def rank_count(self) -> int:
        """The number of ranks."""
        return self._rank_count

    @property
    def start(self) -> Started:
        """The same calls, started: `communicator.start.all_reduce(array)` returns a `Work`."""
        return Started(self)

    @property
    def last_operation(self) -> str:
        """How the last collective ran: "ring over shm+tcp"."""
        text = ctypes.create_string_buffer(512)
        check(library.tutti_comm_last_operation(self._handle, text, len(text)))
        return text.value.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<tutti.Communicator rank {self._rank} of {self._rank_count}>"

    # MARK: Calls that have no started form, or another result

    def _run(self, function: str, arguments: tuple, memory: object, options: Optional[Call]) -> None:
        check(getattr(library, function)(self._handle, *arguments, options, None))

    def _receive(
        self,
        data: Any,
        source: int,
        tag: Optional[int],
        timeout: Optional[float],
        sender: ctypes.c_int,
        handle: Optional[WorkHandle],
    ) -> Memory:
        memory = memory_of(data, "data", True)
        peer = integer(source, "source")
        arguments = (self._handle, memory.address, memory.count, memory.type, peer)
        options = call_options(timeout)
        if tag is not None:
            check(library.tutti_receive_tagged(*arguments, integer(tag, "tag", 64), sender, options, handle))
            return memory
        if peer == ANY_RANK:
            raise ValueError("source is ANY_RANK, and only messages with tags are received from any rank: give a tag")
        check(library.tutti_receive(*arguments, options, handle))
        return memory

    def receive(self, data: Any, source: int, *, tag: Optional[int] = None, timeout: Optional[float] = None) -> int:
        """Receives from rank `source`, and returns the rank that the message was from.

        - data: as many elements as were sent.
        - source: a rank; with a tag, also ANY_RANK.
        """
        sender = ctypes.c_int(-1)
        self._receive(data, source, tag, timeout, sender, None)
        return sender.value if tag is not None else source

    def send_receive(self, data: Any, to: int, destination: Any, source: int, *, timeout: Optional[float] = None) -> None:
        """Sends to one rank and receives from another, or the same, at the same time; returns once both have ended."""
        sent, received = memory_of(data, "data", False), memory_of(destination, "destination", True)
        if sent.type != received.type:
            raise TypeError("data and destination must have elements of the same type")
        check(
            library.tutti_send_receive(
                self._handle, sent.address, sent.count, integer(to, "to"), received.address, received.count,
                integer(source, "source"), sent.type, call_options(timeout),
            )
        )  # fmt: skip

    def monitored_barrier(self, *, timeout: Optional[float] = None) -> None:
        """Ends once every rank has called it; where not all come in time, the TuttiError names all that have not."""
        check(library.tutti_monitored_barrier(self._handle, nanoseconds(timeout)))

    # MARK: Memory

    def allocate(self, size: int) -> ctypes.Array:
        """Allocates memory that the ranks of this host read and write in place, and that RDMA moves without copies.

        - size: bytes, at least 1.

        It is zero, page-aligned, and freed when nothing uses it any more: `numpy.frombuffer(memory, "float32")`.
        """
        count = integer(size, "size", 64)
        if count < 1:
            raise ValueError(f"size is {count} bytes, and must be at least 1")
        address = ctypes.c_void_p()
        check(library.tutti_memory_allocate(self._handle, count, address))
        # A class of its own, because weak references need one.
        memory = type("Memory", (ctypes.c_ubyte * count,), {}).from_address(address.value)
        weakref.finalize(memory, library.tutti_memory_free, address).atexit = False
        return memory

    def register(self, array: Any) -> Registration:
        """Lets RDMA move an array of the program's own without a copy; other transports move it as before.

        - array: memory that may be written; its pages are pinned until the registration is closed.

        Worth its cost for arrays that many calls use: `with communicator.register(weights): ...`
        """
        return Registration(self, memory_of(array, "array", True))

    # MARK: The end

    def abort(self, reason: str = "aborted by the program") -> None:
        """Aborts the communicator on every rank: all pending and later calls raise TuttiError with this reason."""
        if not isinstance(reason, str) or "\0" in reason:
            raise TypeError(f"reason is {reason!r}, and must be a str without null characters")
        check(library.tutti_comm_abort(self._handle, reason.encode()))

    def close(self) -> None:
        """Ends this rank's membership, after its last operation: later calls raise TuttiError. Idempotent.

        Blocks until what was sent has arrived, for a second at most in which nothing arrives, and a minute in all. Peers
        do not take it for a death.
        """
        check(library.tutti_comm_close(self._handle))

    def __enter__(self) -> Communicator:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
