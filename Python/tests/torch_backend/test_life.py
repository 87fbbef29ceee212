"""How the PyTorch backend lives and dies: fork, loaders, ranks that die, programs that just end, and input that is bad."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

from programs import PATIENCE, ProgramTests, start


class LifeTests(ProgramTests):
    def test_a_program_that_ends_without_destroying_its_group(self):
        self.finish(start("dist.all_reduce(torch.ones(4)); dist.all_reduce(torch.ones(1 << 20), async_op=True)"))

    def test_a_rank_that_dies_is_named_at_once(self):
        processes = start("""
            dist.barrier()
            if rank == 1:
                os.kill(os.getpid(), 9)
            began = time.monotonic()
            error = refused("rank 1", dist.all_reduce, torch.ones(4))
            assert isinstance(error, dist.DistBackendError)
            assert timedelta(seconds=time.monotonic() - began) < LIMIT / 2, "its death was noticed too late"
        """)
        self.finish(processes, [0, -signal.SIGKILL])

    def test_interrupt_ends_a_rank_that_waits_for_another(self):
        processes = start("""
            if rank == 1:
                time.sleep(3600)
            print("waiting", flush=True)
            dist.all_reduce(torch.ones(4))
        """)
        self.assertEqual(processes[0].stdout.readline(), "waiting\n")
        for process in processes:
            process.send_signal(signal.SIGINT)
        texts = self.finish(processes, [None, None])
        self.assertTrue(all(process.returncode != 0 for process in processes), texts)

    def test_a_forked_child_cannot_use_its_parents_group(self):
        self.finish(
            start("""
            dist.barrier()
            child = os.fork()
            if child == 0:
                refused("parent", dist.all_reduce, torch.ones(4))
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            tensor = torch.ones(4)
            dist.all_reduce(tensor)
            assert tensor[0] == 2
            dist.destroy_process_group()
        """)
        )

    def test_workers_of_a_data_loader(self):
        self.finish(
            start("""
            dist.barrier()
            loader = torch.utils.data.DataLoader(torch.arange(16.0), batch_size=4, num_workers=2)
            for batch in loader:
                dist.all_reduce(batch)
            dist.destroy_process_group()
        """)
        )

    def test_a_group_that_was_destroyed(self):
        self.finish(
            start("""
            group = dist.new_group([0, 1])
            backend = group._get_backend(torch.device("cpu"))
            dist.destroy_process_group(group)
            refused("closed", backend.allreduce, [torch.ones(2)])
            dist.barrier()
        """)
        )

    def test_bad_tensors_are_refused_and_change_nothing(self):
        self.finish(
            start("""
            refused("not contiguous", dist.all_reduce, torch.ones(4, 4).t()[1:])
            refused("cannot be combined", dist.all_reduce, torch.ones(4).to(torch.float8_e4m3fn))
            refused("floating", dist.all_reduce, torch.ones(4, dtype=torch.bool), dist.ReduceOp.AVG)
            refused("", dist.all_gather_into_tensor, torch.ones(5), torch.ones(2))
            refused("split size", dist.all_to_all_single, torch.ones(4), torch.ones(4), [4, 4], [2, 2])
            tensor = torch.ones(4)
            dist.all_reduce(tensor)
            assert tensor.tolist() == [2] * 4
        """)
        )

    def test_averages_of_integers_lose_the_fraction_and_do_not_overflow(self):
        self.finish(
            start("""
            for type in (torch.int64, torch.int32, torch.int16, torch.int8):
                tensor = torch.tensor([5 + 3 * rank, -5 - 3 * rank, 127, -128], dtype=type)
                dist.all_reduce(tensor, dist.ReduceOp.AVG)
                assert tensor.tolist() == [6, -6, 127, -128], tensor
            tensor = torch.tensor([250 + rank], dtype=torch.uint8)
            dist.all_reduce(tensor, dist.ReduceOp.AVG, async_op=True).wait()
            assert tensor.tolist() == [250], tensor
        """)
        )

    def test_sizes_that_differ_are_named_on_every_rank(self):
        self.finish(start('refused("disagree", dist.all_reduce, torch.ones(4 + rank))'))

    def test_a_wait_with_a_limit_leaves_the_operation_running(self):
        self.finish(
            start("""
            tensor = torch.ones(4)
            if rank == 1:
                dist.barrier(dist.new_group([0, 1]))
                dist.all_reduce(tensor)
            else:
                group = dist.new_group([0, 1])
                work = dist.all_reduce(tensor, async_op=True)
                refused("Timed out waiting 50ms", work.wait, timedelta(milliseconds=50))
                dist.barrier(group)
                work.wait()
            assert tensor.tolist() == [2] * 4
        """)
        )

    def test_abort_wakes_all_ranks(self):
        self.finish(
            start("""
            if rank == 0:
                dist.group.WORLD._get_backend(torch.device("cpu")).abort()
            refused("aborted", dist.all_reduce, torch.ones(4))
        """)
        )

    def test_a_work_that_is_thrown_away_keeps_its_tensors(self):
        self.finish(
            start("""
            for _ in range(50):
                dist.all_reduce(torch.ones(1 << 16), async_op=True)
            tensor = torch.ones(4)
            dist.all_reduce(tensor)
            assert tensor.tolist() == [2] * 4
            dist.destroy_process_group()
        """)
        )

    def test_detail_mode_names_the_call(self):
        os.environ["TORCH_DISTRIBUTED_DEBUG"] = "DETAIL"
        try:
            self.finish(
                start("""
                tensor = torch.ones(4)
                dist.all_reduce(tensor)
                assert tensor.tolist() == [2] * 4
            """)
            )
        finally:
            del os.environ["TORCH_DISTRIBUTED_DEBUG"]

    def test_memory_of_the_group_and_scaled_sums(self):
        self.finish(
            start("""
            backend = dist.group.WORLD._get_backend(torch.device("cpu"))
            tensor = backend.allocate_tensor(1000, dtype=torch.float32, device=torch.device("cpu"))
            tensor.fill_(1)
            dist.all_reduce(tensor)
            assert tensor.tolist() == [2] * 1000
            dist.all_reduce(tensor, dist._make_nccl_premul_sum(0.5))
            assert tensor.tolist() == [2] * 1000
        """)
        )

    def test_torchrun_restarts_ranks_that_failed(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "program.py")
            with open(program, "w") as file:
                file.write(
                    textwrap.dedent("""
                    import os, torch, torch.distributed as dist
                    dist.init_process_group("tutti")
                    dist.all_reduce(torch.ones(4))
                    if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and dist.get_rank() == 1:
                        os._exit(3)
                    dist.barrier()
                    open(os.environ["TUTTI_TEST_FOLDER"] + "/done-" + os.environ["RANK"], "w").close()
                    dist.destroy_process_group()
                """)
                )
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
            subprocess.run(
                [*command, "--max-restarts", "1", program], env={**os.environ, "TUTTI_TEST_FOLDER": folder}, check=True,
                timeout=90 * PATIENCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self.assertEqual(sorted(os.listdir(folder)), ["done-0", "done-1", "program.py"])

    def test_a_pytorch_without_a_shared_object_is_told_which_there_are(self):
        from tutti.torch import _shared_object

        self.assertEqual(_shared_object.file_name("2.13.0+cpu"), "backend-2.13.so")
        self.assertIn("for PyTorch 1.2.3: it has one for PyTorch 2.", _shared_object._advice("1.2.3"))
        with self.assertRaisesRegex(ImportError, "install a release"):
            _shared_object.file_name("main")


if __name__ == "__main__":
    unittest.main()
