"""Jobs over test hosts: many runs of collbench in one set of hosts, because making hosts takes longer than most runs."""

import json
import os
import tempfile
from dataclasses import dataclass

from Shared.programs import BENCHMARKS, ROOT, check_result, run, unreadable

TEST_HOSTS = os.path.join(ROOT, "Scripts", "test-hosts")
RANK = os.path.join(BENCHMARKS, "Hosts", "rank")
STEP_SECONDS = 60
# The time to make the hosts and to remove them, on a busy machine.
HOSTS_SECONDS = 60


@dataclass(frozen=True)
class Settings:
    """`rate` is the limit of each host's link, as tc writes it; `directory` holds what is made on the way."""
    collbench: str
    rate: str
    directory: str

    @property
    def environment(self):
        """Launchers keep their files with ours, so that what a stopped one leaves behind goes away too."""
        return {**os.environ, "TMPDIR": self.directory}


@dataclass(frozen=True)
class Step:
    """One run of collbench: on all ranks, or, as a pair, on rank 0 and the first rank of another host."""
    collective: str
    sizes: tuple
    iterations: int
    warmup: int
    algorithm: str = "auto"
    is_pair: bool = False

    @property
    def line(self):
        """The step as Hosts/rank reads it."""
        words = ["pair" if self.is_pair else "all", str(STEP_SECONDS), self.collective,
                 "--sizes", ",".join(map(str, self.sizes)), "--iterations", str(self.iterations),
                 "--warmup", str(self.warmup), "--algorithm", self.algorithm, "--format", "json"]
        if self.collective == "broadcast":
            # As MPI has it: one buffer, so the root copies nothing for itself.
            words.append("--in-place")
        return " ".join(words)


@dataclass(frozen=True)
class Outcome:
    """What a step gave: collbench's results, or why there are none."""
    results: list
    problem: str | None = None


def host_command(layout, rate, ranks_per_host, command):
    """The command as the ranks of a job on the layout's hosts."""
    order = ["--round-robin"] if layout.order == "round-robin" else []
    return [TEST_HOSTS, str(layout.hosts), "--ranks-per-host", str(ranks_per_host), *order, "--rate", rate, "--", *command]


def run_steps(layout, steps, settings):
    """Runs the steps in their order on one set of hosts and returns an outcome for each.

    A step that fails is an outcome; hosts that cannot be made and wrong elements are a MeasurementError.
    """
    if not steps:
        return []
    with tempfile.TemporaryDirectory(prefix="steps-", dir=settings.directory) as folder:
        with open(os.path.join(folder, "plan"), "w", encoding="utf-8") as file:
            file.writelines(step.line + "\n" for step in steps)
        command = host_command(layout, settings.rate, layout.ranks_per_host,
                               [RANK, settings.collbench, folder, str(layout.first_rank_elsewhere)])
        run(command, HOSTS_SECONDS + (STEP_SECONDS + 5) * len(steps), env=settings.environment)
        return [read_outcome(folder, index, step) for index, step in enumerate(steps)]


def read_outcome(folder, index, step):
    error = os.path.join(folder, f"{index}.error")
    if os.path.exists(error):
        with open(error, encoding="utf-8", errors="replace") as file:
            status, *words = file.read().split("\n")
        # As timeout(1) says it.
        said = f"did not end in {STEP_SECONDS} s" if status in ("124", "137") else " ".join(words).strip()
        # With a wrong element collbench prints its results and fails.
        if not has_results(folder, index):
            return Outcome([], said or f"exited with {status}")
    try:
        with open(os.path.join(folder, f"{index}.json"), encoding="utf-8") as file:
            results = json.load(file)["results"]
        for result in results:
            check_result(result)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise unreadable(["collbench", *step.line.split()[2:]], problem) from problem
    return Outcome(results)


def has_results(folder, index):
    path = os.path.join(folder, f"{index}.json")
    return os.path.exists(path) and os.path.getsize(path) > 0
