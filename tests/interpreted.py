"""Triton for tests: in its interpreter; with PSINN_FAST_GPU_TESTS=1 in the environment on a GPU; with
PSINN_FAST_EMULATE=90 compiled for sm_90 and run by bench/emulator.

Triton looks at TRITON_INTERPRET when a function is decorated: its own functions when it is imported, ours likewise,
the generated ones when a test runs them. The variable is set at those times only, so that in the same process and in
those started by it other tests see the machine as it is.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

VARIABLE = "TRITON_INTERPRET"
ON_GPU = os.environ.get("PSINN_FAST_GPU_TESTS") == "1"
EMULATED = int(os.environ.get("PSINN_FAST_EMULATE") or 0)
IS_INTERPRETED = not ON_GPU and not EMULATED
_spec = importlib.util.find_spec("triton")
# Without Triton its name may be found all the same: that of a folder, as a package without files.
IS_INSTALLED = _spec is not None and _spec.origin is not None

if IS_INSTALLED:
    with pytest.MonkeyPatch.context() as patch:
        if IS_INTERPRETED:
            assert "triton" not in sys.modules or VARIABLE in os.environ, "triton was imported too early to interpret"
            patch.setenv(VARIABLE, "1")
        import psinn_fast.kernels.triton.training

        assert psinn_fast.kernels.triton.training is not None
    from quick_interpreter import make_quick

    from psinn_fast.kernels.triton.backend import TritonBackend
    from psinn_fast.kernels.triton.configuration import Configuration


@contextmanager
def interpreting() -> Iterator[None]:
    """Within, Triton's kernels run in the interpreter, or in the emulator.

    The interpreter computes with numpy, whose warnings a GPU does not know.
    """
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"), ExitStack() as chip:
        if EMULATED:
            from bench.emulator.chips import emulated

            chip.enter_context(emulated(EMULATED, keeps=False))
        elif not ON_GPU:
            patch.setenv(VARIABLE, "1")
        yield


@contextmanager
def quicker() -> Iterator[None]:
    """Within, the interpreter takes less than half of its time (tests/quick_interpreter.py)."""
    with pytest.MonkeyPatch.context() as patch:
        if IS_INSTALLED and IS_INTERPRETED:
            make_quick(patch)
        yield


@contextmanager
def nothing_measured(folder: str) -> Iterator[None]:
    """What was measured on this machine, and lies in its cache, decides nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSINN_FAST_CACHE", folder)
        yield


def of_tiles(block: int) -> TritonBackend:
    """In the interpreter, where a tile takes as long whatever its size; elsewhere as the backend chooses."""
    return TritonBackend(configuration=Configuration(block, 1, 4)) if IS_INTERPRETED else TritonBackend()
