"""Derivatives that are computed only where their numbers are needed: the same values and gradients as at once."""

from __future__ import annotations

import gc
import random
import weakref
from typing import Any

import pytest
import torch
from helpers import random_points, relative_error
from postponing import ROUNDING, WANTED, Loss, N, Watched, agree, asked, both, target
from torch import Tensor, nn
from torch.nn import functional as F

from psinn_fast.kernels.errors import InputError
from psinn_fast.networks import noted_programs
from psinn_fast.networks.derivatives import Derivatives, derivatives
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.noted_columns import MOST_CALLS
from psinn_fast.networks.published import laplace_even
from psinn_fast.networks.waiting import Waiting

# Losses, whether they are known after the gradient without the derivatives' numbers, and in how many channels.
LOSSES: dict[str, tuple[Loss, int]] = {
    "laplace": (lambda d: d.u_lap.square().mean(), 4),
    "sum of second derivatives": (lambda d: (d.u_xx + d.u_yy - target()).square().sum(), 4),
    "second derivatives apart": (lambda d: (d.u_xx + 2 * d.u_yy).square().mean(), 5),
    "sums of sums": (lambda d: ((d.u_xx + d.u_yy) + (d.u_yy + d.u_xx) - d.v).square().mean(), 4),
    "sum and part": (lambda d: ((d.u_xx + d.u_yy) * d.u_xx).mean(), 5),
    "burgers": (lambda d: ((d.u_y + d.u * d.u_x - 0.1 * d.u_xx) ** 2).mean(), 4),
    "mse": (lambda d: F.mse_loss(d.u_lap, target()), 4),
    "mse, sum": (lambda d: F.mse_loss(target(), d.u, reduction="sum"), 1),
    "two terms": (lambda d: d.u_lap.square().mean() + 10 * (d.u - target()).pow(2).mean(), 4),
    "two fields": (lambda d: (d.u_x + d.v_y).square().mean() + (d.u * d.v).square().mean(), 3),
    "weights of a loss": (lambda d: torch.tensor(0.3, dtype=torch.float64) * d.u.pow(2).mean() - d.v.mean() / 3, 1),
    "energy": (lambda d: (0.5 * (d.u_x**2 + d.u_y**2) - target() * d.u).mean(), 3),
    "linear": (lambda d: d.u_x.mean(), 2),
    "by dimension": (lambda d: d.u.square().mean(0) + d.u_x.squeeze().view(-1).pow(2).sum(dim=-1), 2),
    "functions": (
        lambda d: (
            torch.sin(d.u) + torch.exp(d.u_x) * torch.cos(d.u_y) / (2 + d.v**2) + torch.tanh(d.u) + (1 - d.u).abs()
        ).square().mean(),
        3,
    ),
    "more functions": (
        lambda d: (
            torch.sqrt(1 + d.u**2) + torch.log(2 + d.u_x.square()) + torch.atan(d.u) - torch.sinh(d.u) + d.u.tan()
            + torch.cosh(d.v) + (2 + d.u.square()).reciprocal() + torch.sign(d.v) * d.v - (-d.u_y)
        ).mean(),
        3,
    ),
    "powers": (lambda d: sum((2 + d.u) ** p for p in (0, 1, 2, 3, 5, 7, 8, 9, -1, -2, -3, -8, -9, 0.5, 2.5)).mean(), 1),
    "factors": (lambda d: (torch.add(d.u, d.v, alpha=2) - torch.sub(3, d.u, alpha=2) * 2).square().mean(), 1),
}  # fmt: skip


