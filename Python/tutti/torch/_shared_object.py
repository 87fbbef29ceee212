"""Finds and loads the shared object for the PyTorch that runs."""

from __future__ import annotations

import atexit
import re
import threading
from pathlib import Path

_FOLDER = Path(__file__).parent
_lock = threading.Lock()
_loaded = False


def file_name(torch_version: str) -> str:
    """Returns the name of the shared object for a version of PyTorch: there is one for each minor version."""
    found = re.match(r"(\d+)\.(\d+)", torch_version)
    if found is None:
        raise ImportError(f"PyTorch says its version is '{torch_version}', which is not one: install a release of PyTorch")
    return f"backend-{found[1]}.{found[2]}.so"


def built() -> list[str]:
    """Returns the minor versions of PyTorch that this package has a shared object for."""
    versions = [path.name[len("backend-") : -len(".so")] for path in _FOLDER.glob("backend-*.so")]
    return sorted(versions, key=lambda version: tuple(map(int, version.split("."))))


def load() -> None:
    """Loads the shared object once. Raises ImportError that says what there is and what to do."""
    global _loaded
    with _lock:
        if _loaded:
            return
        try:
            import torch
        except ImportError as error:
            raise ImportError("tutti.torch needs PyTorch: pip install torch") from error
        # Its library is the one that the shared object is linked with, and found by its name once it is loaded.
        from .. import _library  # noqa: F401

        path = _FOLDER / file_name(torch.__version__)
        if not path.exists():
            raise ImportError(_advice(torch.__version__))
        try:
            torch.ops.load_library(str(path))
        except OSError as error:
            raise ImportError(
                f"{path} cannot be loaded with PyTorch {torch.__version__}: {error}. Install a wheel that was built for it: "
                "Scripts/wheel --torch PYTHON FOLDER"
            ) from error
        atexit.register(torch.ops.tutti.leave)
        _loaded = True


def _advice(version: str) -> str:
    versions = built()
    there = f"it has one for PyTorch {', '.join(versions)}" if versions else "it was built without PyTorch, and has none"
    return (
        f"this wheel of tutti has no backend for PyTorch {version}: {there}. Install one of these, or build a wheel for "
        "yours: Scripts/wheel --torch PYTHON FOLDER, with the python of the environment that has your PyTorch"
    )
