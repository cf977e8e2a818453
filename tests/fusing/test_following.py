"""What changes after a loss was fused: it is followed, or it is refused; a stale number is neither."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch_losses import DTYPE, grad, tensor

import psinn_fast as pf


def network() -> pf.MLP:
    return pf.MLP([2, 6, 1], dtype=DTYPE, seed=0)


def equation(net: Any, points: Any) -> Any:
    return (grad(net(points), points)[:, :1] - torch.sin(5 * points[:, :1])).square().mean()


CHANGES: dict[str, Callable[[torch.Tensor], object]] = {
    "data.copy_": lambda own: own.data.copy_(own.data + 1),
    "data": lambda own: setattr(own, "data", own.data * 0.5),
    "no_grad": lambda own: own.detach().mul_(0.7),
    "by numpy": lambda own: own.detach().numpy().__imul__(0.3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_points_are_followed_however_they_change(change: str) -> None:
    net, points = network(), tensor(20, 2).requires_grad_()
    fused = pf.fuse(equation, net, points)
    fused()
    CHANGES[change](points)
    assert torch.isclose(fused(), equation(net, points), rtol=1e-12)
    assert abs(pf.fit(fused, pf.Adam(1), options=QUIET).loss - float(fused().detach())) < 1e-12


QUIET = pf.Options(progress=False)


def test_numbers_that_are_the_same_everywhere_are_followed() -> None:
    net, points, edge = network(), tensor(20, 2).requires_grad_(), tensor(9, 2)
    weight, value, direction = torch.tensor(1.0, dtype=DTYPE), torch.ones(1, 1, dtype=DTYPE), tensor(2)

    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net
            self.register_buffer("mean", torch.zeros(2, dtype=DTYPE))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x - self.mean)

    model = Normalised()

    def loss_fn(model: nn.Module, points: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        along = grad(model(points), points) @ direction
        return along.square().mean() + weight * (net(edge) - value).square().mean()

    fused = pf.fuse(loss_fn, model, points, weight)
    for own in (weight, value, direction, model.mean):
        own.data.add_(0.5)
        assert torch.isclose(fused(), loss_fn(model, points, weight), rtol=1e-12)


def test_an_error_stays_until_the_loss_is_fused_anew() -> None:
    net, points = network(), tensor(20, 2).requires_grad_()
    fused = pf.fuse(lambda n, x: n(x)[x[:, 0] > 0].square().mean(), net, points)
    points.data.neg_()
    for _ in range(2):
        with pytest.raises(pf.InputError, match="that the function read at"):
            fused()
    points.data.neg_()
    fused()


REFUSED: dict[str, tuple[Callable[..., Any], Callable[..., Any], str]] = {
    "an index": (lambda n, x, own: n(x)[own].square().mean(), lambda own: own.add_(1), "went through operations"),
    "a target": (lambda n, x, own: (n(x)[:3, 0] - own.cumsum(0)).square().mean(), lambda own: own.add_(1), "changed"),
    "a shape": (lambda n, x, own: n(x).square().mean() + (own * n(x)[:3, 0]).square().mean(),
                lambda own: setattr(own, "data", torch.ones(4, dtype=own.dtype)), "has the shape"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_changes_that_are_refused(name: str) -> None:
    loss_fn, change, message = REFUSED[name]
    own = torch.tensor([0, 1, 2]) if name == "an index" else tensor(3)
    net, points = network(), tensor(20, 2)
    fused = pf.fuse(loss_fn, net, points, own)
    fused()
    change(own)
    with pytest.raises(pf.InputError, match=message):
        fused()


def test_code_that_is_not_watched() -> None:
    """A script of torch.jit: right as long as nothing changes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = torch.jit.trace(lambda x: torch.sin(3 * x), torch.ones(2, 1, dtype=DTYPE))
    net, points = network(), tensor(20, 2).requires_grad_()

    def loss_fn(net: nn.Module, points: torch.Tensor) -> torch.Tensor:
        return (net(points) - source(points[:, :1].detach())).square().mean()

    fused = pf.fuse(loss_fn, net, points)
    assert torch.isclose(fused(), loss_fn(net, points), rtol=1e-12)
    points.data.mul_(0.5)
    with pytest.raises(pf.InputError, match="could not be watched"):
        fused()


def test_a_network_that_is_no_longer_in_its_module() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).to(DTYPE)
    report = pf.accelerate(model)
    fused = pf.fuse(equation, model, tensor(20, 2).requires_grad_())
    fused()
    report.undo()
    with pytest.raises(pf.InputError, match="no longer a part of the module"):
        fused()


