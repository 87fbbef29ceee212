"""Runs PyTorch's own distributed tests, those inside its wheel, against a backend.

    python c10d_suite.py --backend gloo --world-size 3
    python c10d_suite.py --backend tutti --world-size 3
    python c10d_suite.py --as-gloo tutti.torch.testing:as_gloo --world-size 3

With --as-gloo every test of gloo runs against what that function makes of (store, rank, size, timeout): no test is left out
because of the backend's name. Ends with "N passed, N failed, N skipped".
"""

import argparse
import importlib
import json
import os
import re
import sys
import tempfile
import time
import unittest
from pathlib import Path

PASSED_BY_GLOO = Path(__file__).with_name("passed_by_gloo.txt")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="gloo", help="a backend that PyTorch knows")
    parser.add_argument("--as-gloo", metavar="MODULE:FUNCTION", help="what stands in for ProcessGroupGloo")
    parser.add_argument("--world-size", type=int, default=3)
    parser.add_argument("--only", default="", metavar="REGEX", help="run tests with such names only")
    parser.add_argument("--skip", default="", metavar="REGEX")
    parser.add_argument("--mpi", action="store_true", help="also run what PyTorch runs with MPI only: all_to_all on the CPU")
    parser.add_argument("--require", action="store_true", help="fail where a test is skipped that gloo passes")
    parser.add_argument("--fork", action="store_true", help="fork ranks, which need not import PyTorch then")
    parser.add_argument("--list", action="store_true", help="print names only")
    parser.add_argument("--out", metavar="FILE", help="write a line of JSON for each test")
    parser.add_argument("--limit", type=float, default=120, help="seconds for a test")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    os.environ["C10D_SUITE"] = json.dumps(vars(arguments))
    # What PyTorch's tests read when they are imported. TEMP_DIR is given its folders by them.
    os.environ["BACKEND"] = arguments.backend
    os.environ["WORLD_SIZE"] = str(arguments.world_size)
    os.environ.setdefault("TEMP_DIR", tempfile.mkdtemp(prefix="c10d-suite-"))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("DISTRIBUTED_TESTS_DEFAULT_TIMEOUT", str(int(arguments.limit)))
# Ranks that are spawned import this file again.
settings = argparse.Namespace(**json.loads(os.environ["C10D_SUITE"]))

import torch  # noqa: E402
import torch.distributed.distributed_c10d as c10d  # noqa: E402
from torch.testing._internal import common_distributed, common_utils  # noqa: E402


def stand_in_for_gloo(create):
    """Replaces the class that PyTorch makes for "gloo", and checks what it gets by."""
    genuine = c10d.ProcessGroupGloo

    class AnyBackend(type):
        def __instancecheck__(cls, value):
            return isinstance(value, genuine) or hasattr(value, "allreduce")

    class StandIn(metaclass=AnyBackend):
        def __new__(cls, store, rank, size, timeout=None):
            return create(store, rank, size, timeout)

    c10d.ProcessGroupGloo = StandIn


def run_tests_of_mpi():
    """Makes nothing of the decorator that leaves tests to MPI."""
    genuine = common_utils.skip_but_pass_in_sandcastle_if

    def skip_if(condition, reason):
        return (lambda test: test) if reason.startswith("Only MPI supports") else genuine(condition, reason)

    common_utils.skip_but_pass_in_sandcastle_if = skip_if


if settings.backend != "gloo":
    for feature in ("ddp", "subgroup", "plugin"):  # what gloo claims for the CPU
        common_distributed.DistTestCases.backend_feature[feature].add(settings.backend)
if settings.as_gloo:
    module, function = settings.as_gloo.split(":")
    stand_in_for_gloo(getattr(importlib.import_module(module), function))
if settings.mpi:
    run_tests_of_mpi()

from torch.testing._internal.distributed import distributed_test  # noqa: E402

if settings.backend != "gloo":
    distributed_test.PROFILING_SUPPORTED_BACKENDS.append(settings.backend)
    distributed_test.SEND_RECV_PROFILING_SUPPORTED_BACKENDS.append(settings.backend)


class SuiteTests(distributed_test.TestDistBackend, distributed_test.DistributedTest._DistTestBase):
    """PyTorch's tests, each of which starts its ranks."""

    def setUp(self):
        super().setUp()
        if settings.fork:
            self._start_processes(torch.multiprocessing.get_context("fork").Process)
        else:
            self._spawn_processes()


class Recorder(unittest.TestResult):
    """Prints a line for each test as it ends, and counts."""

    def __init__(self, out):
        super().__init__()
        self.out, self.began, self.outcomes = out, {}, {}

    def startTest(self, test):
        super().startTest(test)
        self.began[test.id()] = time.monotonic()

    def record(self, test, outcome, text=""):
        name = test.id().split(".")[-1]
        self.outcomes[name] = outcome
        seconds = round(time.monotonic() - self.began.get(test.id(), time.monotonic()), 2)
        last = text.strip().splitlines()[-1][:200] if text.strip() else ""
        if outcome != "skip":
            print(f"{outcome:5} {seconds:7.2f} {name} {last}", flush=True)
        if outcome == "fail":
            print(text, flush=True)
        if self.out:
            line = {"test": name, "outcome": outcome, "seconds": seconds, "text": text[-3000:]}
            self.out.write(json.dumps(line) + "\n")
            self.out.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.record(test, "pass")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.record(test, "skip", reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.record(test, "fail", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.record(test, "fail", self.errors[-1][1])


def passed_by_gloo(world_size):
    """Returns the tests that gloo passes with so many ranks. Lines have a name, and the rank counts if not 3, 4 and 8."""
    lines = [line.split() for line in PASSED_BY_GLOO.read_text().splitlines() if not line.startswith("#")]
    return {name for name, *counts in lines if str(world_size) in (counts or ["3", "4", "8"])}


def main():
    names = [
        name
        for name in unittest.TestLoader().getTestCaseNames(SuiteTests)
        if re.search(settings.only, name) and not (settings.skip and re.search(settings.skip, name))
    ]
    if settings.list:
        print("\n".join(names))
        return 0
    with open(settings.out or os.devnull, "w") as out:
        result = Recorder(out)
        began = time.monotonic()
        unittest.TestSuite(SuiteTests(name) for name in names).run(result)
    lacking = set()
    if settings.require:
        wanted = passed_by_gloo(settings.world_size) & set(names)
        lacking = {name for name in wanted if result.outcomes.get(name) != "pass"}
        print(f"of {len(wanted)} that gloo passes, {len(lacking)} did not pass: {', '.join(sorted(lacking)) or 'none'}")
    counts = [list(result.outcomes.values()).count(outcome) for outcome in ("pass", "fail", "skip")]
    print(f"{time.monotonic() - began:.0f} s, {settings.world_size} ranks")
    print("{} passed, {} failed, {} skipped".format(*counts))
    return 1 if counts[1] or lacking or not counts[0] else 0


if __name__ == "__main__":
    sys.exit(main())
