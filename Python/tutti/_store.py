"""Lets ranks meet over a store of the program's, by the functions of `tutti_rendezvous`."""

from __future__ import annotations

import ctypes
import itertools
from typing import Optional, Protocol

from ._library import GetFunction, PutFunction, ReleaseFunction, Rendezvous

_OK, _NOTHING, _FAILED = 0, 1, 2
_VALUE_MAX = 1000


class Store(Protocol):
    """A store where ranks that do not know each other yet leave values for each other: any key-value space.

    Its functions are called from threads of the library's own, one at a time. Keys have at most 64 letters, values 1,000
    bytes. What they raise ends the join, and is the cause of its error.
    """

    def put(self, key: str, value: bytes) -> None:
        """Stores `value` under `key`, in place of what was there."""

    def get(self, key: str) -> Optional[bytes]:
        """Returns what is stored under `key` now, or None."""


class StoreUse:
    """A store while the library may call its functions; `failure` is what they raised last."""

    def __init__(self, store: Store):
        self.store = store
        self.failure: Optional[BaseException] = None

    def structure(self) -> Rendezvous:
        """Returns what the library is given. It tells `_release` when it needs the store no more."""
        number = next(_numbers)
        _uses[number] = self
        return Rendezvous(ctypes.sizeof(Rendezvous), number, _put, _get, None, _release)


# What the library knows by its number; the functions below are the same for all, so that none is freed while it runs.
_uses: dict[int, StoreUse] = {}
_numbers = itertools.count(1)


@PutFunction
def _put(number, key, value, count, timeout):
    use = _uses[number]
    try:
        use.store.put(key.decode(), ctypes.string_at(value, count))
    except BaseException as error:
        use.failure = error
        return _FAILED
    return _OK


@GetFunction
def _get(number, key, value, count, timeout):
    use = _uses[number]
    try:
        stored = use.store.get(key.decode())
        if stored is None:
            return _NOTHING
        if not isinstance(stored, bytes) or len(stored) > _VALUE_MAX:
            raise TypeError(f"the store gave {stored!r:.80} for {key.decode()!r}, and not the bytes that were put there")
    except BaseException as error:
        use.failure = error
        return _FAILED
    ctypes.memmove(value, stored, len(stored))
    count[0] = len(stored)
    return _OK


@ReleaseFunction
def _release(number):
    _uses.pop(number, None)
