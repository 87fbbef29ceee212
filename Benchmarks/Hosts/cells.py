"""What has been measured: each side's medians at one size, and what was said of those that have none."""

from dataclasses import dataclass, field

from Compare.configuration import Configuration
from Shared.machine import size_text

from .layout import Layout

AUTO = "auto"
# Timed operations up to so many bytes. Where they are few, only the operation whose result is checked warms up.
ITERATIONS = ((64 << 10, 100), (1 << 20, 20), (8 << 20, 5), (32 << 20, 3), (1 << 62, 2))
# The same where contenders are sorted out.
TRIAL_ITERATIONS = ((64 << 10, 20), (1 << 20, 4), (1 << 62, 1))
# Larger messages tell nothing new about an algorithm: links are full long before.
TRIAL_BYTES_MAX = 4 << 20


@dataclass(frozen=True)
class Sample:
    """One contender's turn; `algorithm` is what ran, where a library of ours chose it."""
    round: int
    microseconds: float
    algorithm: str | None = None


@dataclass
class Cell:
    """One collective at one size on one layout. `fixed` are the algorithms that take part, the trial's best first."""
    layout: Layout
    collective: str
    bytes: int
    # The size that the trial takes in its place.
    trial_bytes: int
    fixed: list = field(default_factory=list)
    # By contender: `auto`, an algorithm or a peer.
    samples: dict = field(default_factory=dict)
    # By contender, why it has no time.
    notes: dict = field(default_factory=dict)
    # Peers that did not end in time, which counts as slower.
    unfinished: set = field(default_factory=set)

    @property
    def key(self):
        """What the cell is called by within its layout."""
        return self.collective, self.bytes

    @property
    def name(self):
        return f"{self.layout.name}, {self.collective}, {size_text(self.bytes)}"

    def add(self, contender, sample):
        self.samples.setdefault(contender, []).append(sample)

    def best(self, contender):
        """The sample with the best median over the rounds, or None."""
        return min(self.samples.get(contender, []), key=lambda sample: sample.microseconds, default=None)

    @property
    def best_fixed(self):
        """The fastest fixed algorithm's name and sample, or None."""
        found = [(name, self.best(name)) for name in self.fixed if self.best(name)]
        return min(found, key=lambda pair: pair[1].microseconds, default=None)


def by_size(size, table):
    """What a table of pairs, each of the most bytes and a value, has for a size."""
    return next(value for most, value in table if size <= most)


def warmup(count):
    return count // 10


def cells_of(layout, sizes_of):
    """The cells of a layout. `sizes_of` has each collective's sizes; they are rounded up to whole elements for each rank."""
    found = {}
    for collective, sizes in sizes_of.items():
        configuration = Configuration(collective, "tcp", layout.ranks, tuple(sizes))
        for size in sizes:
            trial_bytes = configuration.bytes_of(min(size, TRIAL_BYTES_MAX))
            cell = Cell(layout, collective, configuration.bytes_of(size), trial_bytes)
            found[cell.key] = cell
    return list(found.values())
