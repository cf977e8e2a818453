"""Nested autograd of ``net(x)``: what the kernels are asked for, and where torch's own operations take over."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from helpers import by_torch, laplacian, nested_autograd, random_points, relative_error, slope
from hypothesis import given
from hypothesis import strategies as st
from postponing import wait_from_the_first_call
from strategies import structures
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

from psinn_fast.kernels.errors import InputError
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.published import laplace_even
from psinn_fast.networks.structure import Structure

ROUNDING = 1e-11


@pytest.fixture(autouse=True, params=(0, 1), ids=("at once", "waiting"))
def _waits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed at once, or waiting from the first call on, with too low an order expected."""
    if request.param:
        wait_from_the_first_call(monkeypatch, request.param)


def net_of(dtype: torch.dtype = torch.float64) -> PsiMLP:
    return PsiMLP(laplace_even(), 3, seed=1, dtype=dtype)


def test_a_memory_is_not_part_of_a_network() -> None:
    net, x = net_of(), random_points(5, 2).requires_grad_()
    laplacian(net(x), x)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.__dict__.keys() == PsiMLP(laplace_even(), 3, seed=1).__dict__.keys()
        torch.testing.assert_close(laplacian(other(x), x), laplacian(net(x), x))


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)], ids=str)
def test_orders_and_shapes(order: int, shape: tuple[int, ...]) -> None:
    """Order 5 and the gradients of order 4 are torch's."""
    net, points = net_of(), random_points(6, 2).flatten()[: 2 * max(1, torch.Size(shape).numel())].view(*shape, 2)
    found = []
    for call in (PsiMLP.__call__, by_torch):
        x = points.clone().requires_grad_()
        u = call(net, x)
        assert u.shape == (*shape, 1)
        value = u.sum()
        for k in range(order):
            value = (slope(value, x) * torch.tensor([0.7, 0.1 * k - 0.4], dtype=torch.float64)).sum()
        found.append([value.detach(), *torch.autograd.grad((value - 1).square(), (net.theta, x))])
    for ours, right in zip(*found, strict=True):
        assert relative_error(ours, right) < ROUNDING


@given(structure=structures, order=st.integers(0, 3), seed=st.integers(0, 99), data=st.data())
def test_any_structure_any_cotangent(structure: Structure, order: int, seed: int, data: st.DataObject) -> None:
    d, fields = structure.n_inputs, structure.n_outputs
    net = PsiMLP(structure, seed=seed, dtype=torch.float64)
    points = random_points(4, d, seed)
    axes = data.draw(st.lists(st.integers(0, d - 1), min_size=order, max_size=order))
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(4, fields, generator=generator, dtype=torch.float64) for _ in range(2)]
    found = []
    for call in (PsiMLP.__call__, by_torch):
        x = points.clone().requires_grad_()
        v = weights[0].clone().requires_grad_()
        derivative = (call(net, x) * v).sum(1) if not order else None
        if derivative is None:
            (g,) = torch.autograd.grad(call(net, x), x, v, create_graph=True)
            derivative = nested_autograd(g[:, axes[0]], x, [axes[1:].count(axis) for axis in range(d)])
        loss = (derivative * weights[1][:, 0]).square().sum()
        found.append(torch.autograd.grad(loss, (net.theta, x, v), allow_unused=True, materialize_grads=True))
    for ours, right in zip(*found, strict=True):
        assert relative_error(ours, right, floor=1e-3) < 1e-9


def test_outputs_may_be_changed_in_place() -> None:
    """A factor that vanishes on the boundary, ``u *= ...``."""
    net, points = net_of(), random_points(5, 2)
    found = []
    for call in (PsiMLP.__call__, by_torch):
        for _ in range(2):
            x = points.clone().requires_grad_()
            u = call(net, x)
            u *= x[:, :1] * (1 - x[:, :1])
            loss = laplacian(u, x).square().mean()
        found.append(torch.autograd.grad(loss, net.theta)[0])
    assert relative_error(*found) < ROUNDING


