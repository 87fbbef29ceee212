"""Checks numbers before they go to C, where one that is too large would become another without a word."""

from __future__ import annotations

import ctypes
import math
import operator
from collections.abc import Sequence
from typing import Optional


def integer(value: int, what: str, bits: int = 32) -> int:
    """Returns a whole number that fits a signed integer of `bits` bits."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is {value!r}, and must be a whole number") from None
    if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
        raise ValueError(f"{what} is {number}, which does not fit into {bits} bits")
    return number


def nanoseconds(seconds: Optional[float], what: str = "timeout") -> int:
    """Returns a limit of time in nanoseconds, at least one; 0 for None, which stands for the usual limit."""
    if seconds is None:
        return 0
    try:
        value = float(seconds)
    except (TypeError, ValueError):
        raise TypeError(f"{what} is {seconds!r}, and must be a number of seconds") from None
    if not math.isfinite(value) or value <= 0 or value > 9e9:
        raise ValueError(f"{what} is {value} seconds, and must be more than 0 and at most 9e9")
    return max(1, int(value * 1e9))


def count_array(counts: Sequence[int], rank_count: int, what: str) -> ctypes.Array:
    """Returns the elements of each rank's block as C has them."""
    numbers = [integer(count, f"an element of {what}", 64) for count in counts]
    if len(numbers) != rank_count:
        raise ValueError(f"{what} has {len(numbers)} elements, and needs one for each of {rank_count} ranks")
    if any(number < 0 for number in numbers):
        raise ValueError(f"{what} has a negative element: {numbers}")
    return (ctypes.c_size_t * rank_count)(*numbers)
