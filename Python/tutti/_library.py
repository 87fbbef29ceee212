"""Finds and loads libtutti.so, and declares its functions and structures as tutti.h does."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint64, c_void_p
from pathlib import Path

# The version of tutti.h that the structures and functions below are those of, and of this package.
VERSION = (0, 1, 0)


class Options(Structure):
    """`tutti_options`: how a communicator is made."""

    _fields_ = (
        ("size", c_size_t),
        ("transport", c_int),
        ("secret_kind", c_int),
        ("secret", c_char_p),
        ("secret_bytes", c_size_t),
        ("timeout_ns", c_int64),
        ("join_timeout_ns", c_int64),
        ("checks_strictly", c_int),
        ("topology_file", c_char_p),
        ("bits", c_int),
        ("tuning_file", c_char_p),
        ("tls", c_int),
    )


PutFunction = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, c_size_t, c_int64)
GetFunction = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, POINTER(c_size_t), c_int64)
ReleaseFunction = ctypes.CFUNCTYPE(None, c_void_p)


class Rendezvous(Structure):
    """`tutti_rendezvous`: a store of the caller's."""

    _fields_ = (
        ("size", c_size_t),
        ("context", c_void_p),
        ("put", PutFunction),
        ("get", GetFunction),
        ("wait", c_void_p),
        ("release", ReleaseFunction),
    )


class Call(Structure):
    """`tutti_call`: what a single call sets."""

    _fields_ = (("size", c_size_t), ("timeout_ns", c_int64), ("algorithm", c_char_p))


class WorkHandle(Structure):
    """`tutti_work`: a started operation."""

    _fields_ = (("opaque", c_uint64 * 4),)


class Error(Structure):
    """`tutti_error`: an error in full."""


Error._fields_ = (
    ("size", c_size_t),
    ("code", c_int),
    ("rank", c_int),
    ("peer", c_int),
    ("step", c_int),
    ("system_error", c_int),
    ("operation_number", c_uint64),
    ("operation", c_char_p),
    ("transport", c_char_p),
    ("message", c_char_p),
    ("advice", c_char_p),
    ("text", c_char_p),
    ("cause", POINTER(Error)),
)

EndedCallback = ctypes.CFUNCTYPE(None, c_void_p, c_int)

_CALL = (POINTER(Call), POINTER(WorkHandle))
_COUNTS = POINTER(c_size_t)
_POINTERS = POINTER(c_void_p)
_COMM = POINTER(c_void_p)
# Most calls begin with a communicator and two pieces of memory.
_MEMORY = (c_void_p, c_void_p, c_void_p)

