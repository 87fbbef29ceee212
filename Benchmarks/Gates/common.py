"""What all gates share: a row of the table, the programs they run, and an all-reduce by collbench."""

import os
from dataclasses import dataclass, field

from Shared.programs import BENCHMARKS, RUN_DEADLINE_SECONDS, collbench_report, swift_build


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
    own_program: str
    directory: str


def all_reduces(collbench, arguments, deadline_seconds=RUN_DEADLINE_SECONDS, **options):
    """The results of one run of `collbench all-reduce`."""
    return collbench_report([collbench, "all-reduce", *arguments], deadline_seconds, **options)["results"]


def build_benchmark(name):
    """Builds an executable of the Benchmarks package and returns its path."""
    return swift_build(name, BENCHMARKS)
