"""Running programs under a deadline, building ours, and what collbench's JSON says."""

import json
import os
import shutil
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCHMARKS = os.path.join(ROOT, "Benchmarks")
# One folder for all packages of this repository, as in Scripts/lib/common.sh, so that Tutti is compiled once.
BUILDS = os.path.join(ROOT, ".build-scripts")
BUILD_DEADLINE_SECONDS = 3600
RUN_DEADLINE_SECONDS = 180
# Between the request to end and the order: time for a launcher to stop its ranks and to remove its files.
STOP_SECONDS = 5


class MeasurementError(Exception):
    """Something could not be built, run or read: says which command, why, and what it printed."""


class ProgramError(MeasurementError):
    """A program exited with an error; `output` is what it had printed until then."""

    def __init__(self, message, output):
        super().__init__(message)
        self.output = output


class DidNotFinish(ProgramError):
    """A program was stopped at its deadline."""


def run(command, deadline_seconds, sample=None, **options):
    """Runs a command in a process group of its own, so that none of its ranks outlives a deadline or Ctrl-C.

    `sample(pid)` is called a hundred times a second while it runs.
    """
    text = " ".join(command)
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **options)
    except OSError as error:
        raise MeasurementError(f"could not start `{text}`: {error}") from error
    try:
        if sample is None:
            output, errors = process.communicate(timeout=deadline_seconds)
        else:
            output, errors = communicate_and_sample(process, deadline_seconds, sample)
    except BaseException as error:
        output = stop(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise DidNotFinish(f"`{text}` did not finish in {deadline_seconds} s", output) from error
        raise
    if process.returncode != 0:
        raise ProgramError(f"`{text}` exited with {process.returncode}:\n{errors.strip()[-2000:]}", output)
    return output


def stop(process):
    """Ends a process and its group, first by request; returns what it printed."""
    for number, patience_seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            return process.communicate(timeout=patience_seconds)[0]
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("communicate() without a timeout returns")


def communicate_and_sample(process, deadline_seconds, sample):
    for _ in range(deadline_seconds * 100):
        sample(process.pid)
        try:
            return process.communicate(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
    raise subprocess.TimeoutExpired(process.args, deadline_seconds)


def collbench_report(command, deadline_seconds=RUN_DEADLINE_SECONDS, **options):
    """What one run of collbench printed, as the JSON contract has it; a wrong element is an error."""
    command = [*command, "--format", "json"]
    output = run(command, deadline_seconds, **options)
    try:
        report = json.loads(output)
        for result in report["results"]:
            check_result(result)
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(command, error) from error
    return report


def check_result(result):
    """Raises ValueError, KeyError or TypeError where one size's result is no result or a wrong one."""
    if result["wrongElements"] != 0:
        raise ValueError(f"{result['wrongElements']} wrong elements at {result['bytes']} bytes")
    float(result["timeMicroseconds"]["median"])


def unreadable(command, error):
    problem = f"no key {error}" if isinstance(error, KeyError) else str(error)
    return MeasurementError(f"`{' '.join(command)}`: {problem}")


def swift_build(product, package):
    """Builds an executable of one of the packages in release and returns its path."""
    if shutil.which("swift") is None:
        raise MeasurementError("`swift` is not on PATH. Install Swift 6.3, or name binaries with --collbench and --latency.")
    print(f"building {product} in release", file=sys.stderr)
    # As Scripts/lib/common.sh has it: with other options all would be compiled again.
    run(["swift", "build", "-c", "release", "-debug-info-format", "none", "--product", product, "--package-path", package,
         "--scratch-path", BUILDS, "--disable-build-manifest-caching"], BUILD_DEADLINE_SECONDS)
    return os.path.join(BUILDS, "release", product)


def build_collbench():
    return swift_build("collbench", ROOT)
