"""The enumerations of the C library, with names that calls accept as words."""

from __future__ import annotations

import enum
from typing import TypeVar, Union


class Code(enum.IntEnum):
    """The kind of an error; docs/ERRORS.md says what each means and what to do."""

    INVALID_ARGUMENT = 1
    CONFIGURATION = 2
    RENDEZVOUS = 3
    AUTHENTICATION = 4
    VERSION = 5
    MISMATCH = 6
    TIMEOUT = 7
    PEER_LOST = 8
    TRANSPORT = 9
    ABORTED = 10
    CLOSED = 11
    UNPROVEN = 12
    RESOURCES = 13
    NON_FINITE = 14


class DataType(enum.IntEnum):
    """The type of the elements of an array. Calls read it from the array itself."""

    INT8 = 0
    UINT8 = 1
    INT32 = 2
    UINT32 = 3
    INT64 = 4
    UINT64 = 5
    FLOAT16 = 6
    BFLOAT16 = 7
    FLOAT32 = 8
    FLOAT64 = 9
    INT16 = 10
    UINT16 = 11
    BOOL = 12

    @property
    def byte_count(self) -> int:
        """How many bytes an element takes."""
        return 1 if self is DataType.BOOL else int(self.name.lstrip("ABFILNOTU")) // 8


class Operation(enum.IntEnum):
    """How elements are combined. Integers wrap; 16-bit floats are combined in float32.

    The bitwise ones take integers and bool, the average floating point only. MIN and MAX are those of IEEE 754: a NaN
    on any rank gives NaN.
    """

    SUM = 0
    PRODUCT = 1
    MIN = 2
    MAX = 3
    BITWISE_AND = 4
    BITWISE_OR = 5
    BITWISE_XOR = 6
    AVERAGE = 7


class Transport(enum.IntEnum):
    """Which transport carries the data. One that cannot be used is an error, never replaced by another."""

    AUTO = 0
    SHM = 1
    TCP = 2
    RDMA = 3


class Bits(enum.IntEnum):
    """What the bits of floating-point sums, products and averages may depend on."""

    ENVIRONMENT = 0
    ANY = 1
    CLASS = 2
    CANONICAL = 3


Choice = TypeVar("Choice", bound=enum.IntEnum)


def choose(kind: type[Choice], value: Union[Choice, str], what: str) -> Choice:
    """Returns the member that `value` is or names, such as "sum" or "bitwise_and".

    Raises ValueError with all names where it is none of them.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, str):
        member = kind.__members__.get(value.upper().replace("-", "_"))
        if member is not None:
            return member
    names = ", ".join(name.lower() for name in kind.__members__)
    raise ValueError(f"{what} is {value!r}, and must be one of: {names}")
