"""Who is compared: how each is found, built, started, and how its output is read. Every contender has the same members."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from Shared.programs import (BENCHMARKS, BUILD_DEADLINE_SECONDS, MeasurementError, build_collbench, check_result, run,
                             unreadable)

PEERS = os.path.join(BENCHMARKS, "Peers")
PEER_TITLES = {"openmpi": "Open MPI", "mpich": "MPICH", "gloo": "Gloo"}


@dataclass(frozen=True)
class Limits:
    run_seconds: int
    # After this a peer starts no further batch of iterations of a size; for what is slow, fewer iterations are enough.
    size_seconds: float

    def peer_arguments(self):
        return ["--budget", f"{self.size_seconds:g}", "--deadline", str(self.run_seconds)]


class Tutti:
    name, title = "tutti", "Tutti"
    must_end_well = True

    def __init__(self, collbench):
        self.collbench = collbench
        self.version = None

    def prepare(self, _):
        self.collbench = os.path.abspath(self.collbench or build_collbench())
        self.version = run([self.collbench, "--version"], 10).strip()

    def refusal(self, _):
        return None

    def command(self, configuration, sizes, _):
        return [self.collbench, configuration.collective, "--ranks", str(configuration.ranks),
                "--transport", configuration.transport, "--sizes", ",".join(map(str, sizes)), "--format", "json"]

    def read(self, output):
        # It prints all or nothing.
        return json.loads(output)["results"] if output.strip() else []


class PeerProgram:
    """A program of Peers/, built from one source with one compiler."""
    source, compile_options, package = "", [], ""
    # MPICH with more ranks than cores measures everything and is then stopped in its MPI_Finalize.
    must_end_well = False

    def __init__(self, name):
        self.name, self.title = name, PEER_TITLES[name]
        self.program = self.version = None

    def compiler(self):
        raise NotImplementedError

    def absence(self):
        """Why this peer cannot be measured here, or None."""
        raise NotImplementedError

    def refusal(self, _):
        """Why this configuration is beyond the peer, or None."""
        return None

    def prepare(self, directory):
        self.program = os.path.join(directory, self.name)
        source = os.path.join(PEERS, self.source)
        run([self.compiler(), "-O3", "-march=native", "-o", self.program, source, *self.compile_options],
            BUILD_DEADLINE_SECONDS)
        self.version = package_version(self.package)

    def arguments(self, configuration, sizes, limits):
        return [configuration.collective, *limits.peer_arguments(), *map(str, sizes)]

    def read(self, output):
        # Launchers print lines of their own. The last one may be cut off where the program was stopped.
        lines = [line for line in output.splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines if line.endswith("}")]


class MPI(PeerProgram):
    source = "mpi.c"

    def compiler(self):
        return f"mpicc.{self.name}"

    def absence(self):
        missing = [tool for tool in (self.compiler(), f"mpirun.{self.name}") if shutil.which(tool) is None]
        return f"no {' and no '.join(missing)}" if missing else None

    def command(self, configuration, sizes, limits):
        return [f"mpirun.{self.name}", *self.options(configuration.transport), "-n", str(configuration.ranks), self.program,
                *self.arguments(configuration, sizes, limits)]

    def options(self, transport):
        raise NotImplementedError


class OpenMPI(MPI):
    package = "libopenmpi3"

    def options(self, transport):
        # ob1 is what its users get on hosts without a fast network; named, so that an installed UCX does not change what is
        # measured. Not bound, as the other contenders are not.
        options = ["--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1"]
        if os.geteuid() == 0:
            options.insert(0, "--allow-run-as-root")
        if transport == "tcp":
            return [*options, "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", "lo"]
        return [*options, "--mca", "btl", "self,vader"]


class MPICH(MPI):
    package = "libmpich12"

    def options(self, transport):
        # Debian's build is ch4:ucx. NOLOCAL treats every rank as a host of its own, so that its shared memory is not used.
        if transport == "tcp":
            return ["-genv", "MPIR_CVAR_NOLOCAL", "1", "-genv", "UCX_TLS", "tcp,self", "-genv", "UCX_NET_DEVICES", "lo"]
        return []


class Gloo(PeerProgram):
    source, package = "gloo.cc", "libgloo0"
    compile_options = ["-std=c++17", "-lgloo"]

    def compiler(self):
        return os.environ.get("CXX") or "c++"

    def absence(self):
        if shutil.which(self.compiler()) is None:
            return f"no {self.compiler()}"
        probe = subprocess.run([self.compiler(), "-E", "-x", "c++", "-"], input="#include <gloo/config.h>\n", text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return None if probe.returncode == 0 else "no header gloo/config.h"

    def refusal(self, configuration):
        return None if configuration.transport == "tcp" else "Gloo has no shared-memory transport"

    def command(self, configuration, sizes, limits):
        # Its ranks meet in a folder that must be empty.
        store = tempfile.mkdtemp(prefix="store-", dir=os.path.dirname(self.program))
        return [self.program, *self.arguments(configuration, sizes, limits), "--ranks", str(configuration.ranks),
                "--store", store]


PEER_CLASSES = {"openmpi": OpenMPI, "mpich": MPICH, "gloo": Gloo}
# What --install installs, as Scripts/lib/common.sh wants it: WHAT=PACKAGE.
INSTALLED = {
    "openmpi": ["mpirun.openmpi=openmpi-bin", "mpicc.openmpi=libopenmpi-dev"],
    "mpich": ["mpirun.mpich=mpich", "mpicc.mpich=libmpich-dev"],
    "gloo": ["c++=g++", "/usr/include/gloo/config.h=libgloo-dev"],
}


def package_version(package):
    """The installed version of a Debian package, which names the peer's source exactly."""
    if shutil.which("dpkg-query") is None:
        return "unknown version"
    query = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True, check=False)
    return query.stdout.strip() or "unknown version"


def install(names, root):
    """Installs the peers' packages with the scripts' own helper, which asks for root."""
    script = 'source "$1/Scripts/lib/common.sh"; shift; ensure_packages "$@"'
    wanted = [entry for name in names for entry in INSTALLED[name]]
    status = subprocess.run(["bash", "-c", script, "compare", root, *wanted], check=False).returncode
    if status != 0:
        raise MeasurementError("the peers' packages could not be installed; without --install absent peers are skipped")


def prepared(names, collbench, directory):
    """The library and the peers that are there, ready to run; and, by name, why the others are not."""
    contenders, skipped = [Tutti(collbench)], {}
    for name in names:
        peer = PEER_CLASSES[name](name)
        reason = peer.absence()
        if reason is None:
            contenders.append(peer)
        else:
            packages = " ".join(entry.split("=")[1] for entry in INSTALLED[name])
            skipped[name] = f"{reason}; --install, or apt-get install {packages}"
    for contender in contenders:
        contender.prepare(directory)
    return contenders, skipped


def results(contender, command, output):
    """One result a size, the best algorithm's; a wrong element is an error."""
    best = {}
    try:
        for result in contender.read(output):
            check_result(result)
            known = best.get(result["bytes"])
            if known is None or result["timeMicroseconds"]["median"] < known["timeMicroseconds"]["median"]:
                best[result["bytes"]] = result
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(command, error) from error
    return best
