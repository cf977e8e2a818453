"""Every backend that can run here, for tests of what all of them promise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch
from interpreted import IS_INSTALLED, ON_GPU, interpreting, nothing_measured, of_tiles, quicker
from toy_backend import Toy

from psinn_fast.kernels.contract import Backend
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.reference.backend import ReferenceBackend

QUICK = ["reference", *(f"cpu {isa}" for isa in instruction_sets()), "toy"]


@cache
def _made(name: str) -> Backend:
    if name == "triton":
        from on_device import OnDevice

        made: Backend = OnDevice(of_tiles(256), torch.device("cuda" if ON_GPU else "cpu"))
        return made
    if name.startswith("cpu "):
        return CpuBackend(name.removeprefix("cpu "))
    return Toy() if name == "toy" else ReferenceBackend()


@pytest.fixture(params=[*QUICK, *(["triton"] if IS_INSTALLED else [])])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The reference, C++ with each instruction set, the toy of tests/toy_backend.py, and Triton."""
    if request.param != "triton":
        yield _made(request.param)
        return
    with interpreting(), quicker(), nothing_measured(str(tmp_path_factory.getbasetemp() / "cache")):
        yield _made("triton")


@pytest.fixture(params=QUICK)
def quick_backend(request: pytest.FixtureRequest) -> Backend:
    """The same without Triton, for what would take its interpreter too long."""
    return _made(request.param)


@pytest.fixture
def direct(backend: Backend) -> Backend:
    """Without what moves tensors to a GPU: for arguments that are refused before it is asked where they are."""
    own: Backend = getattr(backend, "backend", backend)
    return own
