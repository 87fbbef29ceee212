"""What this library is held against besides peers: bare C programs, and itself among fewer ranks."""

import os

from Shared import floors

from .contenders import Contender, Tutti
from .requirements import BOUND, FLOOR, FOUR_RANKS


class FloorProgram(Contender):
    """A bare C program of Floors/ with two processes."""

    def __init__(self, name, program_name):
        super().__init__(name)
        self.program_name = program_name

    def absence(self):
        return floors.absence()

    def remedy(self):
        return "install a C compiler, or name one in CC"

    def prepare(self, directory):
        self.program = floors.build(self.program_name, directory)
        self.version = f"{os.path.basename(floors.compiler())} -O2 -march=native"

    def command(self, configuration, sizes, _):
        return [self.program, *map(str, sizes)]

    def read(self, output, _):
        return [result(size, time) for size, time in floors.read(self.program_name, output).items()]


class Tiny(FloorProgram):
    def __init__(self):
        super().__init__(FLOOR, "tiny")

    def sizes(self, configuration):
        return [size for size in super().sizes(configuration)
                if size <= floors.TINY_BYTES_MAX and size % floors.BYTES_MULTIPLE == 0]


class Heap(FloorProgram):
    def __init__(self):
        super().__init__(FLOOR, "heap")

    def sizes(self, configuration):
        return [size for size in super().sizes(configuration)
                if floors.TINY_BYTES_MAX < size <= floors.HEAP_BYTES_MAX and size % floors.BYTES_MULTIPLE == 0]


class Bound(FloorProgram):
    """The time that memory traffic alone takes: 2pS bytes for an all-reduce of S bytes among p ranks, at the bandwidth of an
    addition with streaming stores on all ranks at once. It is measured once a turn and scaled to every size.
    """
    ranks, array_bytes = 2, 128 << 20
    # Of an addition in bytes of one array, all ranks together: two arrays are read and one is written by each.
    moved_arrays = 3 * ranks

    def __init__(self):
        super().__init__(BOUND, "stream")

    def command(self, configuration, sizes, _):
        return [self.program, str(self.array_bytes)]

    def read(self, output, sizes):
        times = floors.read(self.program_name, output)
        if self.array_bytes not in times:
            return []
        bytes_per_microsecond = self.moved_arrays * self.array_bytes / times[self.array_bytes]
        return [result(size, 2 * self.ranks * size / bytes_per_microsecond, f"{bytes_per_microsecond / 1e3:.1f} GB/s")
                for size in sizes]


class FourRanks(Tutti):
    """The library itself among 4 ranks, in the rounds of the 8."""

    def __init__(self, collbench):
        super().__init__(collbench, FOUR_RANKS)

    def rank_count(self, _):
        return 4


def result(size, microseconds, algorithm=None):
    # The programs check what they computed, and fail where it is wrong.
    return {"bytes": size, "algorithm": algorithm, "timeMicroseconds": {"median": round(microseconds, 3)},
            "wrongElements": 0}


def of_names(names, tutti):
    """The contenders behind the baselines."""
    makers = {FLOOR: lambda: [Tiny(), Heap()], BOUND: lambda: [Bound()], FOUR_RANKS: lambda: [FourRanks(tutti.collbench)]}
    return [contender for name in names for contender in makers[name]()]
