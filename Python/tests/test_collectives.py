"""Every collective and type against NumPy, over shared memory and TCP."""

import unittest

import numpy as np

from .ranks import run

TYPES = "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64".split()
COMBINING = {"sum": np.add, "product": np.multiply, "min": np.minimum, "max": np.maximum}


def numbers(rank, count, type="int64"):
    """Small numbers that the type has, different on each rank; negative ones where there are such."""
    first = -2 if np.dtype(type).kind in "if" else 0
    return ((np.arange(count) * 7 + rank * 3) % 5 + first).astype(type)


def combined(ranks, count, type, combine):
    result = numbers(0, count, type)
    for rank in range(1, ranks):
        result = combine(result, numbers(rank, count, type))
    return result


def same(got, expected):
    np.testing.assert_array_equal(got, expected)


def every_type(c):
    for type in TYPES:
        for name, combine in COMBINING.items():
            data = numbers(c.rank, 37, type)
            c.all_reduce(data, name)
            same(data, combined(c.rank_count, 37, type, combine))
    for name, combine in (("bitwise_and", np.bitwise_and), ("bitwise_or", np.bitwise_or), ("bitwise_xor", np.bitwise_xor)):
        data = numbers(c.rank, 5, "uint16")
        c.all_reduce(data, name)
        same(data, combined(c.rank_count, 5, "uint16", combine))
    data = np.full(4, c.rank, "float32")
    c.all_reduce(data, "average")
    same(data, np.full(4, (c.rank_count - 1) / 2, "float32"))
    c.barrier()


def every_collective(c):
    n, rank = c.rank_count, c.rank
    whole = np.concatenate([numbers(other, 6) for other in range(n)])
    total = combined(n, 6 * n, "int64", np.add)
    output = np.zeros(6, "int64")
    c.reduce(numbers(rank, 6), root=n - 1, output=output)
    same(output, combined(n, 6, "int64", np.add) if rank == n - 1 else 0)
    c.reduce_scatter(numbers(rank, 6 * n), output)
    same(output, total[6 * rank :][:6])
    data = numbers(rank, 6)
    c.broadcast(data, root=1)
    same(data, numbers(1, 6))
    gathered = np.zeros((n, 6), "int64")
    c.all_gather(numbers(rank, 6), gathered)
    same(gathered.ravel(), whole)
    gathered[:] = 0
    c.gather(numbers(rank, 6), gathered, root=0)
    same(gathered.ravel(), whole if rank == 0 else 0)
    c.scatter(whole if rank == 0 else None, output)
    same(output, numbers(rank, 6))
    exchanged = np.zeros(2 * n, "int64")
    c.all_to_all(np.repeat(np.arange(n) * 10 + rank, 2), exchanged)
    same(exchanged, np.repeat(np.arange(n) + rank * 10, 2))
    scaled = np.ones(3, "float64")
    c.all_reduce(scaled, factor=0.5)
    same(scaled, n / 2)
    c.reduce_scatter(np.ones(n, "float32"), scaled := np.zeros(1, "float32"), factor=0.25)
    same(scaled, n / 4)
    c.monitored_barrier()


def uneven_blocks(c):
    n, rank = c.rank_count, c.rank
    sizes = [other + 1 for other in range(n)]
    whole = np.concatenate([numbers(other, sizes[other]) for other in range(n)])
    mine, output = numbers(rank, sizes[rank]), np.zeros(sizes[rank], "int64")
    gathered = np.zeros(sum(sizes), "int64")
    c.all_gather(mine, gathered, counts=sizes)
    same(gathered, whole)
    gathered[:] = 0
    c.gather(mine, gathered, counts=sizes)
    same(gathered, whole if rank == 0 else 0)
    c.scatter(whole if rank == 0 else None, output, counts=sizes)
    same(output, mine)
    first = sum(sizes[:rank])
    block = combined(n, sum(sizes), "int64", np.add)[first : first + sizes[rank]]
    c.reduce_scatter(numbers(rank, sum(sizes)), output, counts=sizes)
    same(output, block)
    pieces = np.split(numbers(rank, sum(sizes)), np.cumsum(sizes)[:-1])
    c.reduce_scatter_list(pieces, output)
    same(output, block)
    outputs = [np.zeros(size, "int64") for size in sizes]
    c.all_gather_list(mine, outputs)
    same(np.concatenate(outputs), whole)
    received = np.zeros(n * sizes[rank], "int64")
    c.all_to_all(np.repeat(np.arange(n), sizes), received, send_counts=sizes, receive_counts=[sizes[rank]] * n)
    same(received, rank)
    c.barrier()


class CollectiveTests(unittest.TestCase):
    def test_every_type(self):
        run(2, every_type)

    def test_every_collective(self):
        for transport in ("shm", "tcp"):
            run(3, every_collective, transport)

    def test_uneven_blocks(self):
        run(3, uneven_blocks)
