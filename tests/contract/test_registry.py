"""Backends by name."""

from __future__ import annotations

import re

import pytest
import torch
from cases import make, some_weights

from psinn_fast.kernels.contract import AdamState, registry
from psinn_fast.kernels.contract.registry import WithFallback
from psinn_fast.kernels.errors import BackendLimit, BackendUnavailable, InputError, say_once
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.reference.backend import ReferenceBackend


class Broken(ReferenceBackend):
    name = "broken"

    def unavailable(self) -> str | None:
        return "no such device"


@pytest.fixture
def _with_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"broken": Broken(), "reference": ReferenceBackend()})
    say_once.cache_clear()


@pytest.mark.parametrize("name", ["a b", "cpu+reference", "mine,yours", "m\n", "größer"])
def test_names_are_plain(name: str) -> None:
    """Results and checkpoints name two backends as "cpu+reference"."""
    other = type("Other", (ReferenceBackend,), {"name": name})()
    with pytest.raises(InputError, match=r"backend: Other\.name: expected letters, digits, '_', '-' and '\.', got"):
        registry.register_backend(other)
    assert name not in registry.BACKENDS


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


def test_auto_with_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"broken": Broken()})
    say_once.cache_clear()
    with (
        pytest.warns(RuntimeWarning, match="broken"),
        pytest.raises(BackendUnavailable, match=r"no backend can run here.*no such device"),
    ):
        registry.get_backend()


class Narrow(ReferenceBackend):
    """Takes layers of two neurons at most."""

    name = "narrow"

    widest = 2


def test_what_is_too_large_goes_to_another_backend() -> None:
    """All five operations, with one warning; by name the backend itself refuses."""
    say_once.cache_clear()
    engine = WithFallback(Narrow())
    assert (engine.name, engine.unavailable()) == ("narrow", None)
    for hidden in ((1,), (5,)):
        structure, theta, coefficients, terms, _ = make("burgers with unknown nu", hidden, 7)
        plan, channels = lower(structure.layers), terms[0].program.channels
        x, grad = terms[0].points[0], torch.ones(7, len(channels), 1, dtype=torch.float64)
        ours, theirs = (AdamState(theta.clone(), coefficients.clone(), 1e-3) for _ in range(2))
        if hidden == (5,):
            with pytest.warns(RuntimeWarning, match="backend 'narrow' is not used, but 'reference': .*, got 5"):
                engine.jets(plan, theta, x, channels)
        expected = ReferenceBackend()
        assert torch.equal(engine.jets(plan, theta, x, channels), expected.jets(plan, theta, x, channels))
        for operation, arguments in [
            ("jets_backward", (plan, theta, x, channels, grad, True)),
            ("loss_and_gradient", (plan, theta, coefficients, terms, some_weights(terms))),
            ("residual_jacobian", (plan, theta, coefficients, terms[0], slice(1, 5))),
        ]:
            results = (getattr(b, operation)(*arguments) for b in (engine, expected))
            assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
        engine.train(plan, ours, terms, some_weights(terms), 3)
        expected.train(plan, theirs, terms, some_weights(terms), 3)
        assert torch.equal(ours.theta, theirs.theta)
    with pytest.raises(BackendLimit, match="up to 2 wide, got 5; backend 'reference' takes any"):
        Narrow().jets(plan, theta, x, channels)


def test_devices_by_name() -> None:
    assert type(registry.get_backend("auto", "cpu")) is type(registry.get_backend("auto", torch.device("cpu")))


@pytest.mark.parametrize("name", ["auto", "reference", "triton"])
def test_gpus_that_are_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="device: got 'cuda:7', there are 'cuda:0' to 'cuda:1'"):
        registry.get_backend(name, "cuda:7")


@pytest.mark.parametrize("name", ["auto", "reference"])
def test_devices_on_which_nothing_computes(name: str) -> None:
    """Nothing is said of GPUs, and the reference does not stand in."""
    for other in (5, True, 2.5, ["cpu"], "nowhere", "", "cuda:x"):
        with pytest.raises(InputError, match=rf"device: expected 'cpu', .*, got {re.escape(repr(other))}"):
            registry.get_backend(name, other)  # type: ignore[arg-type]  # no device at all
    for other in ("mps", "meta", torch.device("meta"), "xpu:1"):
        with pytest.raises(InputError, match=f"device: expected the CPU or an NVIDIA GPU .*, got '{other}'"):
            registry.get_backend(name, other)
