"""Programs of several ranks, which tests start and wait for."""

import os
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

PATIENCE = float(os.environ.get("TUTTI_TEST_PATIENCE", "1"))
PREAMBLE = """
    import os, sys, time
    from datetime import timedelta
    import torch
    import torch.distributed as dist
    rank = int(os.environ["RANK"])
    def refused(text, function, *arguments, **named):
        try:
            function(*arguments, **named)
        except Exception as error:
            assert text in str(error), f"{text!r} is not in: {error}"
            return error
        raise AssertionError(f"nothing was raised, and {text!r} was expected")
    def check_all_reduce():
        tensor = torch.ones(4)
        dist.all_reduce(tensor)
        assert tensor.tolist() == [dist.get_world_size()] * 4, tensor
    LIMIT = timedelta(seconds=float(os.environ["LIMIT"]))
    def join(path=os.environ["STORE"]):
        ranks = int(os.environ["WORLD_SIZE"])
        dist.init_process_group("tutti", init_method="file://" + path, rank=rank, world_size=ranks, timeout=LIMIT)
"""


def start(body, ranks=2, store=None, joined=True):
    """Starts a program's ranks.

    - store: the file over which they meet; None for one of their own.
    - joined: whether they have made their group when `body` begins; it may call `join` otherwise.
    """
    if store is None:
        store = tempfile.NamedTemporaryFile(prefix="tutti-torch-", delete=False).name
        os.unlink(store)
    text = textwrap.dedent(PREAMBLE) + ("join()\n" if joined else "") + textwrap.dedent(body)
    processes = []
    for rank in range(ranks):
        own = {"RANK": str(rank), "WORLD_SIZE": str(ranks), "STORE": store, "LIMIT": str(30 * PATIENCE)}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", text], env={**os.environ, **own}, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    return processes


class ProgramTests(unittest.TestCase):
    """What the tests of programs have in common."""

    def finish(self, processes, statuses=None):
        """Returns what the ranks wrote; fails where one did not end in time, or not with its status (0)."""
        deadline, texts = time.monotonic() + 60 * PATIENCE, []
        for process in processes:
            try:
                texts.append(process.communicate(timeout=max(1, deadline - time.monotonic()))[0])
            except subprocess.TimeoutExpired:
                for other in processes:
                    other.kill()
                self.fail(f"a rank did not end; it wrote: {process.communicate()[0][-3000:]}")
        for rank, process in enumerate(processes):
            wanted = 0 if statuses is None else statuses[rank]
            if wanted is not None:
                self.assertEqual(process.returncode, wanted, f"rank {rank} wrote: {texts[rank][-3000:]}")
        return texts
