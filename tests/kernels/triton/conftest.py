"""The backend under test: in Triton's interpreter, or, with PSINN_FAST_GPU_TESTS=1 in the environment, on a GPU.

Triton looks at TRITON_INTERPRET when a function is decorated: its own functions when it is imported, ours likewise,
the generated ones when a test runs them. The variable is set at those times only, so that in the same process and in
those started by it other tests see the machine as it is.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

# Other folders' tests are run again here; their cases and checks serve the tests of this one.
sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "cpu")]

VARIABLE = "TRITON_INTERPRET"
ON_GPU = os.environ.get("PSINN_FAST_GPU_TESTS") == "1"
SPEC = importlib.util.find_spec("triton")
# Without Triton its name is found all the same: that of this folder, as a package without files.
IS_INSTALLED = SPEC is not None and SPEC.origin is not None

if IS_INSTALLED:
    with pytest.MonkeyPatch.context() as patch:
        if not ON_GPU:
            assert "triton" not in sys.modules or VARIABLE in os.environ, "triton was imported too early to interpret"
            patch.setenv(VARIABLE, "1")
        import psinn_fast.kernels.triton.training

        assert psinn_fast.kernels.triton.training is not None
    from on_device import OnDevice
    from triton.runtime import interpreter

    from psinn_fast.kernels.triton.backend import TritonBackend
    from psinn_fast.kernels.triton.configuration import Configuration


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What was measured on this machine decides nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSINN_FAST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _quicker() -> Iterator[None]:
    """At each call within a kernel the interpreter puts its functions in Triton's place again: half of its time.

    Here it does so once per launch and module.
    """
    with pytest.MonkeyPatch.context() as patch:
        if IS_INSTALLED and not ON_GPU:
            done: set[int] = set()
            launch, put = interpreter.GridExecutor.__call__, interpreter._patch_lang

            def quick_launch(self: Any, *args: Any, **kwargs: Any) -> None:
                done.clear()
                launch(self, *args, **kwargs)

            def put_once(function: Any) -> Any:
                module = id(function.__globals__)
                if module in done:
                    return None
                done.add(module)
                return put(function)

            patch.setattr(interpreter.GridExecutor, "__call__", quick_launch)
            patch.setattr(interpreter, "_patch_lang", put_once)
        yield


@pytest.fixture(scope="module", autouse=True)
def _interpreter() -> Iterator[None]:
    """The interpreter computes with numpy, whose warnings about infinities a GPU does not know."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        if not ON_GPU:
            patch.setenv(VARIABLE, "1")
        yield


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cuda" if ON_GPU else "cpu")


def of_tiles(block: int) -> TritonBackend:
    """In the interpreter, where a tile takes as long whatever its size; on a GPU as the backend chooses."""
    return TritonBackend() if ON_GPU else TritonBackend(configuration=Configuration(block, 1, 4))


@pytest.fixture(scope="session")
def direct() -> TritonBackend:
    """For tests that move their tensors themselves."""
    return of_tiles(32)


@pytest.fixture(scope="session")
def backend(direct: TritonBackend, device: torch.device) -> OnDevice:
    """Takes and gives tensors on the CPU, wherever it runs."""
    return OnDevice(direct, device)


@pytest.fixture(scope="session")
def wide(device: torch.device) -> OnDevice:
    """For many points."""
    return OnDevice(of_tiles(256), device)
