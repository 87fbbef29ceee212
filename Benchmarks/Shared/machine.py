"""The machine that a measurement ran on, and how sizes and progress are shown."""

import os
import sys


def machine():
    """The CPU's model and how many CPUs this process may use."""
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release}


UNITS = (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10))


def size_text(size):
    for unit, factor in UNITS:
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def size_bytes(text):
    """The bytes of `8`, `4K`, `2M` or `1G`: powers of 1024, as collbench reads them."""
    factor = dict(UNITS).get(text[-1:].upper(), 1)
    digits = text if factor == 1 else text[:-1]
    if not digits.isascii() or not digits.isdigit() or int(digits) == 0:
        raise ValueError(f"'{text}' is no size; write 8, 4K, 2M or 1G")
    return int(digits) * factor


def show_progress(text):
    """Overwrites one line of the terminal; says nothing into a log."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r{text}", end="", file=sys.stderr, flush=True)
