"""Backends by name."""

from __future__ import annotations

import pytest

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
def test_auto_skips_it() -> None:
    assert registry.get_backend("auto").name == "reference"


def test_auto_with_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BACKENDS", {"broken": Broken()})
    with pytest.raises(BackendUnavailable, match=r"no backend can run here.*no such device"):
        registry.get_backend()
