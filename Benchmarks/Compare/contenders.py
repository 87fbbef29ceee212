"""Who is compared: how each is found, built, started, and how its output is read."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace

from Shared.programs import (BENCHMARKS, BUILD_DEADLINE_SECONDS, ROOT, build_collbench, check_result, run,
                             unreadable)

from .requirements import BOUND, FLOOR, FOUR_RANKS

PEERS = os.path.join(BENCHMARKS, "Peers")
PEER_TITLES = {"openmpi": "Open MPI", "mpich": "MPICH", "gloo": "Gloo", "torch": "PyTorch gloo",
               "openmpi5": "Open MPI 5", "mpich5": "MPICH 5", "intelmpi": "Intel MPI"}
TITLES = {"tutti": "Tutti", **PEER_TITLES, FLOOR: "bare C", FOUR_RANKS: "4 ranks", BOUND: "bound"}


@dataclass(frozen=True)
class Limits:
    run_seconds: int
    # After this a peer starts no further batch of iterations of a size; for what is slow, fewer iterations are enough.
    size_seconds: float
    # Instead of both for who spins with more ranks than cores, and takes time slices of the scheduler.
    spinning_run_seconds: int
    spinning_size_seconds: float

    def of_spinning(self):
        return replace(self, run_seconds=self.spinning_run_seconds, size_seconds=self.spinning_size_seconds)

    def peer_arguments(self):
        return ["--budget", f"{self.size_seconds:g}", "--deadline", str(self.run_seconds)]


class Contender:
    """What every contender has. `name` is the one of its column: two contenders of one name fill it together."""
    # Whether a bad end counts although all sizes were measured.
    must_end_well = True
    # What is in its environment besides.
    variables = {}

    def __init__(self, name):
        self.name, self.title = name, TITLES[name]
        self.program = self.version = None

    def absence(self):
        """Why this contender cannot be measured here, or None."""
        return None

    def remedy(self):
        """What to do about its absence."""
        raise NotImplementedError

    def prepare(self, directory):
        """Builds into `directory` what is run, and finds out its version."""
        raise NotImplementedError

    def refusal(self, _):
        """Why this configuration is beyond the contender, or None."""
        return None

    def sizes(self, configuration):
        return [configuration.bytes_of(asked) for asked in configuration.sizes]

    def limits(self, _, limits):
        """The limits of a run of a configuration."""
        return limits

    def command(self, configuration, sizes, limits):
        raise NotImplementedError

    def read(self, output, sizes):
        """The results for the sizes in the output of a run, which may have been cut off."""
        raise NotImplementedError


class Tutti(Contender):
    def __init__(self, collbench, name="tutti"):
        super().__init__(name)
        self.collbench = collbench
        self.knows_registered = False

    def prepare(self, _):
        self.collbench = os.path.abspath(self.collbench or build_collbench())
        self.version = run([self.collbench, "--version"], 10).strip()
        self.knows_registered = "--registered" in run([self.collbench, "help", "run"], 10)

    def refusal(self, configuration):
        if configuration.registered and not self.knows_registered:
            return "this collbench has no option --registered"
        return None

    def rank_count(self, configuration):
        return configuration.ranks

    def command(self, configuration, sizes, _):
        return [self.collbench, configuration.collective, "--ranks", str(self.rank_count(configuration)),
                "--transport", configuration.transport, "--sizes", ",".join(map(str, sizes)), "--format", "json",
                *(["--registered"] if configuration.registered else []),
                # As MPI has it: one buffer, so the root copies nothing for itself.
                *(["--in-place"] if configuration.collective == "broadcast" else [])]

    def read(self, output, _):
        # It prints all or nothing.
        return json.loads(output)["results"] if output.strip() else []


class PeerProgram(Contender):
    """A program of Peers/, built from one source with one compiler."""
    source, compile_options, package = "", [], ""
    # What --install installs, as Scripts/lib/common.sh wants it: WHAT=PACKAGE.
    installed = []
    # MPICH with more ranks than cores measures everything and is then stopped in its MPI_Finalize.
    must_end_well = False

    def compiler(self):
        raise NotImplementedError

    def remedy(self):
        return f"--install, or apt-get install {' '.join(entry.split('=')[1] for entry in self.installed)}"

    def prepare(self, directory):
        self.program = os.path.join(directory, self.name)
        source = os.path.join(PEERS, self.source)
        run([self.compiler(), "-O3", "-march=native", "-o", self.program, source, *self.compile_options],
            BUILD_DEADLINE_SECONDS, env={**os.environ, **self.variables})
        self.version = self.find_version()

    def find_version(self):
        return package_version(self.package)

    def arguments(self, configuration, sizes, limits):
        return [configuration.collective, *limits.peer_arguments(), *map(str, sizes)]

    def read(self, output, _):
        # Launchers print lines of their own. The last one may be cut off where the program was stopped.
        lines = [line for line in output.splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines if line.endswith("}")]


def empty_folder(parent):
    """Where the ranks of one run meet."""
    return tempfile.mkdtemp(prefix="store-", dir=parent)


def without_folders(text, directory):
    """Without the folders of this machine."""
    return text.replace(directory + os.sep, "").replace(ROOT + os.sep, "")


def package_version(package):
    """The installed version of a Debian package, which names the peer's source exactly."""
    if shutil.which("dpkg-query") is None:
        return "unknown version"
    query = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True, check=False)
    return query.stdout.strip() or "unknown version"


def results(contender, command, sizes, output):
    """One result a size, the best algorithm's; a wrong element is an error."""
    best = {}
    try:
        for result in contender.read(output, sizes):
            check_result(result)
            known = best.get(result["bytes"])
            if known is None or result["timeMicroseconds"]["median"] < known["timeMicroseconds"]["median"]:
                best[result["bytes"]] = result
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(command, error) from error
    return best
