"""How groups meet over the stores of PyTorch: files that earlier groups left, several groups over one store, threads."""

import os
import tempfile
import unittest

from programs import ProgramTests, start


class FileTests(ProgramTests):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = os.path.join(folder.name, "store")

    def test_one_file_serves_one_job_after_the_other(self):
        for _ in range(3):
            self.finish(start("check_all_reduce(); dist.destroy_process_group()", store=self.file))
            # PyTorch removes the file with the last rank, but now and then it does not, with gloo as well as with Tutti
            # (2 and 4 of 70 jobs), and its documents then leave that to the user.
            if os.path.exists(self.file):
                os.unlink(self.file)

    def test_a_job_does_not_follow_the_address_that_a_killed_one_left(self):
        self.finish(start("os.kill(os.getpid(), 9)", store=self.file), [None, None])
        self.assertTrue(os.path.exists(self.file))
        # Rank 1 comes first, so that it finds the old address.
        self.finish(start("time.sleep(2 * (1 - rank)); join(); check_all_reduce()", store=self.file, joined=False))

    def test_a_rank_that_comes_late_is_waited_for(self):
        self.finish(start("time.sleep(3 * rank); join(); check_all_reduce()", store=self.file, joined=False))

    def test_a_group_is_made_again_over_the_same_file(self):
        body = "for _ in range(5): join(); check_all_reduce(); dist.destroy_process_group()"
        self.finish(start(body, store=self.file, joined=False))

    def test_a_rank_without_the_others_says_who_is_missing(self):
        # Rank 1 comes when rank 0 has given up, whose address is still in the file.
        body = "time.sleep(5 * rank); LIMIT = timedelta(seconds=2)"
        body += "; refused(['rank 1 of 2 has not joined', 'rank 0 cannot be reached'][rank], join)"
        self.finish(start(body, store=self.file, joined=False))


class StoreTests(ProgramTests):
    def test_a_group_is_made_again_over_the_same_store(self):
        self.finish(
            start(
                """
                store = dist.PrefixStore("outer", dist.PrefixStore("inner", dist.FileStore(os.environ["STORE"], 2)))
                for turn in range(5):
                    dist.init_process_group("tutti", store=store, rank=rank, world_size=2, timeout=LIMIT)
                    check_all_reduce()
                    dist.destroy_process_group()
                """,
                joined=False,
            )
        )

    def test_many_groups_are_made_over_one_store_at_once(self):
        self.finish(
            start(
                """
                import threading
                from tutti.torch import create
                store, failed = dist.FileStore(os.environ["STORE"], 2), []
                def member(number):
                    try:
                        group = create(dist.PrefixStore(str(number), store), rank, 2, LIMIT)
                        tensor = torch.full((4,), float(number))
                        group.allreduce([tensor]).wait()
                        assert tensor.tolist() == [2.0 * number] * 4, tensor
                    except BaseException as error:
                        failed.append(error)
                numbers = range(8) if rank == 0 else range(7, -1, -1)
                threads = [threading.Thread(target=member, args=[number]) for number in numbers]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
                assert not failed, failed
                """,
                joined=False,
            )
        )

    def test_threads_meet_over_a_store_in_memory(self):
        self.finish(
            start(
                """
                import threading
                from tutti.torch import create
                store, failed = dist.HashStore(), []
                def member(number):
                    try:
                        for turn in range(3):
                            group = create(dist.PrefixStore("group", store), number, 3, LIMIT)
                            tensor = torch.full((4,), float(number))
                            group.allreduce([tensor]).wait()
                            assert tensor.tolist() == [3.0] * 4, tensor
                            group.shutdown()
                    except BaseException as error:
                        failed.append(error)
                threads = [threading.Thread(target=member, args=[number]) for number in range(3)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
                assert not failed, failed
                """,
                ranks=1, joined=False,
            )
        )  # fmt: skip

    def test_a_store_of_a_python_class(self):
        self.finish(
            start(
                """
                class Logging(dist.Store):
                    def __init__(self, inner):
                        super().__init__()
                        self.inner, self.keys = inner, set()
                    def set(self, key, value):
                        self.keys.add(key)
                        self.inner.set(key, value)
                    def get(self, key): return self.inner.get(key)
                    def check(self, keys): return self.inner.check(keys)
                store = Logging(dist.FileStore(os.environ["STORE"], 2))
                from tutti.torch import create
                group = create(store, rank, 2, LIMIT)
                tensor = torch.ones(4)
                group.allreduce([tensor]).wait()
                assert tensor.tolist() == [2] * 4, tensor
                assert len(store.keys) == 1 - rank, store.keys
                """,
                joined=False,
            )
        )

    def test_the_error_of_a_store_is_told(self):
        self.finish(
            start(
                """
                class Broken(dist.Store):
                    def set(self, key, value): raise RuntimeError("the disk is full")
                from tutti.torch import create
                refused("the disk is full", create, Broken(), 0, 2, timedelta(seconds=5))
                """,
                ranks=1, joined=False,
            )
        )  # fmt: skip


if __name__ == "__main__":
    unittest.main()
