"""How the ranks of a job lie on hosts, and what a network of such hosts can do at best."""

from dataclasses import dataclass

ORDERS = ("in-order", "round-robin")

# The share of a message's bytes that has to cross each host's link in one direction, among h hosts.
HOST_FACTORS = {
    "all-reduce": lambda h: 2 * (h - 1) / h,
    "reduce-scatter": lambda h: (h - 1) / h,
    "all-gather": lambda h: (h - 1) / h,
    "broadcast": lambda h: 1,
}
COLLECTIVES = list(HOST_FACTORS)


@dataclass(frozen=True)
class Layout:
    """In order, the first host has the first ranks; round-robin, rank R is on host R mod hosts."""
    hosts: int
    ranks_per_host: int
    order: str

    @property
    def ranks(self):
        return self.hosts * self.ranks_per_host

    @property
    def size_name(self):
        return f"{self.hosts}x{self.ranks_per_host}"

    @property
    def name(self):
        return f"{self.size_name} {self.order}"

    @property
    def addresses(self):
        """The hosts' addresses, as Scripts/test-hosts gives them."""
        return [f"10.77.0.{index + 1}" for index in range(self.hosts)]

    @property
    def first_rank_elsewhere(self):
        """The first rank that is not on the host of rank 0."""
        return self.ranks_per_host if self.order == "in-order" else 1

    def bound_microseconds(self, collective, size, bytes_per_microsecond):
        """The time that the links alone take, at the rate that was measured of one."""
        return HOST_FACTORS[collective](self.hosts) * size / bytes_per_microsecond


def read_layout(text):
    """Hosts and ranks per host of `4x2`; ValueError where it is something else."""
    words = text.split("x")
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        raise ValueError(f"'{text}' is no layout; write HOSTSxRANKS, such as 4x2")
    hosts, ranks_per_host = map(int, words)
    if not 2 <= hosts <= 200 or not 1 <= ranks_per_host <= 64:
        raise ValueError(f"'{text}': give 2 to 200 hosts with 1 to 64 ranks each")
    return hosts, ranks_per_host