def test_points_or_weights_that_have_changed_are_refused() -> None:
    """By torch: a wrong number would be the alternative."""
    net, points = net_of(), random_points(5, 2)
    for change in ("points", "weights"):
        x = points.clone().requires_grad_()
        u = net(x)
        with torch.no_grad():
            (x if change == "points" else net.theta).add_(0.1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            u.sum().backward()


def test_a_zero_cotangent_that_depends_on_something() -> None:
    net, x = net_of(), random_points(4, 2).requires_grad_()
    scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    found = []
    for call in (PsiMLP.__call__, by_torch):
        (g,) = torch.autograd.grad((scale * call(net, x)).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(g.sum(), scale)[0])
    assert float(found[0].abs()) > 0
    assert relative_error(*found) < ROUNDING


def test_gradients_of_nothing_are_zero() -> None:
    net, x = net_of(), random_points(4, 2).requires_grad_()
    (g,) = torch.autograd.grad((0 * net(x)).sum(), x, create_graph=True)
    assert g.shape == x.shape
    assert not g.any()
    assert not torch.autograd.grad((0 * net(x)).sum(), net.theta)[0].any()


@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_derivatives_of_what_is_zero_here_have_a_graph(factor: float) -> None:
    """A mask may cover all points of one batch, and none of the next."""
    net, points = net_of(), random_points(4, 2)
    found = []
    for call in (PsiMLP.__call__, by_torch):
        x = points.clone().requires_grad_()
        u_x = slope(factor * call(net, x), x)[:, 0]
        loss = (slope(slope(u_x, x)[:, 1], x) ** 2).mean() + call(net, x).mean()
        found.append(torch.autograd.grad(loss, (net.theta, x)))
    for ours, right in zip(*found, strict=True):
        assert relative_error(ours, right) < ROUNDING


def test_hooks_are_called_where_a_gradient_passes() -> None:
    net, points = net_of(), random_points(4, 2)
    found = []
    for call in (PsiMLP.__call__, by_torch):
        for _ in range(2):
            x, seen = points.clone().requires_grad_(), []
            u = call(net, x)
            u.register_hook(lambda grad, seen=seen: (seen.append(1), 2 * grad)[1])
            (slope(u, x) ** 2).mean().backward(retain_graph=True)
            loss = (slope(slope(u, x)[:, 0], x) ** 2).mean() + u.mean()
            found.append((len(seen), *torch.autograd.grad(loss, (net.theta, x))))
    for own in found[:2]:
        assert own[0] == found[2][0]
        assert all(relative_error(ours, right) < ROUNDING for ours, right in zip(own[1:], found[2][1:], strict=True))


def test_hooks_stay_where_a_view_is_changed() -> None:
    net, x = net_of(), random_points(4, 2).requires_grad_()
    found = []
    for call in (PsiMLP.__call__, by_torch):
        u = call(net, x)
        u.register_hook(lambda grad: 2 * grad)
        u[:].mul_(0.5)
        found.append(torch.autograd.grad((u**2).mean(), net.theta)[0])
    assert relative_error(*found) < ROUNDING


def test_checkpoints_of_residuals() -> None:
    """What is computed again is compared with what was saved."""
    net = net_of()

    def residual(x: Tensor) -> Tensor:
        return laplacian(net(x), x).square().mean()

    for _ in range(3):
        x = random_points(4, 2).requires_grad_()
        losses = checkpoint(residual, x, use_reentrant=False), residual(x)
        ours, right = (torch.autograd.grad(loss, (net.theta, x)) for loss in losses)
        assert all(relative_error(a, b) < ROUNDING for a, b in zip(ours, right, strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_traced_code_keeps_the_operations() -> None:
    """Kernels would leave the numbers of the example in it."""
    net, x, other = net_of(), random_points(4, 2), random_points(4, 2, seed=5)
    right = by_torch(net, other)
    torch.testing.assert_close(make_fx(net)(x)(other), right)
    torch.testing.assert_close(torch.jit.trace(net, (x,))(other), right)


@pytest.mark.filterwarnings("ignore:.*CPU autocast.*:UserWarning")
def test_autocast_is_left_alone() -> None:
    net, x = net_of(torch.float32), random_points(4, 2, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(x).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 2), r"x: expected torch.float64 like theta, got torch.float32; write x.to\(net.theta\)"),
        (torch.zeros(3, 2, dtype=torch.int64), "x: expected torch.float64"),
        (torch.zeros(3, 2, dtype=torch.float64, device="meta"), "x: expected device cpu like theta, got meta"),
    ],
)
def test_points_of_another_kind(x: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        net_of()(x)


def test_a_cotangent_of_another_shape() -> None:
    net, x = net_of(), random_points(4, 2).requires_grad_()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        torch.autograd.grad(net(x), x, torch.ones(3, 1, dtype=torch.float64))


def test_networks_beyond_what_the_kernels_take() -> None:
    """Five inputs: torch's operations, to any order."""
    net = MLP([5, 4, 1], seed=0, dtype=torch.float64)
    x = random_points(3, 5).requires_grad_()
    for ours, right in zip(
        torch.autograd.grad(laplacian(net(x), x).sum(), (net.theta, x)),
        torch.autograd.grad(laplacian(by_torch(net, x), x).sum(), (net.theta, x)),
        strict=True,
    ):
        assert relative_error(ours, right) < ROUNDING
