"""Started operations, messages, errors and bad arguments."""

import array
import os
import pickle
import signal
import threading
import unittest

import numpy as np

import tutti

from .ranks import PATIENCE, run


def started(c):
    arrays = [np.full(1000, c.rank + index) for index in range(8)]
    work = tutti.combine([c.start.all_reduce(data) for data in arrays])
    ended, errors = threading.Event(), []
    work.when_ended(lambda error: (errors.append(error), ended.set()))
    work.wait()
    assert ended.wait(20 * PATIENCE) and errors == [None] and work.test()
    total = sum(range(c.rank_count))
    assert all((data == total + index * c.rank_count).all() for index, data in enumerate(arrays))
    c.barrier()


def messages(c):
    data = np.zeros(2)
    if c.rank == 0:
        for tag in (7, 5):
            got = {}
            for _ in range(c.rank_count - 1):
                source = c.receive(data, tutti.ANY_RANK, tag=tag)
                got[source] = data.tolist()
            assert got == {rank: [rank, tag] for rank in range(1, c.rank_count)}, got
    else:
        works = [c.start.send(np.array([c.rank, tag], "float64"), 0, tag=tag) for tag in (5, 7)]
        assert all(work.wait() for work in works)
    with c.duplicate() as other:
        after, before = (c.rank + 1) % c.rank_count, (c.rank - 1) % c.rank_count
        other.send_receive(np.full(2, c.rank, "float64"), after, data, before)
        assert data.tolist() == [before, before]
        c.barrier()
    part = c.split(c.rank % 2, key=-c.rank)
    assert part.rank_count == (c.rank_count + 1 - c.rank % 2) // 2
    c.barrier()


def registered(c):
    data, nothing = np.full(1000, c.rank, "float32"), np.zeros(0)
    with c.register(data) as registration, c.register(nothing):
        c.all_reduce(data)
        assert (data == sum(range(c.rank_count))).all()
        registration.close()
        registration.close()
    for wrong in (data[::2], b"not to be written"):
        try:
            c.register(wrong)
        except ValueError as error:
            assert "array" in str(error), error
        else:
            raise AssertionError(wrong)
    forgotten = c.register(data)
    del forgotten
    c.barrier()


def mismatch(c):
    try:
        c.all_reduce(np.ones(10 + c.rank))
    except tutti.TuttiError as error:
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error) and copy.code is error.code
        return error.code.name, error.advice


def death(c):
    if c.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        c.all_reduce(np.ones(10))
    except tutti.TuttiError as error:
        return error.code.name, error.peer


def forked(c):
    child = os.fork()
    if child == 0:
        try:
            c.all_reduce(np.ones(1))
        except tutti.TuttiError as error:
            os._exit(0 if error.code is tutti.Code.CLOSED else 2)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    c.barrier()
    return status


class MemoryStore:
    """A store of threads."""

    def __init__(self):
        self.values = {}

    def put(self, key, value):
        self.values[key] = value

    def get(self, key):
        return self.values.get(key)


