"""What results depend on beside their settings: processor, threads, versions, the commit of the sources."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import torch

_GIT_SECONDS = 20


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """With family and model, where the system gives them: in a virtual machine the name may be the maker's alone."""
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    first = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    known = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    name = known.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{what} {known[key]}" for what, key in (("family", "cpu family"), ("model", "model")) if key in known]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def commit() -> str | None:
    """Of the sources, with a + if they were changed since; None where they are not of a Git checkout."""
    own = Path(__file__).parent
    try:
        _git(own, "ls-files", "--error-unmatch", Path(__file__).name)
        changed = _git(own, "status", "--porcelain", "--untracked-files=no", "--", "..")
        return _git(own, "rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.strip()


def machine_report() -> dict[str, str]:
    """Plain texts by name, for results that are compared."""
    return {
        "psinn_fast": metadata.version("psinn_fast"),
        "commit": commit() or "unknown",
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "processor": processor_name(),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} cores",
    }
