"""What all calls that communicate have in common: how they are made, and how their arrays are checked."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Optional, TypeVar, Union

from ._arguments import count_array, nanoseconds
from ._enums import Operation
from ._library import Call
from ._memory import Memory, memory_of

Result = TypeVar("Result")
OperationName = Union[Operation, str]


def call_options(timeout: Optional[float], algorithm: Optional[str] = None) -> Optional[Call]:
    """Returns what a call sets; None where it sets nothing."""
    if timeout is None and algorithm is None:
        return None
    if algorithm is not None and not isinstance(algorithm, str):
        raise TypeError(f"algorithm is {algorithm!r}, and must be a name of 'collbench list'")
    name = algorithm.encode() if algorithm is not None else None
    return Call(ctypes.sizeof(Call), nanoseconds(timeout), name)


def needs(memory: Memory, count: int, what: str, why: str) -> None:
    if memory.count != count:
        raise ValueError(f"{what} has {memory.count} elements, and needs {count}: {why}")


def same_type(first: Memory, second: Memory) -> None:
    if first.type != second.type:
        raise TypeError(
            f"input has elements of type {first.type.name.lower()}, output of {second.type.name.lower()}; "
            "both must have the same"
        )


class Calls(ABC, Generic[Result]):
    """How a call is made: by a communicator to its end, or started by its `start`."""

    @abstractmethod
    def _run(self, function: str, arguments: tuple, memory: object, options: Optional[Call]) -> Result:
        """Makes a call of the library."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """This rank's number, from 0 to the rank count - 1."""

    @property
    @abstractmethod
    def rank_count(self) -> int:
        """The number of ranks."""

    def _pair(self, input: Any, output: Any) -> tuple[Memory, Memory]:
        if output is None:
            memory = memory_of(input, "input", True)
            return memory, memory
        pair = memory_of(input, "input", False), memory_of(output, "output", True)
        same_type(*pair)
        return pair

    def _blocks(
        self, given: Sequence[int], whole: Optional[Memory], part: Memory, whole_name: str, part_name: str
    ) -> ctypes.Array:
        blocks = count_array(given, self.rank_count, "counts")
        needs(part, blocks[self.rank], part_name, f"counts[{self.rank}]")
        if whole is not None:
            needs(whole, sum(blocks), whole_name, "the sum of counts")
        return blocks

    def _list(self, arrays: Sequence[Any], what: str, writes: bool) -> list[Memory]:
        memories = [memory_of(array, f"{what}[{index}]", writes) for index, array in enumerate(arrays)]
        if len(memories) != self.rank_count:
            raise ValueError(f"{what} has {len(memories)} arrays, and needs one for each of {self.rank_count} ranks")
        if any(memory.type != memories[0].type for memory in memories):
            raise TypeError(f"{what} has arrays of several types; all must have the same")
        return memories
