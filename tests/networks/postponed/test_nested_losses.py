"""Existing code, whose derivatives come from nested autograd: from the second step on, they wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import by_torch, random_points, relative_error, slope
from postponing import ROUNDING, N, Watched, target
from torch import Tensor
from torch.nn import functional as F

from psinn_fast.networks import waiting_jets
from psinn_fast.networks.mlp import PsiMLP

Call = Callable[[Tensor], Tensor]
Loss = Callable[[Call, Tensor], Any]


def grad(u: Tensor, x: Tensor) -> Tensor:
    return torch.autograd.grad(u, x, torch.ones_like(u), create_graph=True)[0]


def laplace(call: Call, x: Tensor) -> Tensor:
    u = call(x)[:, 0]
    g = slope(u, x)
    return (slope(g[:, 0], x)[:, 0] + slope(g[:, 1], x)[:, 1]).square().mean()


def columns(call: Call, x: Tensor) -> Tensor:
    u = call(x)[:, :1]
    g = grad(u, x)
    u_xx, u_yy = grad(g[:, 0:1], x)[:, 0:1], grad(g[:, 1:2], x)[:, 1:2]
    return F.mse_loss(u_xx + u_yy, target()[:, None])


def source(call: Call, x: Tensor) -> Tensor:
    """f is made of the points, which require a gradient."""
    u = call(x)[:, :1]
    g = grad(u, x)
    residual = grad(g[:, :1], x)[:, :1] + grad(g[:, 1:], x)[:, 1:] + torch.sin(3 * x[:, :1]) * torch.cos(x[:, 1:])
    return (residual**2).mean()


def coordinates_apart(call: Call, points: Tensor) -> Tensor:
    x, y = points[:, :1], points[:, 1:]
    u = call(torch.cat([x, y], 1))[:, :1]
    u_x, u_y = grad(u, x), grad(u, y)
    return (u * u_x + u_y - 0.1 * grad(u_x, x) + x * y).pow(2).mean()


def two_fields(call: Call, x: Tensor) -> Tensor:
    out = call(x)
    u, v = out[:, :1], out[:, 1:]
    (u_x, u_y), (v_x, v_y) = grad(u, x).split(1, 1), grad(v, x).split(1, 1)
    lap = grad(u_x, x)[:, :1] + grad(u_y, x)[:, 1:]
    momentum = u * u_x + v * u_y - 0.02 * lap + grad(v_x, x)[:, 1:]
    return (momentum**2).mean() + ((u_x + v_y) ** 2).mean()


def both_fields_at_once(call: Call, x: Tensor) -> Tensor:
    out = call(x)
    weights = torch.tensor([[0.5, 2.0]], dtype=x.dtype).expand_as(out)
    g = torch.autograd.grad(out, x, weights, create_graph=True)[0]
    return (slope(g.prod(1) if g.dim() == 1 else g[:, 0] * g[:, 1], x) ** 2).sum(1).mean() + (out**2).mean()


def eikonal(call: Call, x: Tensor) -> Tensor:
    g = grad(call(x)[:, :1], x)
    return ((g**2).sum(1, keepdim=True) - 1).square().mean() + (g * g).sum() / 7 + g.sum(dim=1).mean()


def unbound(call: Call, x: Tensor) -> Tensor:
    u_x, u_y = slope(call(x)[:, 1], x).unbind(1)
    u_xx = slope(u_x, x).select(1, 0)
    return (torch.stack([u_xx, u_y * u_x], 1) ** 2).sum(1).mean() + u_x.view(-1, 1).squeeze(1).mean()


def joined(call: Call, x: Tensor) -> Tensor:
    g = grad(call(x)[:, :1], x)
    h = torch.cat([g[:, 1:], grad(g[:, :1], x)], dim=1)
    return (h * torch.tensor([1.0, 2.0, 0.5], dtype=x.dtype)).square().mean()


def divided(call: Call, x: Tensor) -> Tensor:
    u = call(x)[:, :1]
    g = grad(u, x)
    p = g[:, :1] / torch.sqrt(1 + (g**2).sum(1, keepdim=True))
    return (grad(p, x)[:, :1] - target()[:, None]).pow(2).mean()


def third(call: Call, x: Tensor) -> Tensor:
    u = call(x)[:, :1]
    u_x = grad(u, x)[:, :1]
    u_xxx = grad(grad(u_x, x)[:, :1], x)[:, :1]
    return (grad(u, x)[:, 1:] + 6 * u * u_x + u_xxx).square().mean()


def biharmonic(call: Call, x: Tensor) -> Tensor:
    def lap(u: Tensor) -> Tensor:
        g = slope(u, x)
        return slope(g[:, 0], x)[:, 0] + slope(g[:, 1], x)[:, 1]

    return lap(lap(call(x)[:, 0])).square().mean()


def fifth(call: Call, x: Tensor) -> Tensor:
    """Beyond the kernels' order: torch's own operations."""
    u = call(x)[:, 0]
    for _ in range(5):
        u = slope(u, x)[:, 0]
    return u.square().mean()


def energy(call: Call, x: Tensor) -> Tensor:
    u = call(x)[:, :1]
    g = grad(u, x)
    return (0.5 * (g**2).sum(1, keepdim=True) - target()[:, None] * u).mean()


def flattened(call: Call, x: Tensor) -> Tensor:
    g = grad(call(x)[:, :1], x)
    return (grad(g[:, 0:1], x)[:, 0:1].flatten() + g[:, 1].reshape(-1)).square().mean()


def by_the_mean(call: Call, x: Tensor) -> Tensor:
    """Numbers are needed on the way."""
    u = call(x)[:, :1]
    u_xx = grad(grad(u, x)[:, :1], x)[:, :1]
    return (u_xx - u_xx.mean()).square().mean() + u.abs().max()


def stacked_losses(call: Call, x: Tensor) -> Tensor:
    u = call(x)[:, :1]
    g = grad(u, x)
    return torch.stack([grad(g[:, :1], x)[:, :1].square().mean(), g[:, 1].square().mean()]).sum()


def hard_condition(call: Call, x: Tensor) -> Tensor:
    u = x[:, :1] * (1 - x[:, :1]) * call(x)[:, :1]
    g = grad(u, x)
    return (grad(g[:, :1], x)[:, :1] + grad(g[:, 1:], x)[:, 1:] + 1).square().mean()


def changed_in_place(call: Call, x: Tensor) -> Tensor:
    u = call(x)
    u *= x[:, :1]
    g = grad(u[:, :1], x)
    g[:, 0] += 1
    g[:, 1:] *= u[:, 1:]
    return g.square().mean()


LOSSES: dict[str, Loss] = {
    own.__name__.replace("_", " "): own
    for own in (
        laplace, columns, source, coordinates_apart, two_fields, both_fields_at_once, eikonal, unbound, joined, divided,
        third, biharmonic, fifth, energy, flattened, by_the_mean, stacked_losses, hard_condition, changed_in_place,
    )
}  # fmt: skip


def steps(loss_fn: Loss, call: Call, net: PsiMLP, count: int = 3) -> list[tuple[Tensor, ...]]:
    """Points accumulate their gradients, as those of training loops do."""
    x, found = random_points(N, 2).requires_grad_(), []
    for _ in range(count):
        net.theta.grad = None
        loss = loss_fn(call, x)
        loss.backward()
        assert net.theta.grad is not None
        assert x.grad is not None
        found.append((loss.detach().clone(), net.theta.grad.clone(), x.grad.clone()))
    return found


@pytest.mark.numerical
@pytest.mark.parametrize("which", LOSSES)
def test_losses(which: str, net: PsiMLP) -> None:
    found = steps(LOSSES[which], net, net)
    expected = steps(LOSSES[which], lambda x: by_torch(net, x), net)
    for own, right in zip(found, expected, strict=True):
        for part, true in zip(own, right, strict=True):
            assert relative_error(part, true, 1e-3) < 1e3 * ROUNDING


# Of which numbers are needed on the way, or which go beyond the kernels' order.
OTHERS = {"by the mean", "stacked losses", "changed in place", "fifth"}


@pytest.mark.parametrize("which", [which for which in LOSSES if which not in OTHERS])
def test_one_pass_from_the_second_step_on(which: str, net: PsiMLP, watched: Watched) -> None:
    """The points' gradients add up, as in training loops: what that needs comes from the same pass."""
    x = random_points(N, 2).requires_grad_()
    seen = []
    for _ in range(3):
        LOSSES[which](net, x).backward()
        seen.append(watched.new())
    assert "jets_backward" in seen[0]
    assert seen[1:] == [["residuals_backward"]] * 2


def test_who_looks_at_every_loss_first_is_given_numbers_at_once(
    net: PsiMLP, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_jets, "_READ", 2)
    monkeypatch.setattr(waiting_jets, "_PAUSE", 3)
    x, seen = random_points(N, 2).requires_grad_(), []
    for step in range(12):
        loss = laplace(net, x)
        if step < 7:
            loss.item()
        loss.backward()
        seen.append("residuals_backward" in watched.new())
    # It waits twice, pauses, tries once more, pauses, and goes on waiting when nobody looks.
    assert seen == [False, True, True, *[False] * 4, True, *[True] * 4]


def test_losses_of_many_operations_are_computed_at_once(
    net: PsiMLP, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_jets, "PER_NOTE", N * 83 * 6 // 50)  # fifty notes cost what six channels do
    for loss_fn, is_noted in ((laplace, True), (hard_condition, False)):
        x = random_points(N, 2).requires_grad_()
        for _ in range(4):
            watched.new()
            loss_fn(net, x).backward()
        assert ("residuals_backward" in watched.new()) is is_noted
