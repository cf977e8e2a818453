"""Every backend that can run here, for tests of what all of them promise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch
from interpreted import IS_INSTALLED, ON_GPU, interpreting, nothing_measured, of_tiles, quicker
from toy_backend import Toy

from psinn_fast.kernels.contract import Backend, registry
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets, why_not
from psinn_fast.kernels.errors import say_once
from psinn_fast.kernels.reference.backend import ReferenceBackend


def _absent(name: str, reason: str) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.skip(reason=reason))]


# A name's first word is the backend's, by which marks speak of it.
NAMES = [
    "reference",
    *([f"cpu {isa}" for isa in instruction_sets()] or _absent("cpu", str(why_not()))),
    "toy",
    *(["triton"] if IS_INSTALLED else _absent("triton", "triton is not installed")),
]


@cache
def _made(name: str, tile: int) -> Backend:
    if name == "triton":
        from on_device import OnDevice

        made: Backend = OnDevice(of_tiles(tile), torch.device("cuda" if ON_GPU else "cpu"))
        return made
    if name.startswith("cpu "):
        return CpuBackend(name.removeprefix("cpu "))
    return Toy() if name == "toy" else ReferenceBackend()


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The reference, C++ with each instruction set, the toy of tests/toy_backend.py, and Triton.

    A module's TILE says how many points Triton's tiles have there; its interpreter takes as long for any number.
    """
    tile = getattr(request.module, "TILE", 32)
    if request.param != "triton":
        yield _made(request.param, tile)
        return
    with interpreting(), quicker(), nothing_measured(str(tmp_path_factory.getbasetemp() / "cache")):
        yield _made("triton", tile)


@pytest.fixture
def only_built_in_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it; warnings that come once come again."""
    monkeypatch.setattr(registry, "BACKENDS", dict(registry.BACKENDS))
    monkeypatch.setattr(registry, "BY_NAME_ONLY", set())
    say_once.cache_clear()


@pytest.fixture
def direct(backend: Backend) -> Backend:
    """Without what moves tensors to a GPU: for arguments that are refused before it is asked where they are."""
    own: Backend = getattr(backend, "backend", backend)
    return own


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests of backends that a mark ``without`` names."""
    left_out = [item for item in items if _is_without(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _is_without(item: pytest.Item) -> bool:
    name = getattr(item, "callspec", None) and item.callspec.params.get("backend")  # type: ignore[attr-defined]
    return isinstance(name, str) and any(name.split()[0] in mark.args for mark in item.iter_markers("without"))
