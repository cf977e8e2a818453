"""The precision that is asked for is the one that kernels are compiled with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small import small_laplace

import psinn_fast as pf
from psinn_fast.kernels import at_work, products_at_work
from psinn_fast.kernels.contract import AdamState, registry
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration
from psinn_fast.kernels.triton.point_kernel import PointKernel

BOTH = pytest.mark.parametrize("precision", ["ieee", "tf32x3"])
Launched = set[tuple[str, str]]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Launched]:
    """(dtype, PRECISION) of all launches; "auto" takes Triton."""
    found: Launched = set()
    launch = PointKernel.__call__

    def seen(self: PointKernel, source: torch.Tensor, *arguments: Any, **named: Any) -> None:
        found.add((str(source.dtype).removeprefix("torch."), self.signature("fp32")[1]["PRECISION"]))
        launch(self, source, *arguments, **named)

    monkeypatch.setattr(PointKernel, "__call__", seen)
    monkeypatch.setattr(TritonBackend, "device_types", ("cpu", "cuda"))
    monkeypatch.setattr(registry, "BACKENDS", {"triton": registry.BACKENDS["triton"], **registry.BACKENDS})
    return found


@BOTH
def test_networks_and_derivatives(launched: Launched, device: torch.device, precision: str) -> None:
    net = pf.MLP([2, 4, 1], device=device, precision=precision)
    x = torch.rand(5, 2, device=device, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    slope.square().mean().backward()
    assert launched == {("float32", precision)}
    launched.clear()
    other = "tf32x3" if precision == "ieee" else "ieee"
    pf.derivatives(net, x, "u_x", coords="x y", fields="u", precision=other).u_x.sum().backward()
    assert launched == {("float32", other)}
    launched.clear()
    net.double()(x.double())
    assert launched == {("float64", "ieee")}


@BOTH
def test_training(launched: Launched, device: torch.device, precision: str) -> None:
    problem, net = small_laplace(3), pf.MLP([2, 4, 1], device=device)
    for dtype in (torch.float32, torch.float64):
        launched.clear()
        engine, theta = pf.get_backend("auto", device, precision), net.theta.detach().to(dtype)
        state = AdamState(theta, theta.new_empty(0), 1e-3)
        engine.train(net.plan, state, problem.terms(dtype, device), problem.weights(dtype, device), 1)
        assert at_work(engine) == "triton"
        used = products_at_work(engine, [dtype], device)
        assert used == ("ieee" if dtype == torch.float64 else precision)
        assert launched == {(str(dtype).removeprefix("torch."), used)}


def test_jacobian(launched: Launched, device: torch.device) -> None:
    net = pf.MLP([2, 4, 1], device=device, precision="tf32x3")
    engine = pf.get_backend("triton", device, net.precision)
    term = small_laplace(3).terms(torch.float32, device)[0]
    engine.residual_jacobian(net.plan, net.theta.detach(), net.theta.new_empty(0), term)
    assert launched == {("float32", "tf32x3")}


def test_siblings() -> None:
    """One backend for each precision, with the same tiles, and kernels of its own."""
    own = TritonBackend(configuration=Configuration(8, 2, 4))
    other = own.with_precision("tf32x3")
    assert own.with_precision("ieee") is own
    assert own.with_precision("tf32x3") is other is other.with_precision("tf32x3")
    assert other.with_precision("ieee") is own
    device = torch.device("cuda")
    found = [(one.products(torch.float32, device), one.products(torch.float64, device)) for one in (own, other)]
    assert found == [("ieee", "ieee"), ("tf32x3", "ieee")]
    assert registry.get_backend("triton", None, "tf32x3").name == "triton"
    with pytest.raises(InputError, match=r"configuration: its precision is 'ieee', the backend's 'tf32x3'; write"):
        TritonBackend("tf32x3", Configuration(8, 2, 4))
