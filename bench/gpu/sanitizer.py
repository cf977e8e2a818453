"""compute-sanitizer on one case of each kernel: reads and writes out of bounds, and races in shared memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from .accuracy import KERNELS
from .lines import Row
from .settings import Settings, Task
from .tools import find, watch

TOOLS = ("memcheck", "racecheck")
LIMIT = 170.0
FOUND = 99  # exit status where the tool found something
SUMMARY = re.compile(r"(?:ERROR|RACECHECK) SUMMARY: (.*)")


def tasks(settings: Settings) -> list[Task]:
    return [Task(tool, partial(_check, tool, settings), limit=LIMIT + 10) for tool in TOOLS]


def _check(tool: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    program = find("compute-sanitizer")
    if program is None:
        return {"absent": "compute-sanitizer is not installed"}
    if settings.interpret:
        return {"absent": "there is no GPU code in Triton's interpreter"}
    # Torch's allocator hands out parts of large blocks, between which nothing would be noticed.
    variables = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    command = [program, "--tool", tool, "--error-exitcode", str(FOUND), "--print-limit", "20"]
    command += ["--target-processes", "application-only"]
    status, output = watch(command, [*KERNELS, "--points", "70"], LIMIT, variables)
    summaries = SUMMARY.findall(output)
    if not summaries:
        raise RuntimeError(f"no summary, exit status {status}: {output.strip()[-200:]!r}")
    return {
        "kernels": list(KERNELS),
        "summary": summaries[-1],
        "bar": "clean",
        "met": status == 0 and summaries[-1].startswith("0 "),
    }
