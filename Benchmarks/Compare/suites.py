"""Suites: configurations that belong together, each with the peers that take part."""

from dataclasses import dataclass

from .configuration import Configuration
from .requirements import MEBIBYTE, MPIS, OTHERS, SHM_AHEAD_SIZES, SHM_TWO_RANKS

ALL_REDUCE_SIZES = tuple(SHM_TWO_RANKS)


@dataclass(frozen=True)
class Part:
    collectives: tuple
    ranks: tuple
    sizes: tuple
    peers: tuple
    registered: bool = False


SUITES = {
    "shm": ("shm", [
        Part(("all-reduce",), (2,), ALL_REDUCE_SIZES, (*MPIS, "torch")),
        Part(("all-reduce",), (2,), (64 * MEBIBYTE, 128 * MEBIBYTE), (), registered=True),
        Part(("all-reduce",), (4,), tuple(size for size in ALL_REDUCE_SIZES if size <= 16 * MEBIBYTE), MPIS),
        Part(("all-reduce",), (8,), ALL_REDUCE_SIZES, ()),
        Part(OTHERS, (2, 4), SHM_AHEAD_SIZES, MPIS),
    ]),
}


def configurations(name, sizes):
    """The suite's configurations with their peers. With `sizes` only these of each; who has none of them is left out."""
    transport, parts = SUITES[name]
    for part in parts:
        wanted = tuple(size for size in part.sizes if sizes is None or size in sizes)
        for collective in part.collectives if wanted else ():
            for ranks in part.ranks:
                yield Configuration(collective, transport, ranks, wanted, part.registered), part.peers
