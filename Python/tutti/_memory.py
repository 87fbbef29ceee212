"""Finds the memory of arrays: of NumPy, of DLPack (PyTorch, JAX), and of what has the buffer protocol.

An array is used where it lies. Nothing is copied or converted: what cannot be used as it is, is refused.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, NamedTuple, Optional

from ._enums import DataType


class Memory(NamedTuple):
    """The elements of an array, and what keeps them where they are."""

    address: Optional[int]  # None where there are no elements
    count: int
    type: DataType
    keeper: object

    @property
    def byte_count(self) -> int:
        """How many bytes the elements take."""
        return self.count * self.type.byte_count


_BY_NAME = {member.name.lower(): member for member in DataType}
# By kind (bool, integer, unsigned, float, brain float) and bytes.
_BY_KIND = {("b", 1): DataType.BOOL, ("r", 2): DataType.BFLOAT16}
for _kind, _word, _sizes in (("i", "int", (1, 2, 4, 8)), ("u", "uint", (1, 2, 4, 8)), ("f", "float", (2, 4, 8))):
    for _size in _sizes:
        _BY_KIND[_kind, _size] = _BY_NAME[f"{_word}{8 * _size}"]


def memory_of(array: Any, what: str, writes: bool) -> Memory:
    """Finds the memory of `array`.

    - what: its name in messages.
    - writes: whether the call writes to it.

    Raises TypeError for what is no array or has elements of an unknown type, and ValueError for memory that is not
    contiguous, not on the CPU, or not to be written where the call writes.
    """
    if hasattr(array, "__array_interface__"):
        return _numpy(array, what, writes)
    if hasattr(array, "__dlpack__"):
        return _dlpack(array, what, writes)
    return _buffer(array, what, writes)


def _type(kind: str, size: int, what: str, said: str) -> DataType:
    found = _BY_KIND.get((kind, size))
    if found is None:
        raise TypeError(f"{what} has elements of type {said}; use one of: {', '.join(_BY_NAME)}")
    return found


def _refuse_strided(what: str) -> None:
    raise ValueError(f"{what} is not contiguous in row-major order; make a contiguous copy of it first")


def _refuse_read_only(what: str) -> None:
    raise ValueError(f"{what} is read-only, and the call writes to it; give it an array that may be written")


# MARK: NumPy


def _numpy(array: Any, what: str, writes: bool) -> Memory:
    interface = array.__array_interface__
    dtype = getattr(array, "dtype", None)
    # Types that NumPy learns from others (bfloat16 of ml_dtypes) are plain bytes in the interface.
    found = _BY_NAME.get(getattr(dtype, "name", ""))
    text = interface["typestr"]
    if text[0] == ">":
        raise TypeError(f"{what} has elements in another byte order than this machine's ({text}); convert it first")
    if found is None:
        found = _type(text[1], int(text[2:]), what, str(dtype or text))
    count = 1
    for extent in interface["shape"]:
        count *= extent
    address, is_read_only = interface["data"]
    # No strides: row-major. One element or none has no order.
    if interface.get("strides") is not None and count > 1 and not array.flags.c_contiguous:
        _refuse_strided(what)
    if writes and is_read_only:
        _refuse_read_only(what)
    return Memory(address if count else None, count, found, array)


# MARK: DLPack


class _DLTensor(Structure):
    _fields_ = (
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    )


class _VersionedTensor(Structure):
    _fields_ = (
        ("major", c_uint32),
        ("minor", c_uint32),
        ("context", c_void_p),
        ("deleter", c_void_p),
        ("flags", c_uint64),
        ("tensor", _DLTensor),
    )


_capsule_is = ctypes.pythonapi.PyCapsule_IsValid
_capsule_is.argtypes, _capsule_is.restype = (ctypes.py_object, c_char_p), c_int
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.argtypes, _capsule_pointer.restype = (ctypes.py_object, c_char_p), c_void_p

_DLPACK_KINDS = {0: "i", 1: "u", 2: "f", 4: "r", 6: "b"}
# Memory of the CPU, and memory that is pinned for a device.
_DLPACK_CPU = (1, 3, 11)


def _capsule(array: Any, what: str) -> Any:
    try:
        try:
            return array.__dlpack__(max_version=(1, 0))
        except TypeError:
            return array.__dlpack__()
    except Exception as error:
        raise TypeError(f"{what} cannot be used by DLPack: {error}") from error


def _dlpack(array: Any, what: str, writes: bool) -> Memory:
    # Not consumed: the capsule keeps the memory, and releases it when it goes.
    capsule = _capsule(array, what)
    is_read_only = False
    if _capsule_is(capsule, b"dltensor_versioned"):
        versioned = _VersionedTensor.from_address(_capsule_pointer(capsule, b"dltensor_versioned"))
        tensor, is_read_only = versioned.tensor, bool(versioned.flags & 1)
    else:
        tensor = _DLTensor.from_address(_capsule_pointer(capsule, b"dltensor"))
    if tensor.device_type not in _DLPACK_CPU:
        raise ValueError(f"{what} is on a device (DLPack type {tensor.device_type}); copy it to the CPU first")
    said = f"DLPack code {tensor.code}, {tensor.bits} bits, {tensor.lanes} lanes"
    found = _type(_DLPACK_KINDS.get(tensor.code, "") if tensor.lanes == 1 else "", tensor.bits // 8, what, said)
    shape = [tensor.shape[index] for index in range(tensor.ndim)]
    count = 1
    for extent in shape:
        count *= extent
    if tensor.strides and count > 1:
        stride = 1
        for index in reversed(range(tensor.ndim)):
            if shape[index] != 1 and tensor.strides[index] != stride:
                _refuse_strided(what)
            stride *= shape[index]
    if writes and is_read_only:
        _refuse_read_only(what)
    return Memory(tensor.data + tensor.byte_offset if count else None, count, found, (array, capsule))


# MARK: The buffer protocol


class _PyBuffer(Structure):
    _fields_ = (
        ("buf", c_void_p),
        ("obj", c_void_p),
        ("len", c_ssize_t),
        ("itemsize", c_ssize_t),
        ("readonly", c_int),
        ("ndim", c_int),
        ("format", c_char_p),
        ("shape", c_void_p),
        ("strides", c_void_p),
        ("suboffsets", c_void_p),
        ("internal", c_void_p),
    )


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes, _get_buffer.restype = (ctypes.py_object, POINTER(_PyBuffer), c_int), c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes, _release_buffer.restype = (POINTER(_PyBuffer),), None

_FORMAT_KINDS = dict.fromkeys("bhilqn", "i") | dict.fromkeys("BHILQNc", "u") | dict.fromkeys("efd", "f") | {"?": "b"}


class _Exported:
    """An exported buffer: it stays where it is until this goes."""

    def __init__(self, array: Any):
        self.memory = memoryview(array)
        self.view = _PyBuffer()
        # As plain bytes, which only contiguous memory can be had as. A memoryview tells everything but the address.
        if self.memory.c_contiguous:
            _get_buffer(self.memory, ctypes.byref(self.view), 0)

    def __del__(self) -> None:
        if hasattr(self, "view"):
            _release_buffer(ctypes.byref(self.view))


def _buffer(array: Any, what: str, writes: bool) -> Memory:
    try:
        exported = _Exported(array)
    except TypeError:
        raise TypeError(
            f"{what} is a {type(array).__name__}; give it a NumPy array, or what has the buffer or DLPack protocol"
        ) from None
    memory = exported.memory
    if not memory.c_contiguous:
        _refuse_strided(what)
    found = _type(_FORMAT_KINDS.get(memory.format.lstrip("@=<"), ""), memory.itemsize, what, repr(memory.format))
    if writes and memory.readonly:
        _refuse_read_only(what)
    count = memory.nbytes // memory.itemsize
    return Memory(exported.view.buf if count else None, count, found, exported)


def addresses(memories: list[Memory]) -> ctypes.Array:
    """Returns the addresses as C has them."""
    return (c_void_p * len(memories))(*(memory.address for memory in memories))


def counts(memories: list[Memory]) -> ctypes.Array:
    """Returns the numbers of elements as C has them."""
    return (c_size_t * len(memories))(*(memory.count for memory in memories))
