"""The bare C programs of Floors/: building one, and reading what it prints. For the gates and the comparison."""

import os
import shutil

from .programs import BENCHMARKS, BUILD_DEADLINE_SECONDS, MeasurementError, run

FLOORS = os.path.join(BENCHMARKS, "Floors")
# Of a message that fits the cache line of a flag, which the floor `tiny` exchanges.
TINY_BYTES_MAX = 40
# Every floor splits float32 arrays in two.
BYTES_MULTIPLE = 8
HEAP_BYTES_MAX = 1 << 30


def compiler():
    return os.environ.get("CC") or "cc"


def absence():
    """Why no floor can be built here, or None."""
    return None if shutil.which(compiler()) else f"no {compiler()}"


def build(name, directory):
    """Compiles a floor into `directory` and returns its path."""
    program = os.path.join(directory, name)
    run([compiler(), "-O2", "-march=native", "-o", program, os.path.join(FLOORS, name + ".c")], BUILD_DEADLINE_SECONDS)
    return program


def read(name, output):
    """The microseconds by size of what a floor has printed."""
    times = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) != 4 or words[:2] != ["floor", name]:
            raise MeasurementError(f"the floor {name} printed `{line}`, not `floor {name} BYTES MICROSECONDS`")
        try:
            times[int(words[2])] = float(words[3])
        except ValueError as error:
            raise MeasurementError(f"the floor {name} printed `{line}`: {error}") from error
    return times
