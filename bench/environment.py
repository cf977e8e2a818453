"""What somebody needs to judge or repeat a measurement. No paths, no host name."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from psinn_fast.machine import processor_name

# Settings of the threading and memory libraries that change timings.
PREFIXES = ("OMP_", "GOMP_", "MKL_", "KMP_", "MALLOC_", "GLIBC_TUNABLES")


def variables() -> dict[str, str]:
    """Those of the environment."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(PREFIXES)}


def environment(threads: int | None = None) -> dict[str, Any]:
    """Processor, threads (None: torch's), versions, relevant environment variables, commit, date."""
    return {
        "cpu": processor_name(),
        "threads": torch.get_num_threads() if threads is None else threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "variables": variables(),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", *arguments]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
