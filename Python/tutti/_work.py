"""Started operations: waiting for them, and keeping their memory until they have ended."""

from __future__ import annotations

import atexit
import ctypes
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Optional

from ._arguments import nanoseconds
from ._errors import TuttiError, check, last_error
from ._library import EndedCallback, WorkHandle, library

if TYPE_CHECKING:
    from ._communicator import Communicator


class _InFlight:
    """The memory of operations that are not known to have ended: what writes to it is not stopped by losing a `Work`."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[WorkHandle, object]] = {}
        self._numbers = itertools.count()
        self._swept_at = 64

    def keep(self, handle: WorkHandle, memory: object) -> int:
        """Keeps `memory` until `handle` has ended, and returns what `drop` asks for."""
        if len(self._kept) >= self._swept_at:
            self._sweep()
        number = next(self._numbers)
        self._kept[number] = (handle, memory)
        return number

    def drop(self, number: int) -> None:
        """Keeps the memory no longer; its operation has ended."""
        self._kept.pop(number, None)

    def _sweep(self) -> None:
        for number, (handle, _) in list(self._kept.items()):
            done = ctypes.c_int()
            code = library.tutti_work_wait_for(ctypes.byref(handle), 0, ctypes.byref(done))
            # One that failed has ended, and lets go of its memory before it says so.
            if code != 0 or done.value:
                self.drop(number)
        self._swept_at = 2 * len(self._kept) + 64


_in_flight = _InFlight()


class _Callbacks:
    """The functions that are to be called when operations end, by number: C hands the number back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[Callable[[Optional[TuttiError]], object], Communicator]] = {}
        self._entry = EndedCallback(self._called)

    def add(self, handle: WorkHandle, callback: Callable[[Optional[TuttiError]], object], owner: Communicator) -> None:
        """Has `callback` called when the operation has ended."""
        with self._changed:
            number = next(self._numbers)
            self._waiting[number] = (callback, owner)
        try:
            check(library.tutti_work_when_ended(ctypes.byref(handle), self._entry, number))
        except TuttiError:
            with self._changed:
                del self._waiting[number]
            raise

    def _called(self, number: int, code: int) -> None:
        # An exception of the callback goes to sys.unraisablehook, as of every callback from C.
        try:
            self._waiting[number][0](None if code == 0 else last_error())
        finally:
            with self._changed:
                del self._waiting[number]
                self._changed.notify_all()

    def finish(self) -> None:
        """Ends what callbacks wait for, before the interpreter that would run them is gone."""
        with self._changed:
            owners = {id(owner): owner for _, owner in self._waiting.values()}
        for owner in owners.values():
            owner.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout=5)


_callbacks = _Callbacks()
atexit.register(_callbacks.finish)


class Work:
    """A started operation. Losing it cancels nothing; its arrays are kept until it has ended.

    Until then, do not write to arrays that it reads, nor touch those that it writes.
    """

    def __init__(self, handle: WorkHandle, memory: object, owner: Communicator, source: Optional[ctypes.c_int] = None):
        self._handle = handle
        self._owner = owner
        self._source = source
        self._number = _in_flight.keep(handle, (memory, source))

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Blocks until the operation has ended, and returns True; this thread makes the progress meanwhile.

        - timeout: seconds to wait at most; then it returns False, and the operation goes on. None: until it has ended.

        Raises TuttiError where the operation failed, each time that it is asked.
        """
        if timeout is not None:
            return self._wait_for(nanoseconds(timeout))
        try:
            check(library.tutti_work_wait(ctypes.byref(self._handle)))
        finally:
            _in_flight.drop(self._number)
        return True

    def test(self) -> bool:
        """Returns whether the operation has ended, after making some progress. Raises TuttiError where it failed."""
        return self._wait_for(0)

    def _wait_for(self, timeout: int) -> bool:
        done = ctypes.c_int()
        code = library.tutti_work_wait_for(ctypes.byref(self._handle), timeout, ctypes.byref(done))
        if code != 0 or done.value:
            _in_flight.drop(self._number)
        check(code)
        return bool(done.value)

    def when_ended(self, callback: Callable[[Optional[TuttiError]], object]) -> None:
        """Calls `callback` once when the operation has ended, with None, or the error that it failed with.

        It is called on the one thread that the library has for callbacks, also when the operation has ended already. It
        may block and make calls. What it raises goes to `sys.unraisablehook`.
        """
        if not callable(callback):
            raise TypeError(f"callback is {callback!r}, and must be a function of one argument")
        _callbacks.add(self._handle, callback, self._owner)

    @property
    def source(self) -> Optional[int]:
        """The rank that a receive with a tag got its message from, once it has ended; None for other operations."""
        return self._source.value if self._source is not None and self._source.value >= 0 else None


def combine(works: Iterable[Work]) -> Work:
    """Makes one operation of several started ones of one communicator: it has ended when all have."""
    parts = list(works)
    if not parts:
        raise ValueError("there are no operations to combine")
    handles = (WorkHandle * len(parts))(*(part._handle for part in parts))
    handle = WorkHandle()
    check(library.tutti_work_combine(handles, len(parts), ctypes.byref(handle)))
    return Work(handle, parts, parts[0]._owner)
