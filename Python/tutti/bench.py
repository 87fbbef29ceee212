"""Measures collectives from Python: `python -m tutti.bench --ranks 2 --sizes 8,4K,1M`.

Starts the ranks as processes of this machine. A time is the median over iterations of the slowest rank's, each after a
barrier, as `collbench` measures. algbw is bytes over time, in GB/s of 10^9 bytes. Every result is checked.
"""

from __future__ import annotations

import argparse
import array
import multiprocessing
import os
import statistics
import sys
import time

from . import Communicator, TuttiError

COLLECTIVES = ("all-reduce", "broadcast", "all-gather")


def size(text: str) -> int:
    """Reads a size in bytes, such as 8, 4K or 64M."""
    scale = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 0)
    try:
        number = int(text[:-1]) * scale if scale else int(text)
    except ValueError:
        number = 0
    if number < 4 or number % 4:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size: use multiples of 4 bytes, such as 8, 4K or 64M")
    return number


def sizes(text: str) -> list[int]:
    """Reads sizes that commas separate."""
    return [size(part) for part in text.split(",")]


def positive(text: str) -> int:
    """Reads a whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def prepare(communicator: Communicator, collective: str, count: int) -> tuple:
    """Returns a function that makes the call, and one that says whether the result is right."""
    rank, ranks = communicator.rank, communicator.rank_count
    source = array.array("f", [rank + 1]) * count
    if collective == "all-reduce":
        output = array.array("f", [0]) * count
        expected = array.array("f", [ranks * (ranks + 1) / 2]) * count
        return lambda: communicator.all_reduce(source, output=output), lambda: output == expected
    if collective == "broadcast":
        expected = array.array("f", [1]) * count
        return lambda: communicator.broadcast(source), lambda: source == expected
    output = array.array("f", [0]) * (count * ranks)
    expected = array.array("f", [value for value in range(1, ranks + 1) for _ in range(count)])
    return lambda: communicator.all_gather(source, output), lambda: output == expected


def measure(communicator: Communicator, options: argparse.Namespace) -> bool:
    """Measures every size; rank 0 prints. Returns whether every result was right."""
    right = True
    if communicator.rank == 0:
        print(f"{options.collective}, float32, {communicator.rank_count} ranks\n{'bytes':>12} {'us':>12} {'GB/s':>8}")
    for bytes_ in options.sizes:
        call, is_right = prepare(communicator, options.collective, bytes_ // 4)
        times = array.array("d", [0]) * options.iterations
        for index in range(-options.warmup, options.iterations):
            communicator.barrier()
            began = time.perf_counter()
            call()
            if index >= 0:
                times[index] = time.perf_counter() - began
        wrong = array.array("i", [0 if is_right() else 1])
        communicator.all_reduce(times, "max")
        communicator.all_reduce(wrong)
        right = right and wrong[0] == 0
        if communicator.rank == 0:
            median = statistics.median(times)
            note = "" if wrong[0] == 0 else f"  WRONG on {wrong[0]} ranks"
            print(f"{bytes_:>12} {median * 1e6:>12.1f} {bytes_ / median / 1e9:>8.3f}{note}", flush=True)
    return right


def run_rank(rank: int, address: str, secret: bytes, options: argparse.Namespace) -> None:
    """Is one rank of the measurement; the process ends with 0 when every result was right."""
    try:
        with Communicator.join(rank, options.ranks, address, secret=secret, transport=options.transport) as communicator:
            sys.exit(0 if measure(communicator, options) else 1)
    except TuttiError as error:
        sys.exit(f"tutti.bench: {error}")


def main() -> int:
    """Starts the ranks, waits for them, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tutti.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--collective", choices=COLLECTIVES, default="all-reduce")
    parser.add_argument("--ranks", type=positive, default=2)
    parser.add_argument("--transport", choices=("auto", "shm", "tcp", "rdma"), default="auto")
    parser.add_argument("--sizes", type=sizes, default=[8, 4 << 10, 1 << 20], help="in bytes: 8,4K,1M")
    parser.add_argument("--iterations", type=positive, default=100)
    parser.add_argument("--warmup", type=positive, default=10)
    options = parser.parse_args()
    address, secret = f"unix:@tutti-bench-{os.getpid()}", os.urandom(32)
    # Started, not forked, so that each is a process as users have them.
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=run_rank, args=(rank, address, secret, options)) for rank in range(options.ranks)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    return 0 if all(process.exitcode == 0 for process in ranks) else 1


if __name__ == "__main__":
    sys.exit(main())