class StoreTests(unittest.TestCase):
    def test_groups_meet_over_a_store(self):
        store, sums, threads = MemoryStore(), {}, []

        def member(name, rank, rank_count):
            with tutti.Communicator.join_store(rank, rank_count, store, name=name, publishes_secret=True) as communicator:
                data = np.ones(3) * (rank + 1)
                communicator.all_reduce(data)
                sums[name, rank] = data.tolist()

        for name, rank_count in (("one", 2), ("two", 3)):
            for rank in range(rank_count):
                threads.append(threading.Thread(target=member, args=(name, rank, rank_count)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60 * PATIENCE)
        self.assertEqual(sums, {(n, r): [v] * 3 for n, v, c in (("one", 3, 2), ("two", 6, 3)) for r in range(c)})

    def test_an_error_of_a_store_is_the_cause(self):
        class Full(MemoryStore):
            def put(self, key, value):
                raise OSError("the disk is full")

        with self.assertRaisesRegex(tutti.TuttiError, "'put' returned 2") as caught:
            tutti.Communicator.join_store(0, 2, Full(), secret=b"s" * 32, join_timeout=5 * PATIENCE)
        self.assertEqual(str(caught.exception.__cause__), "the disk is full")
        with self.assertRaisesRegex(ValueError, "choose one"):
            tutti.Communicator.join_store(0, 2, Full(), secret=b"s", publishes_secret=True)
        torn = MemoryStore()
        torn.get = lambda key: "text"
        with self.assertRaisesRegex(tutti.TuttiError, "'get' returned 2") as caught:
            tutti.Communicator.join_store(1, 2, torn, secret=b"s" * 32, join_timeout=5 * PATIENCE)
        self.assertIsInstance(caught.exception.__cause__, TypeError)


class CallTests(unittest.TestCase):
    def test_started_operations(self):
        run(2, started, "tcp")

    def test_messages_and_parts(self):
        run(3, messages)

    def test_registered_memory(self):
        run(2, registered)

    def test_mismatch_is_found_on_all_ranks(self):
        for code, advice in run(2, mismatch).values():
            self.assertEqual(code, "MISMATCH")
            self.assertTrue(advice)

    def test_dead_rank_is_named(self):
        answers = run(3, death, but=(1,))
        self.assertEqual(answers, {0: ("PEER_LOST", 1), 2: ("PEER_LOST", 1)})

    def test_forked_child_is_refused(self):
        self.assertEqual(run(2, forked), {0: 0, 1: 0})


class ArgumentTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.c = tutti.Communicator.in_process(1)[0]

    @classmethod
    def tearDownClass(cls):
        cls.c.close()

    def refused(self, error, words, function, *arguments, **options):
        with self.assertRaisesRegex(error, words):
            function(*arguments, **options)

    def test_arrays_of_other_kinds(self):
        c = self.c
        c.all_reduce(array.array("f", [1, 2]))
        c.all_reduce(bytearray(3))
        c.all_reduce(memoryview(bytearray(8)).cast("i"))
        c.all_reduce(np.zeros((0, 3)))
        c.all_reduce(np.zeros((4, 1))[::2, :][:1])

        class Exporter:
            def __init__(self):
                self.data = np.ones((2, 3), "int16")

            def __dlpack__(self, **options):
                return self.data.__dlpack__(**options)

        c.all_reduce(Exporter())
        output = np.zeros(6, "int16")
        c.all_gather(Exporter(), output)
        self.assertEqual(output.tolist(), [1] * 6)

    def test_arrays_that_cannot_be_used(self):
        c, data = self.c, np.zeros(4)
        self.refused(ValueError, "not contiguous", c.all_reduce, np.zeros((4, 4)).T[:2])
        self.refused(ValueError, "read-only", c.all_reduce, b"abcd")
        self.refused(TypeError, "is a list", c.all_reduce, [1, 2])
        self.refused(TypeError, "complex128", c.all_reduce, np.zeros(2, complex))
        self.refused(TypeError, "byte order", c.all_reduce, np.zeros(2, ">f4"))
        self.refused(ValueError, "output has 3 elements, and needs 4", c.all_reduce, data, output=np.zeros(3))
        self.refused(TypeError, "float64, output of float32", c.all_reduce, data, output=np.zeros(4, "float32"))
        data.flags.writeable = False
        self.refused(ValueError, "read-only", c.all_reduce, data)

    def test_values_that_cannot_be_used(self):
        c, data = self.c, np.zeros(4)
        self.refused(ValueError, "must be one of: sum", c.all_reduce, data, "mean")
        self.refused(ValueError, "does not fit", c.broadcast, data, root=1 << 40)
        self.refused(tutti.TuttiError, "root", c.broadcast, data, root=3)
        self.refused(ValueError, "more than 0", c.all_reduce, data, timeout=-1)
        self.refused(ValueError, "needs one for each", c.all_gather, data, data, counts=[1, 2])
        self.refused(ValueError, "give a tag", c.receive, data, tutti.ANY_RANK)
        self.refused(ValueError, "go together", tutti.Communicator.join, 0, 1)
        self.refused(ValueError, "rank_count is 0", tutti.Communicator.in_process, 0)

    def test_bits_and_tuning_of_a_join(self):
        place = (0, 1, f"unix:@tutti-bits-{os.getpid()}")
        with self.assertRaisesRegex(ValueError, "bits is 'most', and must be one of: environment, any, class, canonical"):
            tutti.Communicator.join(*place, secret=b"s" * 32, bits="most")
        with self.assertRaisesRegex(tutti.TuttiError, "/untold.yaml"):
            tutti.Communicator.join(*place, secret=b"s" * 32, tuning="/untold.yaml")
        with tutti.Communicator.join(*place, secret=b"s" * 32, bits="canonical") as communicator:
            communicator.barrier()

    def test_closed_is_refused(self):
        with tutti.Communicator.in_process(1)[0] as closed:
            pass
        with self.assertRaises(tutti.TuttiError) as caught:
            closed.barrier()
        self.assertIs(caught.exception.code, tutti.Code.CLOSED)

    def test_abort_ends_later_calls(self):
        aborted = tutti.Communicator.in_process(1)[0]
        aborted.abort("enough")
        with self.assertRaisesRegex(tutti.TuttiError, "enough"):
            aborted.barrier()
