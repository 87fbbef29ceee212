"""Gates on time, in rounds: what is compared takes turns, and each side counts with its best median over the rounds."""

import os
import secrets
from dataclasses import dataclass

from Shared import floors
from Shared.machine import show_progress, size_text
from Shared.programs import RUN_DEADLINE_SECONDS, MeasurementError, run

from .common import Row, all_reduces


@dataclass(frozen=True)
class FloorGate:
    """The largest ratio of collbench to a bare C program; 2 ranks, float32 sum."""
    transport: str
    size: int
    floor: str
    limit: float
    kind = "floors"

    @property
    def name(self):
        return f"{self.transport} {size_text(self.size)}"

    def measure_round(self, programs):
        bare = self.floor_microseconds(programs.directory)
        result = two_ranks(programs.collbench, self.transport, self.size)
        return {"floorMicroseconds": bare, "tuttiMicroseconds": result["timeMicroseconds"]["median"],
                "algorithm": result.get("algorithm")}

    def floor_microseconds(self, directory):
        times = floors.read(self.floor, run([os.path.join(directory, self.floor), str(self.size)], RUN_DEADLINE_SECONDS))
        if list(times) != [self.size]:
            raise MeasurementError(f"the floor {self.floor} was asked for {self.size} bytes and ran {list(times)}")
        return times[self.size]

    def row(self, rounds):
        bare = min(sample["floorMicroseconds"] for sample in rounds)
        best = min(rounds, key=lambda sample: sample["tuttiMicroseconds"])
        time = best["tuttiMicroseconds"]
        return Row(self.kind, self.name, time / bare, "times", self.limit,
                   f"{time:.3f} us, floor {bare:.3f} us, {best['algorithm']}",
                   {"transport": self.transport, "bytes": self.size, "floor": self.floor, "floorMicroseconds": bare,
                    "tuttiMicroseconds": time, "algorithm": best["algorithm"], "rounds": rounds})


@dataclass(frozen=True)
class LatencyGate:
    """How many microseconds starting and waiting may take more than a blocking call; 2 ranks, float32 sum."""
    transport: str
    size: int
    limit: float | None
    kind = "latency"

    @property
    def name(self):
        return f"{self.transport} {size_text(self.size)} async"

    def measure_round(self, programs):
        output = run([programs.latency, "async", self.transport, str(self.size), "--batches", "3"], RUN_DEADLINE_SECONDS)
        medians = {"blocking": [], "async": []}
        for line in output.splitlines():
            words = line.split()
            if len(words) != 5 or words[:3] != ["async", self.transport, str(self.size)] or words[3] not in medians:
                raise MeasurementError(
                    f"latency printed `{line}`, not `async {self.transport} {self.size} MODE MICROSECONDS`")
            medians[words[3]].append(float(words[4]))
        if not all(medians.values()):
            raise MeasurementError(f"latency printed no batch of {[mode for mode, times in medians.items() if not times]}")
        return {"blockingMicroseconds": min(medians["blocking"]), "asyncMicroseconds": min(medians["async"])}

    def row(self, rounds):
        blocking = min(sample["blockingMicroseconds"] for sample in rounds)
        started = min(sample["asyncMicroseconds"] for sample in rounds)
        return Row(self.kind, self.name, started - blocking, "us more", self.limit,
                   f"{started:.3f} us, blocking {blocking:.3f} us",
                   {"transport": self.transport, "bytes": self.size, "blockingMicroseconds": blocking,
                    "asyncMicroseconds": started, "rounds": rounds})


@dataclass(frozen=True)
class AgreementGate:
    """How many percent a program of its own that links the library may take more or less than collbench reports; 2 ranks.

    Both take as many iterations, and the median over them of the slower rank's time.
    """
    transport: str
    size: int
    limit: float
    kind = "agreement"

    @property
    def name(self):
        return f"{self.transport} {size_text(self.size)}"

    def measure_round(self, programs):
        result = two_ranks(programs.collbench, self.transport, self.size)
        return {"tuttiMicroseconds": result["timeMicroseconds"]["median"],
                "ownMicroseconds": own_microseconds(programs.own_program, self.transport, [self.size], result["iterations"])}

    def row(self, rounds):
        tutti = min(sample["tuttiMicroseconds"] for sample in rounds)
        own = min(sample["ownMicroseconds"] for sample in rounds)
        return Row(self.kind, self.name, abs(own / tutti - 1) * 100, "% apart", self.limit,
                   f"own program {own:.3f} us, collbench {tutti:.3f} us",
                   {"transport": self.transport, "bytes": self.size, "ownMicroseconds": own, "tuttiMicroseconds": tutti,
                    "rounds": rounds})


