"""One kernel, compiled for one chip without having it."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
import triton

from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.triton import ahead
from psinn_fast.kernels.triton.configuration import Configuration
from psinn_fast.kernels.triton.emission import Mode
from psinn_fast.kernels.triton.layout import Layout, make_layout
from psinn_fast.kernels.triton.point_kernel import PointKernel, Weights

from .sass import read

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


@dataclass(frozen=True)
class Artefact:
    """``registers`` per thread, ``stack`` bytes per thread (spills), ``shared`` bytes per program, ``seconds`` to
    compile; ``loop``: warp instructions of one tile, all warps together; ``rest``: of all before and behind the loop.
    """

    registers: int
    stack: int
    shared: int
    seconds: float
    loop: Counter[str]
    rest: Counter[str]


def point_kernel(plan: Plan, terms: list[Term], configuration: Configuration) -> tuple[Layout, PointKernel]:
    """The first kernel of a training step on these terms, as the backend makes it."""
    layout = make_layout(plan, terms[0].points.dtype)
    weights = Weights(layout, terms[0].points)
    groups = list(dict.fromkeys((term.program.channels, term.program) for term in terms))
    return layout, PointKernel(layout, weights, groups, Mode.LOSS, 0, configuration)


def compiled(kernel: PointKernel, dtype: torch.dtype, configuration: Configuration, chip: int) -> Artefact:
    """``chip``: 89 for sm_89."""
    started = time.perf_counter()
    binary = ahead.compiled(kernel, dtype, f"sm_{chip}")
    seconds = time.perf_counter() - started
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.asm["cubin"])
        file.flush()
        usage = _tool("cuobjdump", "-res-usage", file.name)
        listing = read(_tool("nvdisasm", "-c", file.name))
    warps = configuration.warps
    return Artefact(
        int(re.findall(r"REG:(\d+)", usage)[-1]),
        int(re.findall(r"STACK:(\d+)", usage)[-1]),
        binary.metadata.shared,
        seconds,
        Counter({name: warps * count for name, count in listing.loop.items()}),
        Counter({name: warps * count for name, count in listing.rest.items()}),
    )


def _tool(name: str, *arguments: str) -> str:
    return subprocess.run([str(TOOLS / name), *arguments], capture_output=True, text=True, check=True).stdout
