"""What all gates share: running programs under a deadline, building them, and a row of the table."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCHMARKS = os.path.join(ROOT, "Benchmarks")
FLOORS = os.path.join(BENCHMARKS, "Floors")
BUILD_DEADLINE_SECONDS = 3600
RUN_DEADLINE_SECONDS = 180


class GateError(Exception):
    """Something could not be built, run or read: says which command, why, and what it printed."""


@dataclass
class Row:
    """One gate's result: `value` in `unit` is at most `limit`, or the gate is missed. Without a limit it is information."""
    kind: str
    name: str
    value: float
    unit: str
    limit: float | None
    # What the value was made from, for people; and all of it, for programs.
    evidence: str
    details: dict = field(default_factory=dict)

    @property
    def holds(self):
        return self.limit is None or self.value <= self.limit

    def as_json(self):
        return {"kind": self.kind, "name": self.name, "value": self.value, "unit": self.unit, "limit": self.limit,
                "pass": self.holds, **self.details}


@dataclass
class Programs:
    """Paths of what is measured, and of the folder for what is built on the way."""
    collbench: str
    latency: str
    directory: str


def run(command, deadline_seconds, sample=None, **options):
    """Runs a command in a process group of its own, so that none of its ranks outlives a deadline or Ctrl-C.

    `sample(pid)` is called a hundred times a second while it runs.
    """
    text = " ".join(command)
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **options)
    except OSError as error:
        raise GateError(f"could not start `{text}`: {error}") from error
    try:
        if sample is None:
            output, errors = process.communicate(timeout=deadline_seconds)
        else:
            output, errors = communicate_and_sample(process, deadline_seconds, sample)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise GateError(f"`{text}` did not finish in {deadline_seconds} s") from error
        raise
    if process.returncode != 0:
        raise GateError(f"`{text}` exited with {process.returncode}:\n{errors.strip()[-2000:]}")
    return output


def communicate_and_sample(process, deadline_seconds, sample):
    for _ in range(deadline_seconds * 100):
        sample(process.pid)
        try:
            return process.communicate(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
    raise subprocess.TimeoutExpired(process.args, deadline_seconds)


def all_reduces(collbench, arguments, deadline_seconds=RUN_DEADLINE_SECONDS, **options):
    """The results of one run of `collbench all-reduce`, as the JSON contract has them; a wrong element is an error."""
    command = [collbench, "all-reduce", *arguments, "--format", "json"]
    output = run(command, deadline_seconds, **options)
    try:
        results = json.loads(output)["results"]
        for result in results:
            if result["wrongElements"] != 0:
                raise ValueError(f"{result['wrongElements']} wrong elements at {result['bytes']} bytes")
            float(result["timeMicroseconds"]["median"])
    except (ValueError, KeyError, TypeError) as error:
        problem = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise GateError(f"`{' '.join(command)}`: {problem}") from error
    return results


def swift_build(what, *arguments):
    if shutil.which("swift") is None:
        raise GateError("`swift` is not on PATH. Install Swift 6.3, or name binaries with --collbench and --latency.")
    print(f"building {what} in release", file=sys.stderr)
    run(["swift", "build", "-c", "release", *arguments], BUILD_DEADLINE_SECONDS)


def build_collbench():
    swift_build("collbench", "--product", "collbench", "--package-path", ROOT)
    return os.path.join(ROOT, ".build", "release", "collbench")


def build_latency():
    swift_build("latency", "--package-path", BENCHMARKS)
    return os.path.join(BENCHMARKS, ".build", "release", "latency")


def machine():
    """The CPU's model and how many CPUs this process may use."""
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release}


def size_text(size):
    for unit, factor in (("M", 1 << 20), ("K", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def show_progress(text):
    """Overwrites one line of the terminal; says nothing into a log."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r{text}", end="", file=sys.stderr, flush=True)