@pytest.mark.numerical
@pytest.mark.parametrize("which", LOSSES)
def test_losses(which: str, net: PsiMLP, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    loss_fn, n_channels = LOSSES[which]
    expected = loss_fn(asked(net, at_once=True))
    gradient = torch.autograd.grad(expected, net.theta)[0]
    seen: list[int] = []
    term = noted_programs.Term
    monkeypatch.setattr(noted_programs, "Term", lambda *args: seen.append(len(args[1].channels)) or term(*args))
    watched.new()
    loss = loss_fn(asked(net))
    loss.backward()
    agree(net.theta.grad, gradient)
    assert type(net.theta.grad) is Tensor
    assert loss.item() == pytest.approx(float(expected.detach()), rel=ROUNDING)
    assert watched.new() == ["residuals_backward"]
    assert seen == [n_channels]


# By operations that are not noted, numbers are needed on the way.
OTHERS: dict[str, Loss] = {
    "root": lambda d: d.u_lap.square().mean().sqrt(),
    "largest": lambda d: d.u_lap.abs().max(),
    "some points": lambda d: (d.u[:5] - d.u_x[5:10]).square().mean(),
    "columns": lambda d: (d.u_lap[:, None] - target()[:, None]).square().mean(),
    "joined": lambda d: torch.cat([d.u, d.u_x]).square().mean(),
    "broadcast": lambda d: (d.u * target()[:4, None]).mean(),
    "about the mean": lambda d: (d.u - d.u.mean()).square().mean(),
    "float32": lambda d: (d.u.float() * d.u_x.float()).double().mean(),
    "one after the other": lambda d: sum((d.u_x * 0.001 for _ in range(3000)), d.u).mean(),
    "many terms": lambda d: sum(d.u.square().mean() * 0.001 for _ in range(3000)),
    "where": lambda d: torch.where(d.u > 0, d.u, d.u_x).square().mean(),
    "dot": lambda d: d.u @ d.u_x + torch.linalg.norm(d.u),
    "kept dimension": lambda d: (d.u.mean(0, keepdim=True) + d.u_x.sum(dim=0, keepdim=True)).sum(),
    "by a class of autograd": lambda d: _Squared.apply(d.u).sum(),
}


class _Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        return a * a

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * grad


@pytest.mark.parametrize("which", OTHERS)
def test_other_operations(which: str, net: PsiMLP) -> None:
    both(net, lambda d: [loss := OTHERS[which](d), *torch.autograd.grad(loss, net.theta)])


UNARY = (torch.sin, torch.tanh, torch.exp, torch.neg, torch.square, torch.abs, lambda a: 1.5 - a, lambda a: a / 3)
BINARY = (torch.add, torch.sub, torch.mul, lambda a, b: a / (2 + b * b), lambda a, b: torch.add(a, b, alpha=-0.5))


def random_loss(seed: int, pool: list[Tensor]) -> Tensor:
    chosen, made = random.Random(seed), list(pool)
    for _ in range(chosen.randrange(2, 12)):
        a, b = chosen.choice(made), chosen.choice(made)
        made.append(chosen.choice(UNARY)(a) if chosen.random() < 0.4 else chosen.choice(BINARY)(a, b))
    total = made[-1].square().mean()
    for _ in range(chosen.randrange(3)):
        reduced = chosen.choice((torch.mean, torch.sum))(chosen.choice(made))
        total = total + chosen.random() * reduced * chosen.choice((1, -1))
    return total


@pytest.mark.numerical
@pytest.mark.parametrize("seed", range(60))
def test_random_losses(seed: int, net: PsiMLP) -> None:
    """Of derivatives, given numbers, and trained numbers at each point and for all."""
    shared = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    by_point = nn.Parameter(target(5))

    def function(d: Derivatives[Tensor]) -> list[Tensor]:
        loss = random_loss(seed, [*d.values(), target(), shared, by_point])
        trained = (net.theta, shared, by_point, d.u, d.v_y)
        return [loss, *torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True)]

    both(net, function)


def test_laplacians_only_where_nothing_else_is_asked_for(net: PsiMLP) -> None:
    """A number that is known from the same pass, or a gradient that comes from outside, may need a part of the sum."""

    def function(d: Derivatives[Tensor]) -> list[Any]:
        loss = (d.u_xx + d.u_yy).square().mean()
        with torch.no_grad():
            part = d.u_xx.square().mean()
        (first,) = torch.autograd.grad(loss, net.theta, retain_graph=True)
        one = torch.ones((), dtype=torch.float64)
        return [loss, part, first, *torch.autograd.grad([loss, d.u_xx], net.theta, [one, target()])]

    both(net, function)


def test_float32_and_ties(watched: Watched) -> None:
    net = PsiMLP(laplace_even(), 4, seed=0)
    x = random_points(200, 2).float()
    losses = []
    for points in (x, x.clone().requires_grad_()):
        d = derivatives(net, points, "u u_x u_lap", coords="x y", fields="u")
        loss = (d.u_lap + d.u * d.u_x).square().mean()
        losses.append((loss, torch.autograd.grad(loss, net.theta)[0]))
    for found, expected in zip(*losses, strict=True):
        assert relative_error(found, expected) < 1e-5  # a hundred roundings of float32
    assert watched.new().count("residuals_backward") == 1


