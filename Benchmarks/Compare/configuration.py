"""What is compared: one collective over one transport among so many ranks, at some sizes."""

from dataclasses import dataclass

from Shared.machine import size_text

ELEMENT_BYTES = 4
# The share of the bytes that busbw counts, as nccl-tests defines it, for n ranks.
BUS_FACTORS = {
    "all-reduce": lambda n: 2 * (n - 1) / n,
    "all-gather": lambda n: (n - 1) / n,
    "reduce-scatter": lambda n: (n - 1) / n,
    "broadcast": lambda n: 1,
    "all-to-all": lambda n: (n - 1) / n,
    "reduce": lambda n: 1,
    "gather": lambda n: (n - 1) / n,
    "scatter": lambda n: (n - 1) / n,
}
COLLECTIVES = list(BUS_FACTORS)
# Their bytes are the blocks of all ranks together.
BLOCKWISE = {"all-gather", "reduce-scatter", "all-to-all", "gather", "scatter"}
TRANSPORTS = ["tcp", "shm"]


@dataclass(frozen=True)
class Configuration:
    """`sizes` are the bytes asked for; `bytes_of` gives what they become."""
    collective: str
    transport: str
    ranks: int
    sizes: tuple
    # This library's buffers are its own registered memory, instead of the heap's. No peer has such a thing.
    registered: bool = False

    @property
    def name(self):
        return f"{self.collective}, {self.transport}, {self.ranks} ranks" + (", registered" if self.registered else "")

    @property
    def file_name(self):
        return f"{self.collective}-{self.transport}-{self.ranks}" + ("-registered" if self.registered else "")

    def bytes_of(self, asked):
        """The next size that gives every rank equal blocks of at least one whole element."""
        unit = ELEMENT_BYTES * (self.ranks if self.collective in BLOCKWISE else 1)
        return (asked + unit - 1) // unit * unit

    def size_text(self, asked):
        given = self.bytes_of(asked)
        return size_text(asked) if given == asked else f"{size_text(asked)} as {size_text(given)}"

    def bus_gigabytes_per_second(self, size, microseconds):
        return size / 1e3 / microseconds * BUS_FACTORS[self.collective](self.ranks)
