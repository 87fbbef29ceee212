"""The backend `tutti` of `torch.distributed`, for CPU tensors: `torch.distributed.init_process_group("tutti")`.

PyTorch knows the backend without an import of this. docs/PYTORCH.md tells what it does.
"""

from __future__ import annotations

from datetime import timedelta

from _tutti_torch import register

from ._shared_object import load

__all__ = ["create", "register"]


def create(store, rank: int, size: int, timeout: timedelta, *, as_gloo: bool = False):
    """Makes the backend of a group, whose members meet over `store`: what `torch.distributed` calls.

    - store: a `torch.distributed.Store` that no other group uses; make a `PrefixStore`.
    - timeout: limit of joining, and of operations that set none of their own.
    - as_gloo: the backend calls itself "gloo", for PyTorch's own tests.

    Raises ImportError where there is nothing for this PyTorch; `torch.distributed.DistBackendError` that says who, what and
    why where the members do not find each other.
    """
    load()
    import torch
    from torch.distributed import ProcessGroup

    group = ProcessGroup(store, rank, size)
    torch.ops.tutti.attach(group.boxed(), as_gloo, max(1, int(timeout / timedelta(milliseconds=1))))
    return group._get_backend(torch.device("cpu"))