def test_two_calls_in_one_loss(net: PsiMLP, watched: Watched) -> None:
    """At different points: a pass each. What one call's gradient needs of the other is computed."""
    inner, edge = random_points(N, 2, 1), random_points(11, 2, 2)

    def loss_of(at_once: bool, is_mixed: bool) -> Tensor:
        d, e = (asked(net, at_once, points) for points in (inner, inner if is_mixed else edge))
        if is_mixed:
            return (d.u - e.u_x).square().mean()
        return d.u_lap.square().mean() + 5 * e.u.square().mean() + net(edge).square().mean()

    for is_mixed in (False, True):
        expected = torch.autograd.grad(own := loss_of(True, is_mixed), net.theta)[0]
        watched.new()
        loss = loss_of(False, is_mixed)
        agree(torch.autograd.grad(loss, net.theta)[0], expected)
        passes = watched.new()
        assert passes.count("residuals_backward") == 2
        assert is_mixed or passes.count("jets") == 1  # of net(edge)
        agree(loss, own)


def test_networks_of_two_dtypes(net: PsiMLP) -> None:
    """As torch does: in the wider one."""
    single = MLP([2, 5, 2], seed=1, dtype="float32")
    found, expected = [], []
    for results, at_once in ((found, False), (expected, True)):
        e = asked(single, at_once, random_points(N, 2).float())
        for loss in ((e.u * asked(net, at_once).u).mean(), (asked(net, at_once).v - e.u).square().mean()):
            results += [loss, *torch.autograd.grad(loss, [net.theta, single.theta], retain_graph=True)]
    for own, right in zip(found, expected, strict=True):
        assert own.dtype == right.dtype
        assert relative_error(own, right) < 1e-5  # a hundred roundings of float32


def test_values_are_those_of_the_call(net: PsiMLP) -> None:
    """Weights and points may have changed before anybody looks, also where torch does not see it."""
    expected = asked(net, at_once=True)
    points, data = random_points(N, 2), target()
    d = asked(net, points=points)
    found = derivatives(net, points, WANTED, coords="x y", fields="u v")
    loss, right = (d.u - data).square().mean(), (expected.u - data).square().mean()
    data.zero_()
    points.data.zero_()
    with torch.no_grad():
        net.theta.mul_(2)
    agree(d.u, expected.u)
    agree(found.u_x, expected.u_x)
    agree(loss, right)


@pytest.mark.parametrize("what", ["weights", "points"])
def test_changes_before_the_gradient_raise(what: str, net: PsiMLP) -> None:
    points = random_points(N, 2)
    loss = derivatives(net, points, "u_lap", coords="x y", fields="u v").u_lap.square().mean()
    with torch.no_grad():
        (net.theta if what == "weights" else points).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_loss_that_is_looked_at_first(net: PsiMLP) -> None:
    def function(d: Derivatives[Tensor]) -> list[Any]:
        loss = d.u_lap.square().mean() + (d.u - target()).square().mean()
        seen = loss.item()
        loss.backward()
        return [seen, net.theta.grad, float(loss.detach())]

    both(net, function)


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {}])
def test_trained_numbers_beside_the_network(options: dict[str, bool], net: PsiMLP, watched: Watched) -> None:
    """Their gradients may wait as well, in whatever an optimiser does with them; one pass knows all of one number."""

    def function(d: Derivatives[Tensor]) -> list[Any]:
        nu = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))
        by_point = nn.Parameter(target())
        optimizer = torch.optim.Adam([nu, by_point], lr=0.1, **options)
        seen = []
        for _ in range(3):
            optimizer.zero_grad(set_to_none=False)
            for _ in range(2):
                (by_point * (d.u_x - nu * d.u_lap).square()).mean().backward(retain_graph=True)
            nn.utils.clip_grad_norm_([nu, by_point], 0.1)
            optimizer.step()
            seen += [nu.detach().clone(), by_point.detach().clone(), nu.grad, by_point.grad]
        return seen

    both(net, function)
    watched.new()
    nu = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))
    d = asked(net)
    (d.u_x - nu * d.u_lap).square().mean().backward()
    assert float(nu.grad) != 0
    assert watched.new() == ["residuals_backward"]


