"""What runs PyTorch's own tests of gloo on Tutti."""

from __future__ import annotations

from types import SimpleNamespace

from . import create


def as_gloo(store, rank, size, timeout):
    """Makes a backend that stands in for `ProcessGroupGloo`, and is called "gloo", as tests compare the name."""
    from torch._C._distributed_c10d import Backend

    # PyTorch notes there what group a gloo is of; only backends with classes of their own in Python have the place.
    if not hasattr(Backend, "options"):
        Backend.options = SimpleNamespace()
    return create(store, rank, size, timeout, as_gloo=True)
