"""Gates on memory and on bounded time, and information that has no gate: one run each."""

import glob
import os
import time
from dataclasses import dataclass

from Shared.machine import show_progress
from Shared.programs import RUN_DEADLINE_SECONDS, DidNotFinish, MeasurementError, run

from .common import Row, all_reduces

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class MemoryGate:
    """MiB of a rank's own memory beyond the caller's buffers: 8 ranks, 64 MiB messages, the peak over all algorithms.

    Sampled from /proc/PID/status: RssAnon + RssShmem, the caller's input and output subtracted. RssShmem counts the pages of
    peers' regions that a rank has read as well, so that the true number is lower; the kernel's socket buffers are not in it.
    """
    transport: str
    limit: float
    kind = "memory"
    ranks = 8
    message_bytes = 64 * MEBIBYTE
    size = None

    @property
    def name(self):
        return f"{self.transport} {self.ranks} ranks"

    def measure(self, programs):
        peaks = {}

        def sample(launcher):
            for rank in children(launcher):
                resident = resident_bytes(rank)
                if resident is not None:
                    peaks[rank] = max(peaks.get(rank, (0, 0, 0)), (sum(resident), *resident))

        all_reduces(
            programs.collbench,
            ["--ranks", str(self.ranks), "--transport", self.transport, "--sizes", str(self.message_bytes),
             "--algorithm", "all", "--iterations", "3"], sample=sample)
        buffers = 2 * self.message_bytes
        if len(peaks) < self.ranks or min(peaks.values())[0] < buffers:
            raise MeasurementError(f"{self.name}: only {len(peaks)} ranks of {self.ranks} were seen with their buffers "
                                   "resident; /proc may hide other processes")
        total, anonymous, shared = max(peaks.values())
        own = (total - buffers) / MEBIBYTE
        return Row(self.kind, self.name, own, "MiB", self.limit,
                   f"private {(anonymous - buffers) / MEBIBYTE:.1f} MiB, shared {shared / MEBIBYTE:.1f} MiB",
                   {"transport": self.transport, "bytes": self.message_bytes, "bufferBytes": buffers,
                    "ranks": [{"anonymousBytes": peak[1], "sharedBytes": peak[2]} for peak in peaks.values()]})


@dataclass(frozen=True)
class FinishGate:
    """Seconds in which 8 ranks on 2 cores finish every size from 4 B to 64 MiB.

    Ranks that spin while the one they wait for has no core cost a scheduler's time slice an operation: minutes here.
    """
    transport: str
    limit: float
    kind = "finish"
    ranks = 8
    cores = 2
    size = None

    @property
    def name(self):
        return f"{self.transport} {self.ranks} ranks, {self.cores} cores"

    def measure(self, programs):
        allowed = sorted(os.sched_getaffinity(0))[:self.cores]
        start = time.monotonic()
        try:
            results = all_reduces(
                programs.collbench,
                ["--ranks", str(self.ranks), "--transport", self.transport, "--min-bytes", "4", "--max-bytes", "64M",
                 "--factor", "8"],
                deadline_seconds=int(self.limit * 2), preexec_fn=lambda: os.sched_setaffinity(0, allowed))
        except DidNotFinish:
            return Row(self.kind, self.name, self.limit * 2, "s", self.limit, "did not finish",
                       {"transport": self.transport})
        seconds = time.monotonic() - start
        sizes = [result["bytes"] for result in results]
        if sizes != [4 * 8 ** power for power in range(9)]:
            raise MeasurementError(f"{self.name}: collbench ran the sizes {sizes}")
        first, last = (results[index]["timeMicroseconds"]["median"] for index in (0, -1))
        return Row(self.kind, self.name, seconds, "s", self.limit, f"4 B {first:.1f} us, 64 MiB {last / 1000:.1f} ms",
                   {"transport": self.transport, "results": results})


@dataclass(frozen=True)
class ProofGate:
    """Seconds in which every algorithm is proven at 1 to 64 ranks."""
    limit: float
    kind = "proof"
    transport = None
    size = None
    name = "1 to 64 ranks"

    def measure(self, programs):
        start = time.monotonic()
        output = run([programs.collbench, "verify", "--max-ranks", "64"], int(self.limit * 4))
        seconds = time.monotonic() - start
        summary = output.strip().splitlines()[-1] if output.strip() else ""
        return Row(self.kind, self.name, seconds, "s", self.limit, summary.split(":")[-1].strip())


@dataclass(frozen=True)
class Overlap:
    """How much of a 16 MiB all-reduce hides behind computation that takes as long: 1 all of it, 0 nothing. Information.

    On one host communication is computation too: with as many ranks as cores nothing is left to hide behind.
    """
    transport: str
    kind = "overlap"
    size = 16 * MEBIBYTE

    @property
    def name(self):
        return f"{self.transport} 16M"

    def measure(self, programs):
        output = run([programs.latency, "overlap", self.transport, str(self.size)], RUN_DEADLINE_SECONDS)
        words = output.split()
        if words[:3] != ["overlap", self.transport, str(self.size)] or words[3::2] != [
                "communication", "compute", "step", "hidden"]:
            raise MeasurementError(f"latency printed `{output.strip()}` instead of an overlap")
        communication, compute, step, hidden = (float(word) for word in words[4::2])
        return Row(self.kind, self.name, hidden, "hidden", None,
                   f"communication {communication:.0f} us, compute {compute:.0f} us, both {step:.0f} us",
                   {"transport": self.transport, "bytes": self.size, "communicationMicroseconds": communication,
                    "computeMicroseconds": compute, "stepMicroseconds": step})


GATES = [
    MemoryGate("shm", 16), MemoryGate("tcp", 16),
    FinishGate("shm", 60), FinishGate("tcp", 60),
    ProofGate(30),
    Overlap("shm"), Overlap("tcp"),
]


def children(pid):
    """The processes a launcher has started; the kernel lists them by the thread that did."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass  # The thread has ended since.
    return found


def resident_bytes(pid):
    """Anonymous and shared bytes of a process, or None when it has ended."""
    values = {}
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key in ("RssAnon", "RssShmem"):
                    values[key] = int(value.split()[0]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return None
    # A process that has ended and was not yet waited for has no such lines.
    return (values["RssAnon"], values["RssShmem"]) if len(values) == 2 else None


def measure(gates, programs):
    rows = []
    for gate in gates:
        show_progress(f"{gate.kind} {gate.name}")
        rows.append(gate.measure(programs))
    return rows