FUNCTIONS = {
    "tutti_join": (POINTER(Options), _COMM),
    "tutti_join_address": (c_int, c_int, c_char_p, c_int, POINTER(Options), _COMM),
    "tutti_join_rendezvous": (c_int, c_int, POINTER(Rendezvous), c_char_p, POINTER(Options), _COMM),
    "tutti_make_in_process": (c_int, POINTER(Options), _COMM),
    "tutti_comm_rank": (c_void_p, POINTER(c_int)),
    "tutti_comm_rank_count": (c_void_p, POINTER(c_int)),
    "tutti_comm_split": (c_void_p, c_int64, c_int64, c_int64, _COMM),
    "tutti_comm_duplicate": (c_void_p, c_int64, _COMM),
    "tutti_comm_last_operation": (c_void_p, c_char_p, c_size_t),
    "tutti_comm_abort": (c_void_p, c_char_p),
    "tutti_comm_close": (c_void_p,),
    "tutti_comm_free": (c_void_p,),
    "tutti_work_wait": (POINTER(WorkHandle),),
    "tutti_work_wait_for": (POINTER(WorkHandle), c_int64, POINTER(c_int)),
    "tutti_work_when_ended": (POINTER(WorkHandle), EndedCallback, c_void_p),
    "tutti_work_combine": (POINTER(WorkHandle), c_size_t, POINTER(WorkHandle)),
    "tutti_all_reduce": (*_MEMORY, c_size_t, c_int, c_int, *_CALL),
    "tutti_all_reduce_scaled": (*_MEMORY, c_size_t, c_int, c_double, *_CALL),
    "tutti_reduce": (*_MEMORY, c_size_t, c_int, c_int, c_int, *_CALL),
    "tutti_reduce_scatter": (*_MEMORY, c_size_t, c_int, c_int, *_CALL),
    "tutti_reduce_scatter_scaled": (*_MEMORY, c_size_t, c_int, c_double, *_CALL),
    "tutti_reduce_scatter_v": (*_MEMORY, _COUNTS, c_int, c_int, *_CALL),
    "tutti_reduce_scatter_list": (c_void_p, _POINTERS, c_void_p, _COUNTS, c_int, c_int, *_CALL),
    "tutti_broadcast": (*_MEMORY, c_size_t, c_int, c_int, *_CALL),
    "tutti_gather": (*_MEMORY, c_size_t, c_int, c_int, *_CALL),
    "tutti_gather_v": (*_MEMORY, _COUNTS, c_int, c_int, *_CALL),
    "tutti_scatter": (*_MEMORY, c_size_t, c_int, c_int, *_CALL),
    "tutti_scatter_v": (*_MEMORY, _COUNTS, c_int, c_int, *_CALL),
    "tutti_all_gather": (*_MEMORY, c_size_t, c_int, *_CALL),
    "tutti_all_gather_v": (*_MEMORY, _COUNTS, c_int, *_CALL),
    "tutti_all_gather_list": (c_void_p, c_void_p, _POINTERS, _COUNTS, c_int, *_CALL),
    "tutti_all_to_all": (*_MEMORY, c_size_t, c_int, *_CALL),
    "tutti_all_to_all_v": (c_void_p, c_void_p, _COUNTS, c_void_p, _COUNTS, c_int, *_CALL),
    "tutti_barrier": (c_void_p, *_CALL),
    "tutti_monitored_barrier": (c_void_p, c_int64),
    "tutti_send": (c_void_p, c_void_p, c_size_t, c_int, c_int, *_CALL),
    "tutti_receive": (c_void_p, c_void_p, c_size_t, c_int, c_int, *_CALL),
    "tutti_send_receive": (c_void_p, c_void_p, c_size_t, c_int, c_void_p, c_size_t, c_int, c_int, POINTER(Call)),
    "tutti_send_tagged": (c_void_p, c_void_p, c_size_t, c_int, c_int, c_int64, *_CALL),
    "tutti_receive_tagged": (c_void_p, c_void_p, c_size_t, c_int, c_int, c_int64, POINTER(c_int), *_CALL),
    "tutti_memory_allocate": (c_void_p, c_size_t, POINTER(c_void_p)),
    "tutti_memory_free": (c_void_p,),
    "tutti_memory_register": (c_void_p, c_void_p, c_size_t),
    "tutti_memory_unregister": (c_void_p, c_void_p, c_size_t),
}


def load(path: Path) -> ctypes.CDLL:
    """Loads the library at `path`, declares its functions, and refuses one of another version than the package.

    Raises ImportError that says what to do.
    """
    if not path.exists():
        raise ImportError(f"there is no {path}. Install the wheel that 'Scripts/wheel FOLDER' builds.")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(
            f"{path} cannot be loaded: {error}. It needs Linux and the glibc that the wheel's name says."
        ) from error
    found = library.tutti_version()
    wanted = VERSION[0] * 10000 + VERSION[1] * 100 + VERSION[2]
    if found != wanted:
        version = f"{found // 10000}.{found // 100 % 100}.{found % 100}"
        raise ImportError(
            f"{path} is of version {version}, this package of {'.'.join(map(str, VERSION))}: install the wheel again"
        )
    for name, arguments in FUNCTIONS.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = c_int
    library.tutti_error_last.argtypes = ()
    library.tutti_error_last.restype = POINTER(Error)
    return library


library = load(Path(__file__).with_name("libtutti.so"))