def test_weights_that_change_before_the_backward_pass() -> None:
    net = network()
    loss = pf.fuse(lambda n, x: n(x).square().mean(), net, tensor(9, 2))()
    with torch.no_grad():
        net.theta.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_nan_in_data_is_named() -> None:
    net, points, data = network(), tensor(9, 2), tensor(9, 1)
    fused = pf.fuse(lambda n, x, y: F.mse_loss(n(x), y), net, points, data)
    data[3] = torch.nan
    with pytest.raises(pf.InputError, match="its data are NaN or infinite, first at row 3"):
        fused()
    weights = torch.ones(9, 1, dtype=DTYPE)
    fused = pf.fuse(lambda n, x, w: (w * n(x) ** 2).mean(), net, points, weights)
    weights[2] = -1.0
    with pytest.raises(pf.InputError, match=r"first at row 2, .* weights of points are to be >= 0"):
        fused()


@pytest.mark.parametrize("bound", ["clamp", "both", "maximum", "minimum", "relu"])
def test_trained_numbers_that_are_projected_onto_a_kink(bound: str) -> None:
    k = nn.Parameter(torch.tensor(0.05, dtype=DTYPE))
    m = torch.tensor(0.0, dtype=DTYPE)
    kinked = {
        "clamp": lambda: k.clamp(min=0), "both": lambda: k.clamp(0, 1), "maximum": lambda: torch.maximum(k, m),
        "minimum": lambda: torch.minimum(m, k), "relu": lambda: torch.relu(k),
    }[bound]  # fmt: skip

    def loss_fn(net: nn.Module, points: torch.Tensor) -> torch.Tensor:
        return (net(points) - kinked() - 1).square().mean()

    net, points = network(), tensor(20, 2)
    fused = pf.fuse(loss_fn, net, points)
    for value in (0.0, 1.0, -1.0, 2.0):
        with torch.no_grad():
            k.fill_(value)
        own, right = (torch.autograd.grad(loss, k)[0] for loss in (fused(), loss_fn(net, points)))
        assert torch.isclose(own, right, rtol=1e-12, atol=1e-15)


def test_bounds_that_cross() -> None:
    low, high = torch.full((20, 1), -0.5, dtype=DTYPE), torch.full((20, 1), 0.5, dtype=DTYPE)
    loss_fn = lambda net, x, a, b: (net(x) - torch.clamp(x[:, :1], a, b)).square().mean()  # noqa: E731
    net, points = network(), tensor(20, 2)
    fused = pf.fuse(loss_fn, net, points, low, high)
    low.fill_(0.8)
    assert torch.isclose(fused(), loss_fn(net, points, low, high), rtol=1e-12)


PREDICATES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "1 - x - y >= 0": lambda x, y: 1 - x - y >= 0,
    "x + .1 + y <= .6": lambda x, y: x + 0.1 + y <= 0.6,
    "(1 - x) * 2 <= .3": lambda x, y: (1 - x) * 2 <= 0.3,
    "differences": lambda x, y: (x - 0.1) - (y - 0.1) >= 0.2,
}


@pytest.mark.parametrize("name", PREDICATES)
def test_comparisons_that_rounding_decides_are_torchs(name: str) -> None:
    axis = torch.linspace(0, 1, 21, dtype=DTYPE)
    grid, points = torch.cartesian_prod(axis, axis), torch.rand(441, 2, dtype=DTYPE)

    def loss_fn(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return (torch.where(PREDICATES[name](x[:, :1], x[:, 1:]), 5.0, 1.0) * net(x)).square().mean()

    net = network()
    on_grid = grid.clone()
    fused = pf.fuse(loss_fn, net, on_grid)
    assert torch.isclose(fused(), loss_fn(net, on_grid), rtol=1e-12)
    fused = pf.fuse(loss_fn, net, points)
    points.mul_(0.99)
    assert torch.isclose(fused(), loss_fn(net, points), rtol=1e-12)
    points.copy_(grid)
    with pytest.raises(pf.InputError, match="where rounding decides"):
        fused()


def test_trained_numbers_of_any_layout() -> None:
    k = nn.Parameter(tensor(2, 3).T)
    net, points = network(), tensor(20, 2)
    loss_fn = lambda net, x: (net(x) - k[0, 1] * x[:, :1] - k[2, 0]).square().mean()  # noqa: E731
    fused = pf.fuse(loss_fn, net, points)
    own, right = (torch.autograd.grad(loss, k)[0] for loss in (fused(), loss_fn(net, points)))
    assert torch.allclose(own, right, rtol=1e-12)
    result = pf.fit(fused, pf.Adam(3), options=QUIET)
    assert float(k[0, 1].detach()) == result.coefficients["k1"]
