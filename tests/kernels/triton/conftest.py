"""The backend under test: in Triton's interpreter, or on a GPU (tests/interpreted.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from interpreted import IS_INSTALLED, ON_GPU, interpreting, nothing_measured, of_tiles, quicker

if IS_INSTALLED:
    from on_device import OnDevice

    from psinn_fast.kernels.triton.backend import TritonBackend


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with nothing_measured(str(tmp_path_factory.mktemp("cache"))):
        yield


@pytest.fixture(scope="session", autouse=True)
def _quicker() -> Iterator[None]:
    with quicker():
        yield


@pytest.fixture(scope="module", autouse=True)
def _interpreter() -> Iterator[None]:
    with interpreting():
        yield


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cuda" if ON_GPU else "cpu")


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
