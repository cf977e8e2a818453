"""Backends by name."""

from __future__ import annotations

import pytest
import torch

from psinn_fast.kernels import registry
from psinn_fast.kernels.errors import BackendUnavailable, InputError
from psinn_fast.kernels.reference.backend import ReferenceBackend


class Broken(ReferenceBackend):
    name = "broken"

    def unavailable(self) -> str | None:
        return "no such device"


@pytest.fixture
def _with_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BACKENDS", {"broken": Broken(), "reference": ReferenceBackend()})
    registry._say_once.cache_clear()


def test_reference_is_there() -> None:
    assert registry.get_backend("reference").name == "reference"
    assert registry.available_backends()["reference"] is None
    assert registry.get_backend().unavailable() is None


def test_unknown_name() -> None:
    with pytest.raises(InputError, match=r"backend: expected one of \['auto', .*'reference'.*\], got 'gpu'"):
        registry.get_backend("gpu")


@pytest.mark.usefixtures("_with_broken")
def test_a_backend_that_cannot_run_says_why() -> None:
    with pytest.raises(BackendUnavailable, match="backend 'broken' cannot run here: no such device"):
        registry.get_backend("broken")
    assert registry.available_backends() == {"broken": "no such device", "reference": None}


@pytest.mark.usefixtures("_with_broken")
def test_auto_skips_it_and_says_so_once() -> None:
    with pytest.warns(RuntimeWarning, match="backend 'broken' is not used: no such device"):
        assert registry.get_backend("auto").name == "reference"
    assert registry.get_backend("auto").name == "reference"  # a second warning would be an error


def test_auto_goes_by_the_device() -> None:
    assert registry.get_backend("auto", torch.device("meta")).name == "reference"


def test_auto_with_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BACKENDS", {"broken": Broken()})
    registry._say_once.cache_clear()
    with (
        pytest.warns(RuntimeWarning, match="broken"),
        pytest.raises(BackendUnavailable, match=r"no backend can run here.*no such device"),
    ):
        registry.get_backend()
