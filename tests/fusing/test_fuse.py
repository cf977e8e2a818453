"""Losses written for PyTorch, fused: what they give, and their gradients, are those of the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torch_losses
from torch import nn
from torch_losses import DTYPE, EDGE, NU, POINTS, RAISSI, TARGET, X, grad

import psinn_fast as pf

QUIET = pf.Options(progress=False)
# Sums in another order, times the condition of up to fourth derivatives.
TOLERANCE = 1e-11


def network(outputs: int = 1, seed: int = 0) -> pf.MLP:
    return pf.MLP([2, 8, 9, outputs], dtype=DTYPE, seed=seed)


def total(returned: Any) -> torch.Tensor:
    return sum(returned.values()) if isinstance(returned, dict) else returned


def assert_same(fused: pf.Fused, loss_fn: Callable[..., Any], *arguments: Any, tolerance: float = TOLERANCE) -> None:
    wanted = [fused.net.theta, *fused.coefficients]
    expected = total(loss_fn(*arguments)).reshape(())
    got = fused()
    assert got.shape == ()
    assert torch.isclose(got, expected, rtol=tolerance, atol=0)
    for own, exact in zip(torch.autograd.grad(got, wanted), torch.autograd.grad(expected, wanted), strict=True):
        assert own.shape == exact.shape
        assert (own - exact).abs().max() <= tolerance * exact.abs().max().clamp(min=1.0)


def moved(net: pf.PsiMLP) -> None:
    with torch.no_grad():
        net.theta += 0.1 * torch.sin(torch.arange(len(net.theta)))


@pytest.mark.parametrize("loss_fn", torch_losses.WITH_POINTS, ids=lambda loss_fn: loss_fn.__name__)
def test_fused(loss_fn: Callable[..., Any]) -> None:
    net = network()
    fused = pf.fuse(loss_fn, net, POINTS)
    moved(net)
    assert_same(fused, loss_fn, net, POINTS)


def test_columns_of_coordinates() -> None:
    net = network()
    fused = pf.fuse(torch_losses.columns, net, X, torch_losses.T)
    moved(net)
    assert_same(fused, torch_losses.columns, net, X, torch_losses.T)
    captured = pf.fuse(torch_losses.captured_columns, net)
    assert_same(captured, torch_losses.captured_columns, net)


def test_several_outputs_and_relations() -> None:
    def flow(net: nn.Module, points: torch.Tensor) -> dict[str, torch.Tensor]:
        u, v, p = net(points).unbind(1)
        u_x, u_y = grad(u, points).unbind(1)
        v_x, v_y = grad(v, points).unbind(1)
        p_x = grad(p, points)[:, 0]
        u_xx, u_yy = grad(u_x, points)[:, 0], grad(u_y, points)[:, 1]
        momentum = u * u_x + v * u_y + p_x - 0.01 * (u_xx + u_yy)
        return {"momentum": (momentum**2).mean(), "continuity": ((u_x + v_y) ** 2).mean() + (v_x**2).mean()}

    structure = pf.structure_from_group([pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1, -1, 1))], (4, 4))
    for net in (network(3), pf.PsiMLP(structure, dtype=DTYPE, seed=1)):
        fused = pf.fuse(flow, net, POINTS, coords="x y", fields="u v p")
        assert [term.name for term in fused.problem.conditions] == ["momentum", "continuity"]
        assert "u*u_x" in fused.describe()
        assert_same(fused, flow, net, POINTS)


def test_float32_is_as_near_as_plain_float32() -> None:
    points = POINTS.detach().float().requires_grad_()

    def loss_fn(net: nn.Module, points: torch.Tensor) -> torch.Tensor:
        u = net(points)
        return (grad(grad(u, points)[:, 0], points)[:, 0] + u[:, 0]).square().mean()

    net = pf.MLP([2, 8, 9, 1], seed=0)
    exact = loss_fn(
        pf.MLP.with_theta(net.structure, net.theta.detach().double()), points.detach().double().requires_grad_()
    )
    plain = loss_fn(net.to_sequential(), points)
    fused = pf.fuse(loss_fn, net, points)()
    assert abs(float(fused.detach()) - float(exact.detach())) <= 2 * abs(
        float(plain.detach()) - float(exact.detach())
    ) + 1e-7 * float(exact.detach())


def test_a_module_around_the_network() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x * torch.tensor([2.0, 0.5], dtype=DTYPE)) * x[:, :1] + 1

    model = Scaled()
    fused = pf.fuse(torch_losses.poisson, model, POINTS)
    moved(model.net)
    assert_same(fused, torch_losses.poisson, model, POINTS)


def test_it_trains_in_a_loop_of_torch() -> None:
    nets = [network(), network()]
    points = POINTS.detach().clone().requires_grad_()
    fused = pf.fuse(torch_losses.inverse, nets[0], points)
    found = []
    for net, loss_fn in ((nets[0], fused), (nets[1], lambda: torch_losses.inverse(nets[1], points))):
        nu = NU.detach().clone()
        optimizer = torch.optim.Adam([net.theta, NU], lr=1e-2)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = loss_fn()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        found.append((losses, float(NU.detach())))
        with torch.no_grad():
            NU.copy_(nu)
    assert np.allclose(found[0][0], found[1][0], rtol=1e-10, atol=0)
    assert np.isclose(found[0][1], found[1][1], rtol=1e-10, atol=0)


def test_in_place_changes_are_seen() -> None:
    points, target = POINTS.detach().clone().requires_grad_(), torch_losses.tensor(30, 1)

    def loss_fn(net: nn.Module, points: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (net(points) - target * torch.sin(points[:, :1])).square().mean()

    net = network()
    fused = pf.fuse(loss_fn, net, points, target)
    with torch.no_grad():
        points.mul_(0.5)
        target.add_(1.0)
    assert_same(fused, loss_fn, net, points, target)


def test_changes_that_cannot_be_seen_are_refused() -> None:
    data = torch_losses.tensor(30, 1)
    net = network()
    fused = pf.fuse(lambda net, points: (net(points) - torch.sin(data)).square().mean(), net, POINTS)
    data.add_(1.0)
    with pytest.raises(pf.InputError, match=r"a tensor \(30, 1\) has changed .* as an argument of fuse"):
        fused()
    points = POINTS.detach().clone().requires_grad_()
    fused = pf.fuse(lambda net, points: net(points)[points[:, 0] > 0].square().mean(), net, points)
    with torch.no_grad():
        points.mul_(-1)
    with pytest.raises(pf.InputError, match="that the function read at"):
        fused()


def burgers(net: nn.Module, points: torch.Tensor, start: torch.Tensor, edge: torch.Tensor) -> dict[str, torch.Tensor]:
    u = net(points)
    u_t, u_x = torch.autograd.grad(u.sum(), points, create_graph=True)[0].unbind(1)
    u_xx = torch.autograd.grad(u_x.sum(), points, create_graph=True)[0][:, 1]
    return {
        "residual": (u_t + u[:, 0] * u_x - 0.1 * u_xx).square().mean(),
        "initial": F.mse_loss(net(start), -torch.sin(torch.pi * start[:, 1:])),
        "boundary": net(edge).square().mean(),
    }


@pytest.mark.trajectory
@pytest.mark.parametrize("optimizer", [pf.Adam(30), pf.GaussNewton(5), pf.LBFGS(10)], ids=lambda own: own.name)
def test_fit_is_the_fit_of_the_problem(optimizer: pf.Optimizer) -> None:
    box = pf.Box(t=(0, 1), x=(-1, 1))
    inside, start = np.array(box.random(200, seed=0)), np.array(box.boundary(20, "t_low"))
    edge = np.concatenate([box.boundary(20, "x_low"), box.boundary(20, "x_high")])
    pde = pf.PDE("t x", "u", lambda u: u.t + u * u.x - 0.1 * u.xx)
    values = -np.sin(np.pi * start[:, 1])
    conditions = [
        pf.Residual(inside), pf.Dirichlet(start, u=values, name="initial"), pf.Dirichlet(edge, u=0.0, name="boundary"),
    ]  # fmt: skip
    problem = pf.Problem("burgers", pde, box, conditions)
    nets = [network(seed=4), network(seed=4)]
    tensors = [torch.tensor(own, dtype=DTYPE) for own in (inside, start, edge)]
    fused = pf.fuse(burgers, nets[0], tensors[0].requires_grad_(), *tensors[1:], coords="t x")
    options = pf.Options(scaling=None, progress=False)
    own, other = pf.fit(fused, optimizer, options=options), pf.fit(problem, nets[1], optimizer, options=options)
    assert own.steps == other.steps
    # The targets' sine is computed by torch here, by NumPy there: one in its last digit.
    assert np.allclose(list(own.losses.values()), list(other.losses.values()), rtol=1e-9, atol=0)
    assert torch.allclose(nets[0].theta, nets[1].theta, rtol=1e-7, atol=1e-9)


@pytest.mark.trajectory
def test_fit_finds_coefficients_and_writes_them_back() -> None:
    nu = nn.Parameter(torch.tensor(0.3, dtype=DTYPE))
    points = POINTS.detach().clone().requires_grad_()
    values = torch.exp(0.7 * points.detach()[:, :1])

    def loss_fn(net: nn.Module, points: torch.Tensor) -> torch.Tensor:
        u = net(points)
        return (grad(u, points)[:, :1] - nu * u).square().mean() + 10 * F.mse_loss(u, values)

    fused = pf.fuse(loss_fn, network(), points)
    result = pf.fit(fused, pf.GaussNewton(40), options=QUIET)
    assert abs(result.coefficients["nu"] - 0.7) < 1e-2
    assert float(nu.detach()) == result.coefficients["nu"]


def test_a_fused_loss_has_its_own_network() -> None:
    net = network()
    fused = pf.fuse(torch_losses.poisson, net, POINTS)
    with pytest.raises(pf.InputError, match="net: a fused loss is of the network"):
        pf.fit(fused, network())
    assert pf.fit(fused, net, pf.Adam(2), options=QUIET).steps == 2
    with pytest.raises(pf.InputError, match=r"net: expected a PsiMLP or MLP, got None"):
        pf.fit("laplace")


def test_points_need_no_gradient_where_none_is_taken() -> None:
    net = network()
    loss_fn = lambda net, x, y: F.mse_loss(net(x), y) + torch.exp(RAISSI).squeeze() ** 2  # noqa: E731
    fused = pf.fuse(loss_fn, net, EDGE, TARGET)
    assert_same(fused, loss_fn, net, EDGE, TARGET)


def test_second_derivatives_by_weights_are_refused() -> None:
    net = network()
    loss = pf.fuse(torch_losses.poisson, net, POINTS)()
    with pytest.raises(pf.GradientError, match="it is differentiated once"):
        torch.autograd.grad(loss, net.theta, create_graph=True)


def test_a_class_with_its_own_layers_and_coefficient() -> None:
    """Accelerated, then fused, as it is written everywhere; and back."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1)).to(DTYPE)
            self.lambda_1 = nn.Parameter(torch.tensor([0.5], dtype=DTYPE))

        def loss(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            u = self.net(torch.cat([x, t], 1))
            u_t, u_x = grad(u, t), grad(u, x)
            return torch.mean((u_t + self.lambda_1 * u * u_x - 0.1 * grad(u_x, x)) ** 2)

    model = Model()
    before = model.loss(X, torch_losses.T).detach()
    report = pf.accelerate(model)
    fused = pf.fuse(Model.loss, model, X, torch_losses.T)
    assert list(fused.problem.pde.unknown) == ["lambda1"]
    assert torch.isclose(fused().detach(), before, rtol=TOLERANCE)
    assert_same(fused, Model.loss, model, X, torch_losses.T)
    report.undo()
    assert torch.isclose(model.loss(X, torch_losses.T).detach(), before, rtol=TOLERANCE)


def test_weights_that_are_changed_in_place_are_followed() -> None:
    """Of points, where they begin as ones; of terms, as tensors that are read or given."""
    weights, factor, given = (
        torch.ones(30, 1, dtype=DTYPE),
        torch.tensor(2.0, dtype=DTYPE),
        torch.tensor([3.0], dtype=DTYPE),
    )

    def loss_fn(net: nn.Module, points: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        r = grad(net(points), points)[:, :1] - factor
        return (
            (weights * r**2).mean() + factor * F.mse_loss(net(EDGE), TARGET) + given * net(EDGE).square().sum() + given
        )

    net = network()
    fused = pf.fuse(loss_fn, net, POINTS, given)
    assert_same(fused, loss_fn, net, POINTS, given)
    weights.uniform_(0, 1)
    factor.fill_(0.7)
    given.mul_(0.1)
    assert_same(fused, loss_fn, net, POINTS, given)


class Weighted:
    factor = 2.0
    target = TARGET

    def __call__(self, net: nn.Module) -> torch.Tensor:
        return self.factor * F.mse_loss(net(EDGE), self.target)


def test_numbers_and_tensors_that_are_replaced_are_noticed() -> None:
    net = network()
    factor, target = 2.0, TARGET
    fused = pf.fuse(lambda net: factor * F.mse_loss(net(EDGE), target), net)
    fused()
    factor = 3.0
    with pytest.raises(
        pf.InputError, match=r"its function reads factor, which was 2.0 .* and is 3.0 now; change a tensor"
    ):
        fused()
    factor = 2.0
    fused()
    target = TARGET.clone()
    with pytest.raises(pf.InputError, match="its function reads target"):
        fused()
    loss_fn = Weighted()
    fused = pf.fuse(loss_fn, net)
    loss_fn.factor = 5.0
    with pytest.raises(pf.InputError, match=r"factor, which was 2\.0"):
        fused()
