"""What somebody needs to judge or repeat a measurement: the machine, and what it can do at most. No paths, no names."""

from __future__ import annotations

import datetime
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from psinn_fast.kernels.cpu.extension import chosen_instruction_set, native
from psinn_fast.machine import commit, processor_name

from ..environment import variables

_PEAK_SECONDS, _BYTES, _COPIES = 0.2, 64 << 20, 8


def describe(threads: int) -> dict[str, Any]:
    """Processor, instruction set, what it can do at most with that many threads, settings, commit, date."""
    return {
        "cpu": processor_name(),
        "processors": os.cpu_count(),
        "threads": threads,
        "instruction_set": chosen_instruction_set() if native() is not None else None,
        "multiply_adds_per_second": {dtype: peak(dtype, threads) for dtype in ("float32", "float64")},
        "bytes_per_second": bandwidth(),
        "compiler": _compiler(),
        "variables": variables(),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def peak(dtype: str, threads: int, seconds: float = _PEAK_SECONDS) -> float | None:
    """Multiply-adds a second on registers alone, the best of a short loop; None without the C++ kernels."""
    module = native()
    if module is None:
        return None
    measure = getattr(module, f"peak_{dtype}")
    return float(measure(module.isa(chosen_instruction_set()), threads, seconds))


def bandwidth() -> float:
    """Bytes a second of one thread that copies more than the caches hold, read and written."""
    a, b = np.ones(_BYTES // 8), np.empty(_BYTES // 8)
    best = np.inf
    for _ in range(_COPIES):
        started = time.perf_counter()
        np.copyto(b, a)
        best = min(best, time.perf_counter() - started)
    return 2 * _BYTES / best


def _compiler() -> str | None:
    try:
        found = subprocess.run([os.environ.get("CXX", "g++"), "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.partition("\n")[0]


def load() -> float | None:
    """Processes that wanted to run in the last minute, where the system says."""
    path = Path("/proc/loadavg")
    return float(path.read_text(encoding="utf-8").split()[0]) if path.exists() else None
