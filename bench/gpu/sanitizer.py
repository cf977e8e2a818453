"""compute-sanitizer on one case of each kernel: reads and writes out of bounds, and races in shared memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from .accuracy import KERNELS, STEP
from .lines import Row
from .settings import Settings, Task
from .tools import find, watch

TOOLS = ("memcheck", "racecheck")
# All kernels on a small network, which compiles fast; a wide one's step, whose products go through shared memory.
WATCHED = {"psi-8": KERNELS, "dense-32": STEP}
LIMIT = 120.0
FOUND = 99  # exit status where the tool found something
SUMMARY = re.compile(r"(?:ERROR|RACECHECK) SUMMARY: (.*)")


def tasks(settings: Settings) -> list[Task]:
    return [
        Task(f"{tool}/{network}", partial(_check, tool, network, settings), limit=LIMIT + 10)
        for network in WATCHED
        for tool in TOOLS
    ]


def _check(tool: str, network: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    program = find("compute-sanitizer")
    if program is None:
        return {"absent": "compute-sanitizer is not installed"}
    if settings.interpret:
        return {"absent": "there is no GPU code in Triton's interpreter"}
    # Torch's allocator hands out parts of large blocks, between which nothing would be noticed.
    variables = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    command = [program, "--tool", tool, "--error-exitcode", str(FOUND), "--print-limit", "20"]
    command += ["--target-processes", "application-only"]
    arguments = [*WATCHED[network], "--networks", network, "--points", "70"]
    status, output = watch(command, arguments, LIMIT, variables)
    summaries = SUMMARY.findall(output)
    if not summaries:
        raise RuntimeError(f"no summary, exit status {status}: {output.strip()[-200:]!r}")
    return {
        "kernels": list(WATCHED[network]),
        "summary": summaries[-1],
        "bar": "clean",
        "met": status == 0 and summaries[-1].startswith("0 "),
    }
