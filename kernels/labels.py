"""Names of operations in profilers' timelines: `record_function` for torch's profiler, NVTX ranges for NVIDIA's tools.

Both are marks on the host: nothing is launched and nothing waits, so they may stand where a CUDA graph is captured.
Each takes microseconds, so none is written where nobody reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch._C._autograd import _profiler_enabled

PREFIX = "psinn::"
# NVIDIA's tools set the first two in programs that they start; the third is for those that attach otherwise.
LISTENERS = ("NVTX_INJECTION64_PATH", "CUDA_INJECTION64_PATH", "PSINN_FAST_NVTX")
HAS_NVTX = torch.version.cuda is not None and any(os.environ.get(name) for name in LISTENERS)

_NOBODY: AbstractContextManager[None] = nullcontext()
Taken = ParamSpec("Taken")
Given = TypeVar("Given")


def label(text: str) -> AbstractContextManager[None]:
    """What is done within has this name in whichever profiler is watching."""
    return _written(text) if HAS_NVTX or _profiler_enabled() else _NOBODY


def labelled(operation: Callable[Taken, Given]) -> Callable[Taken, Given]:
    """A backend's operation, with a label that names both: "psinn::train (triton)"."""
    name = operation.__name__

    @wraps(operation)
    def run(*arguments: Taken.args, **named: Taken.kwargs) -> Given:
        if not (HAS_NVTX or _profiler_enabled()):
            return operation(*arguments, **named)
        backend: Any = arguments[0]
        with _written(f"{name} ({backend.name})"):
            return operation(*arguments, **named)

    return run


@contextmanager
def _written(text: str) -> Iterator[None]:
    if HAS_NVTX:
        torch.cuda.nvtx.range_push(PREFIX + text)  # type: ignore[no-untyped-call]
    try:
        with torch.profiler.record_function(PREFIX + text):
            yield
    finally:
        if HAS_NVTX:
            torch.cuda.nvtx.range_pop()  # type: ignore[no-untyped-call]
