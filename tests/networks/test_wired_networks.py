"""Gated and residual networks in PyTorch: values, nested gradients and derivatives, against torch's own operations."""

from __future__ import annotations

import pytest
import torch
from helpers import laplacian, relative_error, slope
from torch import Tensor

import psinn_fast as pf
from psinn_fast.networks.by_torch import by_torch
from psinn_fast.networks.mlp import PsiMLP

each_wiring = pytest.mark.parametrize("wiring", ["gated", "residual"])


def _net(wiring: str) -> PsiMLP:
    return pf.MLP([2, 9, 9, 9, 1], wiring=wiring, seed=0, dtype="float64")


def _points(n: int) -> Tensor:
    return torch.rand(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@each_wiring
def test_nested_gradients(wiring: str) -> None:
    """The first step learns what is asked for; from the second on, the loss is one pass."""
    net, x = _net(wiring), _points(200).requires_grad_()

    def gradients(u: Tensor) -> tuple[Tensor, ...]:
        loss = (laplacian(u, x) + u[:, 0] * slope(u, x)[:, 0]).square().mean()
        return loss, *torch.autograd.grad(loss, (net.theta, x))

    expected = gradients(by_torch(net.structure, net.theta, x))
    for _ in range(3):
        for ours, theirs in zip(gradients(net(x)), expected, strict=True):
            assert relative_error(ours, theirs) < 1e-11


@each_wiring
def test_derivatives(wiring: str) -> None:
    net, x = _net(wiring), _points(50)
    found = pf.derivatives(net, x, "u u_y u_lap", coords="x y", fields="u")
    own = x.clone().requires_grad_()
    value = by_torch(net.structure, net.theta, own)
    for name, right in (("u", value[:, 0]), ("u_y", slope(value, own)[:, 1]), ("u_lap", laplacian(value, own))):
        assert relative_error(found[name], right) < 1e-11
    assert relative_error(net(x), value) < 1e-12
