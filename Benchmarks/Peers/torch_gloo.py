"""Measures all-reduce of PyTorch over its gloo backend, which works over TCP, here on the loopback interface.

Arguments and output are those of peer.h, whose way of timing this repeats: float32, as many iterations, the median over
them of the maximum over ranks, each after a barrier, and results checked outside the timed part. Starts its ranks itself:
they meet through a file in the folder --store, which must exist and be empty. PyTorch reduces in place, so the input is
copied into the tensor before the barrier; that is not timed.
"""

import argparse
import ctypes
import json
import os
import signal
import statistics
import sys
import time

PR_SET_PDEATHSIG = 1
RANK = 0


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("collective", choices=["all-reduce"])
    parser.add_argument("sizes", type=int, nargs="+", metavar="BYTES")
    parser.add_argument("--budget", type=float, default=10)
    parser.add_argument("--deadline", type=int, default=600)
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("--store", required=True)
    return parser.parse_args()


def live_no_longer_than(seconds):
    """Bounds this process, also when its parent is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.alarm(seconds)


def iterations_for(size):
    """Timed operations of a size, as collbench has them."""
    for limit, count in ((64 << 10, 1000), (1 << 20, 200), (16 << 20, 40), (256 << 20, 10)):
        if size < limit:
            return count
    return 3


def maximum(torch, values):
    """Each value's maximum over all ranks, on all ranks."""
    tensor = torch.tensor(values, dtype=torch.float64)
    torch.distributed.all_reduce(tensor, op=torch.distributed.ReduceOp.MAX)
    return tensor.tolist()


def measure(torch, arguments, size):
    distributed = torch.distributed
    index = torch.arange(size // 4, dtype=torch.int64)

    def values(rank):
        # Small integers: their sums are exact in float32.
        return ((index * 31 + rank * 17) % 128).to(torch.float32)

    operand, expected = values(RANK), sum(values(rank) for rank in range(arguments.ranks))
    tensor = torch.empty_like(operand)

    def operate():
        tensor.copy_(operand)
        distributed.barrier()
        start = time.perf_counter()
        distributed.all_reduce(tensor)
        return (time.perf_counter() - start) * 1e6

    iterations = iterations_for(size)
    batch = max(1, iterations // 10)
    start = time.perf_counter()
    for _ in range(batch):
        operate()
    wrong = int((tensor != expected).sum())
    times, elapsed = [], 0
    # All ranks must stop after the same batch.
    while len(times) < iterations and elapsed <= arguments.budget:
        times += [operate() for _ in range(batch)]
        elapsed = maximum(torch, [time.perf_counter() - start])[0]
    wrong += int((tensor != expected).sum())
    wrong = maximum(torch, [wrong])[0]
    return maximum(torch, times), wrong


def run_rank(arguments):
    import torch  # pylint: disable=import-outside-toplevel  # It starts threads, so after the fork.
    import torch.distributed as distributed

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=f"file://{os.path.abspath(arguments.store)}/store", rank=RANK,
                                   world_size=arguments.ranks)
    for size in arguments.sizes:
        times, wrong = measure(torch, arguments, size)
        if RANK == 0:
            print(json.dumps({
                "collective": "all-reduce", "bytes": size, "ranks": arguments.ranks, "algorithm": "default",
                "iterations": len(times),
                "timeMicroseconds": {"min": round(min(times), 3), "median": round(statistics.median(times), 3),
                                     "mean": round(statistics.fmean(times), 3), "max": round(max(times), 3)},
                "wrongElements": int(wrong)}), flush=True)
    # A rank that leaves early closes sockets that others still read.
    distributed.barrier()
    distributed.destroy_process_group()


def main():
    global RANK  # pylint: disable=global-statement  # The one place that sets it, once a process.
    arguments = parse_arguments()
    for rank in range(1, arguments.ranks):
        if RANK == 0 and os.fork() == 0:
            RANK = rank
    live_no_longer_than(arguments.deadline)
    run_rank(arguments)
    failed = False
    if RANK == 0:
        for _ in range(1, arguments.ranks):
            failed = os.wait()[1] != 0 or failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
