"""Memory of the program's own that RDMA moves without a copy."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Optional

from ._errors import check
from ._library import library
from ._memory import Memory

if TYPE_CHECKING:
    from ._communicator import Communicator


class Registration:
    """An array that is registered with a communicator, until `close` or the end of a `with`.

    Made by `Communicator.register`. It keeps the array and the communicator alive.
    """

    def __init__(self, owner: Communicator, memory: Memory):
        check(library.tutti_memory_register(owner._handle, memory.address, memory.byte_count))
        # Whoever forgets it has nobody to tell what went wrong.
        self._forgotten = weakref.finalize(self, _unregister, owner, memory)
        self._forgotten.atexit = False

    def close(self) -> None:
        """Undoes the registration; no operation may be using the array. Idempotent."""
        registration = self._forgotten.detach()
        if registration is not None:
            check(_unregister(*registration[2]))

    def __enter__(self) -> Registration:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def _unregister(owner: Communicator, memory: Memory) -> int:
    return library.tutti_memory_unregister(owner._handle, memory.address, memory.byte_count)
