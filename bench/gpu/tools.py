"""NVIDIA's tools, which watch another process, where the machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Where CUDA's installers put what they do not put on the PATH.
FOLDERS = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer", "/opt/nvidia/nsight-compute")


def find(name: str) -> str | None:
    found = shutil.which(name)
    if found is None:
        candidates = [
            path for folder in FOLDERS for path in Path(folder).glob(f"**/{name}") if os.access(path, os.X_OK)
        ]
        found = str(sorted(candidates)[-1]) if candidates else None
    return found


def watch(
    tool: Sequence[str], arguments: Sequence[str], seconds: float, variables: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Exit status, and what tool and program printed. The program is `one_case` with these arguments.

    Raises:
        TimeoutError: with the end of the output, after that many seconds.
    """
    command = [*tool, sys.executable, "-m", "bench.gpu.one_case", *arguments, "--limit", str(int(seconds) + 5)]
    environment = {**os.environ, **(variables or {})}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, errors="replace"
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise TimeoutError(f"stopped after {seconds:.0f} s; it had printed: {output.strip()[-200:]!r}") from None
    print(output)
    return process.returncode, output
