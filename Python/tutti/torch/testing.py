"""What runs PyTorch's own tests of gloo on Tutti."""

from __future__ import annotations

from . import create


def as_gloo(store, rank, size, timeout):
    """Makes a backend that stands in for `ProcessGroupGloo` and calls itself "gloo", as tests compare the name."""
    return create(store, rank, size, timeout, name="gloo")
