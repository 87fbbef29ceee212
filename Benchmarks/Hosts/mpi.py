"""Open MPI 5 and MPICH 5 on the same hosts: from PyPI, in virtual environments of their own, started by an agent."""

import json
import os
import shlex
import shutil
import time

from Shared import environments
from Shared.programs import (BENCHMARKS, BUILD_DEADLINE_SECONDS, MeasurementError, ProgramError, check_result, run,
                             unreadable)

from .job import HOSTS_SECONDS, host_command

AGENT = os.path.join(BENCHMARKS, "Hosts", "agent")
SOURCE = os.path.join(BENCHMARKS, "Peers", "mpi.c")
# A peer that does not end in this time counts as slower.
RUN_SECONDS = 60
# After this a peer starts no further iterations of a size; for what is slow, fewer are enough.
SIZE_SECONDS = 1
# The first rank of a job of one process a host is the launcher; the agent starts everything on the other hosts.
ONLY_FIRST = '[ "$TUTTI_RANK" = 0 ] || exit 0; exec "$@"'


class MPI:
    """One MPI library, by its name in `environments`."""
    name = title = ""

    def __init__(self):
        self.environment = environments.Environment(self.name)
        self.version = self.environment.version
        self.program = None

    def tool(self, name):
        return self.environment.tool(name)

    def absence(self):
        """Why this library cannot be measured here, or None."""
        if shutil.which(os.environ.get("CC") or "cc") is None:
            return "no C compiler"
        return None if self.environment.has("mpicc") else f"{self.title} is not installed; --install does it"

    def prepare(self, directory):
        """Builds the program that is measured."""
        self.program = os.path.join(directory, self.name)
        run([self.tool("mpicc"), "-O3", "-march=native", "-o", self.program, SOURCE], BUILD_DEADLINE_SECONDS)

    def mpirun(self, layout, directory):
        """The launcher with its options, for the layout's ranks in its order."""
        raise NotImplementedError

    def run(self, layout, plan, settings):
        """Runs the sizes of the plan, pairs of a collective and a list of (bytes, iterations), as one job.

        Returns the median microseconds by collective and bytes, why there are not all of them or None, and whether the
        time was up.
        """
        words = [word for collective, sizes in plan for word in
                 (collective, *(f"{size}x{iterations}" for size, iterations in sizes))]
        # The ranks' own end comes after the launcher's, for ranks that have lost it.
        launcher = [*self.mpirun(layout, settings.directory), self.program, words[0], "--budget", str(SIZE_SECONDS),
                    "--deadline", str(RUN_SECONDS + 10), *words[1:]]
        command = host_command(layout, settings.rate, 1, [
            "bash", "-c", ONLY_FIRST, "bash", "timeout", "--kill-after", "2", str(RUN_SECONDS), AGENT, layout.addresses[0],
            shlex.join(launcher)])
        output, problem, start = "", None, time.monotonic()
        try:
            output = run(command, RUN_SECONDS + HOSTS_SECONDS, env=settings.environment)
        except ProgramError as error:
            output, problem = error.output, str(error).partition(":\n")[2] or str(error)
        medians = self.read(output, command)
        count = sum(len(sizes) for _, sizes in plan)
        if len(medians) == count:
            # MPICH can measure everything and then fail to end.
            return medians, None, False
        if time.monotonic() - start >= RUN_SECONDS:
            return medians, f"did not end in {RUN_SECONDS} s", True
        return medians, f"failed: {problem or 'printed no result'}", False

    @staticmethod
    def read(output, command):
        medians = {}
        # Launchers print lines of their own. The last one may be cut off where the program was stopped.
        for line in output.splitlines():
            if not line.startswith("{") or not line.endswith("}"):
                continue
            try:
                result = json.loads(line)
                check_result(result)
                medians[result["collective"], result["bytes"]] = result["timeMicroseconds"]["median"]
            except (ValueError, KeyError, TypeError) as error:
                raise unreadable(command, error) from error
        return medians


class OpenMPI(MPI):
    name, title = "openmpi", "Open MPI"

    def mpirun(self, layout, directory):
        hostfile = os.path.join(directory, f"hosts-{layout.size_name}")
        with open(hostfile, "w", encoding="utf-8") as file:
            file.writelines(f"{address} slots={layout.ranks_per_host}\n" for address in layout.addresses)
        # ob1 over TCP is what its users get without a fast network. All hosts' ranks share this machine's processors, which
        # each host takes for its own.
        return [self.tool("mpirun"), "--allow-run-as-root", "--hostfile", hostfile, "-n", str(layout.ranks),
                "--prtemca", "plm_ssh_agent", AGENT, "--map-by", "slot" if layout.order == "in-order" else "node",
                "--bind-to", "none", "--mca", "pml", "ob1", "--mca", "btl", "self,sm,tcp",
                "--mca", "btl_tcp_if_include", "eth0", *environments.yielding(self.name, layout.ranks)]


class MPICH(MPI):
    name, title = "mpich", "MPICH"

    def mpirun(self, layout, directory):
        # Its own shared memory inside, UCX over TCP between hosts: UCX would find memory between namespaces too.
        share = layout.ranks_per_host if layout.order == "in-order" else 1
        return [self.tool("mpirun"), "-launcher", "rsh", "-launcher-exec", AGENT,
                "-hosts", ",".join(f"{address}:{share}" for address in layout.addresses), "-iface", "eth0",
                "-genv", "UCX_TLS", "tcp,self", "-genv", "UCX_NET_DEVICES", "eth0",
                *environments.yielding(self.name, layout.ranks), "-n", str(layout.ranks)]


CLASSES = {peer.name: peer for peer in (OpenMPI, MPICH)}


def prepared(names, installs, directory):
    """Which of the peers are ready to run; and, by title, why the others are not."""
    ready, skipped = [], {}
    for peer in (CLASSES[name]() for name in names):
        try:
            if installs:
                peer.environment.install()
            reason = peer.absence()
            if reason is None:
                peer.prepare(directory)
        except MeasurementError as error:
            reason = "could not be prepared: " + " ".join(str(error).split())
        if reason is None:
            ready.append(peer)
        else:
            skipped[peer.name] = reason
    return ready, skipped
