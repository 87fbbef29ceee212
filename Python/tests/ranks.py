"""Runs a function as the ranks of a job: each a process of its own, with a limit of time for all of them."""

import itertools
import multiprocessing
import os
import time
import traceback

import tutti

PATIENCE = float(os.environ.get("TUTTI_TEST_PATIENCE", "1"))
_numbers = itertools.count()
# The package is loaded once; each rank is forked from that, before any communicator exists.
_context = multiprocessing.get_context("fork")


def _rank(function, rank, ranks, transport, address, results):
    try:
        communicator = tutti.Communicator.join(
            rank, ranks, address, secret=b"a secret of thirty-two bytes....", transport=transport,
            timeout=30 * PATIENCE, join_timeout=30 * PATIENCE,
        )  # fmt: skip
        results.put((rank, "returned", function(communicator)))
    except BaseException:
        results.put((rank, "failed", traceback.format_exc()))


def run(ranks, function, transport="shm", but=()):
    """Returns what `function` returned on each rank, by rank; fails where one raised, or did not answer in time.

    - but: ranks that are not expected to answer.
    """
    results = _context.SimpleQueue()
    address = f"unix:@tutti-python-{os.getpid()}-{next(_numbers)}"
    arguments = [(function, rank, ranks, transport, address, results) for rank in range(ranks)]
    processes = [_context.Process(target=_rank, args=one, daemon=True) for one in arguments]
    for process in processes:
        process.start()
    answers, deadline = {}, time.monotonic() + 40 * PATIENCE
    while len(answers) < ranks - len(but):
        if results.empty():
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
            continue
        rank, how, value = results.get()
        if how == "failed":
            deadline = min(deadline, time.monotonic() + 1)
            print(f"rank {rank}: {value}")
        else:
            answers[rank] = value
    for process in processes:
        process.join(0 if len(answers) < ranks - len(but) else 5 * PATIENCE)
        if process.is_alive():
            process.kill()
    missing = [rank for rank in range(ranks) if rank not in answers and rank not in but]
    if missing:
        raise AssertionError(f"ranks {missing} of {ranks} over {transport} failed or did not answer in time")
    return answers
