"""What is compared: one collective over one transport among so many ranks, at some sizes; and what is required of it."""

from dataclasses import dataclass

from Shared.machine import size_text

KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20
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

# How many times faster than the peer, at least. AHEAD: faster at all.
AHEAD = 1.0
OPEN_MPI_TWO_RANKS = {8: 1.2, 4 * KIBIBYTE: 1.8, 32 * KIBIBYTE: 1.8, 256 * KIBIBYTE: 1.5, 2 * MEBIBYTE: 1.1,
                      16 * MEBIBYTE: 1.3}
AHEAD_SIZES = (8, 32 * KIBIBYTE, 2 * MEBIBYTE)


@dataclass(frozen=True)
class Configuration:
    """`sizes` are the bytes asked for; `bytes_of` gives what they become."""
    collective: str
    transport: str
    ranks: int
    sizes: tuple

    @property
    def name(self):
        return f"{self.collective}, {self.transport}, {self.ranks} ranks"

    @property
    def file_name(self):
        return f"{self.collective}-{self.transport}-{self.ranks}"

    def bytes_of(self, asked):
        """The next size that gives every rank equal blocks of at least one whole element."""
        unit = ELEMENT_BYTES * (self.ranks if self.collective in BLOCKWISE else 1)
        return (asked + unit - 1) // unit * unit

    def size_text(self, asked):
        given = self.bytes_of(asked)
        return size_text(asked) if given == asked else f"{size_text(asked)} as {size_text(given)}"

    def bus_gigabytes_per_second(self, size, microseconds):
        return size / 1e3 / microseconds * BUS_FACTORS[self.collective](self.ranks)

    def required_ratio(self, peer, asked):
        """How many times faster than `peer` the library must be here, or None where nothing is required."""
        if self.transport != "tcp":
            return None
        if self.collective == "all-reduce":
            if self.ranks == 2 and peer == "openmpi":
                return OPEN_MPI_TWO_RANKS.get(asked)
            if self.ranks == 2 and peer == "gloo":
                return 5.0 if asked <= 32 * KIBIBYTE else 2.0
            return AHEAD if self.ranks == 4 and peer == "openmpi" else None
        if self.collective in ("all-gather", "reduce-scatter", "broadcast", "all-to-all"):
            return AHEAD if self.ranks == 4 and peer == "openmpi" and asked in AHEAD_SIZES else None
        return None