def test_gradients_of_what_stands_beside_come_from_the_same_pass(net: PsiMLP, watched: Watched) -> None:
    """Of a number per point: a coefficient that another network gives, for instance."""
    found = []
    for at_once in (False, True):
        by_point, d = nn.Parameter(target()), asked(net, at_once)
        watched.new()
        (by_point * d.u_lap.square()).mean().backward()
        found.append(by_point.grad.clone())
        assert at_once or watched.new() == ["residuals_backward"]
    agree(*found)


def test_a_step_needs_one_pass_and_keeps_nothing(net: PsiMLP, watched: Watched) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    running = torch.zeros((), dtype=torch.float64)
    gone, kept = [], []
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            optimizer.zero_grad()
            d = asked(net)
            loss = d.u_lap.square().mean() + 3 * (d.u - target()).square().mean()
            gone.append(weakref.ref(d.u.held.notes[0].calls[0]))
            loss.backward()
            running += loss.detach()
            kept.append(loss.detach())
            optimizer.step()
            assert loss.item() > 0
            del d
        assert float(running) == pytest.approx(float(sum(kept)), rel=ROUNDING)
        del loss
        assert [reference() for reference in gone] == [None] * 3
    finally:
        gc.enable()
    assert watched.new() == ["residuals_backward"] * 3


@pytest.mark.parametrize("how", ["detached", "no gradient", "a hook"])
def test_averages_over_steps_do_not_grow(how: str, net: PsiMLP) -> None:
    """2,000 steps that nobody looks at take as long each, and keep few derivatives."""
    average: Any = torch.zeros(5, dtype=torch.float64)
    points = random_points(5, 2)
    calls: weakref.WeakSet[Any] = weakref.WeakSet()

    def put(new: Tensor) -> None:
        nonlocal average
        average = 0.9 * average + 0.1 * new.abs()

    for _ in range(2000):
        d = derivatives(net, points, "u u_x", coords="x y", fields="u v")
        calls.add(d.u.held.notes[0].calls[0])
        if how == "detached":
            put((d.u + d.u_x).detach())
        elif how == "no gradient":
            with torch.no_grad():
                put(d.u + d.u_x)
        else:
            d.u.register_hook(put)
            d.u.square().sum().backward()
        assert len(calls) <= MOST_CALLS + 1
    expected = (2 * d.u if how == "a hook" else d.u + d.u_x).detach().abs()
    assert relative_error(average, expected) < ROUNDING  # 0.9^2000 is no number


def test_weights_of_terms_that_change_need_no_new_program(net: PsiMLP) -> None:
    def step(weight: float) -> None:
        d = asked(net)
        (d.u_lap.square().mean() + weight * d.u.square().mean()).backward()

    step(1.0)
    before = noted_programs.program_of.cache_info().misses
    for weight in (0.5, 0.25, 3.0):
        step(weight)
    assert noted_programs.program_of.cache_info().misses == before


def test_shapes_do_not_change_in_place(net: PsiMLP) -> None:
    with pytest.raises(InputError, match="the shape of derivatives cannot be changed in place"):
        asked(net).u.detach().unsqueeze_(-1)


def test_errors_come_at_once(net: PsiMLP) -> None:
    with pytest.raises(InputError, match=r"x: expected shape \(N, 2\), got \(3, 3\)"):
        derivatives(net, torch.zeros(3, 3, dtype=torch.float64), "u", coords="x y", fields="u v")
    with pytest.raises(InputError, match=r"x: expected torch.float64 like theta"):
        derivatives(net, torch.zeros(3, 2), "u", coords="x y", fields="u v")


def test_who_does_not_wait(net: PsiMLP, monkeypatch: pytest.MonkeyPatch) -> None:
    x = random_points(N, 2)

    def kind(points: Tensor = x) -> type:
        return type(derivatives(net, points, "u", coords="x y", fields="u v").u)

    assert kind() is Waiting
    assert kind(x.clone().requires_grad_()) is Tensor
    assert kind(x[:0]) is Tensor
    with torch.no_grad():
        assert kind() is Tensor
    with torch.inference_mode():
        assert kind() is Tensor
    monkeypatch.undo()
    assert kind() is Tensor  # of a few points
    net.requires_grad_(False)
    assert kind() is Tensor
