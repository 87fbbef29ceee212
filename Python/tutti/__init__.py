"""Collective communication between the processes of a job: all-reduce and its kin over shared memory, RDMA and TCP.

    import numpy, tutti

    with tutti.Communicator.join() as communicator:
        gradients = numpy.ones(1_000_000, dtype="float32")
        communicator.all_reduce(gradients)

docs/PYTHON.md has an example of each function.
"""

from ._communicator import ANY_RANK, Communicator, Started
from ._enums import Bits, Code, DataType, Operation, Transport
from ._errors import TuttiError
from ._library import VERSION
from ._registration import Registration
from ._store import Store
from ._work import Work, combine

__version__ = ".".join(map(str, VERSION))

__all__ = [
    "ANY_RANK",
    "Bits",
    "Code",
    "Communicator",
    "DataType",
    "Operation",
    "Registration",
    "Started",
    "Store",
    "Transport",
    "TuttiError",
    "Work",
    "combine",
]