@dataclass(frozen=True)
class SizesGate:
    """The largest ratio of many sizes that take turns to few that do; 2 ranks, float32 sum.

    A program whose messages all differ finds its plans about as fast as one that repeats a few.
    """
    transport: str
    size: int
    limit: float
    kind = "sizes"
    few, many = 8, 200
    # A run takes some 10 ms, and the processors that its ranks get make a factor of two: so both take several turns a round.
    iterations, turns = 4000, 5

    @property
    def name(self):
        return f"{self.transport} {size_text(self.size)} x{self.many}"

    def sizes(self, count):
        """So many sizes around the gate's, spread over the same bytes however many there are."""
        return [self.size + 4 * (index * self.many // count - self.many // 2) for index in range(count)]

    def measure_round(self, programs):
        times = {self.few: [], self.many: []}
        for _ in range(self.turns):
            for count, own in times.items():
                own.append(own_microseconds(programs.own_program, self.transport, self.sizes(count), self.iterations))
        return {"fewMicroseconds": min(times[self.few]), "manyMicroseconds": min(times[self.many])}

    def row(self, rounds):
        few, many = (min(sample[key] for sample in rounds) for key in ("fewMicroseconds", "manyMicroseconds"))
        return Row(self.kind, self.name, many / few, "times", self.limit,
                   f"{self.many} sizes in turn {many:.3f} us, {self.few} sizes {few:.3f} us",
                   {"transport": self.transport, "bytes": self.size, "sizes": self.many, "fewMicroseconds": few,
                    "manyMicroseconds": many, "rounds": rounds})


def own_microseconds(program, transport, sizes, iterations):
    """The median time of an all-reduce in a program of its own, of sizes that take turns; 2 ranks."""
    text = ",".join(map(str, sizes))
    job = {"TUTTI_SIZE": "2", "TUTTI_RENDEZVOUS": f"unix:@tutti-{secrets.token_hex(16)}",
           "TUTTI_SECRET": secrets.token_hex(32)}
    # Both ranks in one process group, which ends as a whole at its deadline.
    ranks = 'TUTTI_RANK=1 "$@" & TUTTI_RANK=0 "$@"; status=$?; wait $! && exit $status'
    command = ["sh", "-c", ranks, "sh", program, transport, text, str(iterations)]
    output = run(command, RUN_DEADLINE_SECONDS, env={**os.environ, **job})
    words = output.split()
    if len(words) != 4 or words[:3] != ["own", transport, text]:
        raise MeasurementError(f"own-program printed `{output.strip()}`, not `own {transport} {text} MICROSECONDS`")
    return float(words[3])


def two_ranks(collbench, transport, size):
    """The result of one run of collbench at one size."""
    results = all_reduces(collbench, ["--ranks", "2", "--transport", transport, "--sizes", str(size)])
    ran = [(result["bytes"], result["transport"], result["ranks"]) for result in results]
    if ran != [(size, transport, 2)]:
        raise MeasurementError(f"collbench was asked for 2 ranks, {transport} and {size} bytes and ran {ran}")
    return results[0]


GATES = [
    FloorGate("shm", 8, "tiny", 1.5),
    FloorGate("shm", 4 << 10, "heap", 1.6),
    FloorGate("shm", 32 << 10, "heap", 1.6),
    FloorGate("shm", 256 << 10, "heap", 1.6),
    FloorGate("shm", 2 << 20, "heap", 1.6),
    FloorGate("shm", 16 << 20, "heap", 1.4),
    FloorGate("shm", 128 << 20, "heap", 1.4),
    FloorGate("tcp", 8, "tcp", 1.4),
    FloorGate("tcp", 4 << 10, "tcp", 1.4),
    FloorGate("tcp", 32 << 10, "tcp", 1.4),
    LatencyGate("shm", 8, 2.0),
    LatencyGate("tcp", 8, 2.0),
    # Information: the difference drowns in the transfer.
    LatencyGate("shm", 64 << 10, None),
    LatencyGate("tcp", 64 << 10, None),
    AgreementGate("shm", 8, 10),
    AgreementGate("shm", 4 << 10, 10),
    AgreementGate("shm", 256 << 10, 10),
    AgreementGate("shm", 16 << 20, 10),
    SizesGate("shm", 4 << 10, 1.2),
]


def build_floors(gates, directory):
    """Compiles the floors that the gates compare with into `directory`."""
    for name in sorted({gate.floor for gate in gates if gate.kind == "floors"}):
        floors.build(name, directory)


def measure(gates, rounds, programs):
    """All rounds of all gates, gate by gate within a round."""
    samples = {gate: [] for gate in gates}
    for number in range(rounds):
        for gate in gates:
            show_progress(f"round {number + 1}/{rounds}: {gate.kind} {gate.name}")
            samples[gate].append(gate.measure_round(programs))
    return [gate.row(rounds) for gate, rounds in samples.items()]
