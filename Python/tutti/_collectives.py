"""The collectives that move elements as they are, and the barrier; and all collectives together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from ._arguments import count_array, integer
from ._calls import Result, call_options, needs, same_type
from ._memory import Memory, addresses, counts, memory_of
from ._reducing import Reducing


class Collectives(Reducing[Result]):
    """The collective calls. All ranks make them in the same order, with the same counts, types and operations.

    Arrays are NumPy's, or anything with the DLPack or the buffer protocol: contiguous, on the CPU, and used where they
    lie. Every array may have any shape; what counts is its elements. All calls take

    - timeout: the limit of the whole call in seconds; None for the communicator's.
    - algorithm: a name of `collbench list`, the same on every rank; None for the communicator's choice.

    and raise TypeError and ValueError for arguments that cannot be used, after which nothing was sent, and TuttiError for
    the rest. After most of these the communicator is aborted on every rank, and what the call writes is unspecified.
    """

    def broadcast(
        self, data: Any, *, root: int = 0, timeout: Optional[float] = None, algorithm: Optional[str] = None
    ) -> Result:
        """Leaves the root's data in every rank's.

        - data: read on the root, written elsewhere; as many elements on every rank.
        """
        root = integer(root, "root")
        memory = memory_of(data, "data", self.rank != root)
        arguments = (memory.address, memory.address, memory.count, memory.type, root)
        return self._run("tutti_broadcast", arguments, memory, call_options(timeout, algorithm))

    def gather(
        self,
        input: Any,
        output: Any = None,
        *,
        root: int = 0,
        counts: Optional[Sequence[int]] = None,
        timeout: Optional[float] = None,
        algorithm: Optional[str] = None,
    ) -> Result:
        """Leaves the input of all ranks, in rank order, in the root's output.

        - output: a block for each rank on the root, ignored elsewhere.
        - counts: the elements of each rank's block, the same on every rank; None for blocks of equal size.
        """
        root = integer(root, "root")
        if self.rank == root:
            if output is None:
                raise ValueError("output is None, and the root needs room for the blocks of all ranks")
            source, target = self._pair(input, output)
            whole, address = target, target.address
        else:
            source, whole, address = memory_of(input, "input", False), None, None
        return self._moving(
            "tutti_gather",
            (source.address, address),
            source,
            whole,
            ("input", "output"),
            counts,
            (root,),
            timeout,
            algorithm,
        )

    def _moving(
        self,
        function: str,
        ends: tuple,
        part: Memory,
        whole: Optional[Memory],
        names: tuple[str, str],
        counts: Optional[Sequence[int]],
        tail: tuple,
        timeout: Optional[float],
        algorithm: Optional[str],
    ) -> Result:
        """Makes a call that moves blocks, of equal size or not, between `part`, which has one, and `whole`."""
        options = call_options(timeout, algorithm)
        if counts is not None:
            blocks = self._blocks(counts, whole, part, names[1], names[0])
            return self._run(f"{function}_v", (*ends, blocks, part.type, *tail), (part, whole), options)
        if whole is not None:
            needs(whole, part.count * self.rank_count, names[1], f"a block as large as {names[0]} for each rank")
        return self._run(function, (*ends, part.count, part.type, *tail), (part, whole), options)

    def scatter(
        self,
        input: Any,
        output: Any,
        *,
        root: int = 0,
        counts: Optional[Sequence[int]] = None,
        timeout: Optional[float] = None,
        algorithm: Optional[str] = None,
    ) -> Result:
        """Leaves block r of the root's input in the output of rank r.

        - input: a block for each rank on the root; ignored elsewhere, where None will do.
        - counts: the elements of each rank's block, the same on every rank; None for blocks of equal size.
        """
        root = integer(root, "root")
        target = memory_of(output, "output", True)
        whole = None
        if self.rank == root:
            whole = memory_of(input, "input", False)
            same_type(whole, target)
        ends = (whole.address if whole is not None else None, target.address)
        return self._moving("tutti_scatter", ends, target, whole, ("output", "input"), counts, (root,), timeout, algorithm)

    def all_gather(
        self,
        input: Any,
        output: Any,
        *,
        counts: Optional[Sequence[int]] = None,
        timeout: Optional[float] = None,
        algorithm: Optional[str] = None,
    ) -> Result:
        """Leaves the input of all ranks, in rank order, in every rank's output.

        - output: a block for each rank.
        - counts: the elements of each rank's block, the same on every rank; None for blocks of equal size.
        """
        source, target = self._pair(input, output)
        ends = (source.address, target.address)
        return self._moving("tutti_all_gather", ends, source, target, ("input", "output"), counts, (), timeout, algorithm)

    def all_gather_list(
        self, input: Any, outputs: Sequence[Any], *, timeout: Optional[float] = None, algorithm: Optional[str] = None
    ) -> Result:
        """Gathers as `all_gather`, each rank's block into an array of its own.

        - outputs: an array for each rank; their sizes are the same on every rank.
        """
        source = memory_of(input, "input", False)
        targets = self._list(outputs, "outputs", True)
        same_type(source, targets[0])
        needs(source, targets[self.rank].count, "input", f"as many as outputs[{self.rank}] has")
        arguments = (source.address, addresses(targets), counts(targets), source.type)
        return self._run("tutti_all_gather_list", arguments, (source, targets), call_options(timeout, algorithm))

    def all_to_all(
        self,
        input: Any,
        output: Any = None,
        *,
        send_counts: Optional[Sequence[int]] = None,
        receive_counts: Optional[Sequence[int]] = None,
        timeout: Optional[float] = None,
        algorithm: Optional[str] = None,
    ) -> Result:
        """Leaves block q of rank p's input in block p of rank q's output, for every p and q.

        - output: None for in place, with blocks of equal size.
        - send_counts, receive_counts: the elements that go to each rank, and those that come from each; both or none.
        """
        source, target = self._pair(input, output)
        options = call_options(timeout, algorithm)
        if (send_counts is None) != (receive_counts is None):
            raise ValueError("send_counts and receive_counts go together: give both or none")
        if send_counts is not None and receive_counts is not None:
            sent = count_array(send_counts, self.rank_count, "send_counts")
            received = count_array(receive_counts, self.rank_count, "receive_counts")
            needs(source, sum(sent), "input", "the sum of send_counts")
            needs(target, sum(received), "output", "the sum of receive_counts")
            arguments = (source.address, sent, target.address, received, source.type)
            return self._run("tutti_all_to_all_v", arguments, (source, target), options)
        needs(target, source.count, "output", "as many as input has")
        if source.count % self.rank_count:
            raise ValueError(f"{source.count} elements of input cannot be divided into {self.rank_count} equal blocks")
        arguments = (source.address, target.address, source.count // self.rank_count, source.type)
        return self._run("tutti_all_to_all", arguments, (source, target), options)

    def barrier(self, *, timeout: Optional[float] = None, algorithm: Optional[str] = None) -> Result:
        """Ends once every rank has called it."""
        return self._run("tutti_barrier", (), None, call_options(timeout, algorithm))

    def send(self, data: Any, to: int, *, tag: Optional[int] = None, timeout: Optional[float] = None) -> Result:
        """Sends to rank `to`. Ends once `data` may be written again.

        - tag: what the receiver chooses by; None for messages that are received in the order in which they were sent.
          Between two ranks of a communicator there are messages of one of the two kinds only.
        """
        memory = memory_of(data, "data", False)
        arguments = (memory.address, memory.count, memory.type, integer(to, "to"))
        options = call_options(timeout)
        if tag is None:
            return self._run("tutti_send", arguments, memory, options)
        return self._run("tutti_send_tagged", (*arguments, integer(tag, "tag", 64)), memory, options)
