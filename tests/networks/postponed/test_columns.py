"""Tensors of several columns that wait: whatever torch does with them, it does as with ordinary ones."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import by_torch, random_points
from postponing import N, agree, wait_from_the_first_call
from torch import Tensor
from torch.nn import functional as F

from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.networks.waiting import Waiting

# From the gradient g (N, 2), the value u (N, 1) and the points x.
Use = Callable[[Tensor, Tensor, Tensor], Any]


def joined(g: Tensor, u: Tensor) -> Tensor:
    return torch.cat([g, u], 1)


def changed_through_a_column(g: Tensor, u: Tensor, x: Tensor) -> Any:
    column = g[:, 0]
    column += 1
    return g * 2


def changed_below_a_column(g: Tensor, u: Tensor, x: Tensor) -> Any:
    column, both = g[:, 1:], g[:, 0:2]
    g *= x
    return column + both


def changed_through_another_shape(g: Tensor, u: Tensor, x: Tensor) -> Any:
    flat = g[:, 0].unsqueeze(1).squeeze(1)
    flat.mul_(3)
    return g.sum(1) + flat


def changed_parts(g: Tensor, u: Tensor, x: Tensor) -> Any:
    first, _ = g.unbind(1)
    first += 1  # torch refuses that
    return g


def filled(g: Tensor, u: Tensor, x: Tensor) -> Any:
    g[:5] = 0
    g[:, 1][7] = 2.0
    return g


def changed_by_data(g: Tensor, u: Tensor, x: Tensor) -> Any:
    column = g[:, 0]
    g.data.mul_(2)
    return g + column[:, None]


def detached(g: Tensor, u: Tensor, x: Tensor) -> Any:
    apart = g[:, 0].detach()
    apart += 1
    return g * apart[:, None]


def copied(g: Tensor, u: Tensor, x: Tensor) -> Any:
    buffer = io.BytesIO()
    torch.save(g.detach(), buffer)
    buffer.seek(0)
    return torch.load(buffer) + copy.deepcopy(g.detach()) + g + torch.from_numpy(g.detach().numpy())


def hooked(g: Tensor, u: Tensor, x: Tensor) -> Any:
    g.register_hook(lambda grad: 2 * grad)
    u.retain_grad()
    return g[:, :1] * u


def under_no_grad(g: Tensor, u: Tensor, x: Tensor) -> Any:
    with torch.no_grad():
        factor = (g[:, :1] / (1 + g[:, 1:] ** 2)).sum(1, keepdim=True)
    return g * factor


def changed_after_it_was_saved(g: Tensor, u: Tensor, x: Tensor) -> Any:
    product = g * g * u
    g[:, 0].add_(1)  # the gradient of the product needs what it was
    return product


def kept_elsewhere(g: Tensor, u: Tensor, x: Tensor) -> Any:
    with torch.autograd.graph.save_on_cpu():
        return (g * u) ** 2


USES: dict[str, Use] = {
    "transposed": lambda g, u, x: g.t() @ g,
    "rows": lambda g, u, x: g[3] + g[-1] + g[2:5].sum(0),
    "chosen": lambda g, u, x: (g[:, [1, 0]], g[g[:, 0] > 0], g[..., 1], g[:, -1:], g[:, ::2], g[:, 5:]),
    "flat": lambda g, u, x: (g.reshape(-1), g.flatten(), g.view(-1, 1), u.reshape(-1), u.view(1, -1), u.view(N)),
    "norms": lambda g, u, x: (g.norm(dim=1), torch.linalg.norm(g), g.pow(2).sum(1).sqrt(), g.abs().amax(1)),
    "joined": lambda g, u, x: (torch.cat([g, u], 1), torch.cat([g, x], 1), torch.cat([g, g]), torch.hstack([u, g])),
    "stacked": lambda g, u, x: (
        torch.stack([g[:, 0], u[:, 0]]), torch.stack([g[:, 0], x[:, 1], u[:, 0]], 1), torch.stack([u, u], 1)),
    "sums": lambda g, u, x: (g.sum(), g.sum(0), g.sum(1), g.sum(-1, True), g.sum((0, 1)), g.mean(), g.mean(0),
        g.mean(1), u.sum(0), u.mean(0, keepdim=True), u.mean((0, 1)), g.sum([], keepdim=True), u.sum(1)),
    "by rows": lambda g, u, x: g * torch.tensor([2.0, -1.0], dtype=x.dtype) + torch.tensor([[1.0, 3.0]], dtype=x.dtype),
    "by columns": lambda g, u, x: (g * u, u * g, g + x[:, :1], x * g, g / (2 + u), u - g, g * 3,
        torch.sub(1, g, alpha=2)),
    "by all": lambda g, u, x: g[:, 0] * u,
    "by numbers": lambda g, u, x: g * g.new_tensor([0.5]) + g.new_tensor(2.0) * g - g.new_tensor([[0.1]]),
    "shapes": lambda g, u, x: (u.expand(-1, 3), g.expand(2, N, 2), u.repeat(1, 2), g.unsqueeze(0), g[:, None],
        g[:, 0, None], u.squeeze(), u.squeeze(-1), g.squeeze(), u.expand(N, 1), u.t(), u.sum().view(1, 1).expand(2, 2)),
    "parts": lambda g, u, x: (*g.split(1, 1), *g.split([1, 1], dim=1), *g.chunk(2, 1), *g.unbind(1), *g.split(10)),
    "losses": lambda g, u, x: (F.mse_loss(g, x), F.mse_loss(g, x, reduction="sum"), F.mse_loss(u, x[:, :1]),
        F.mse_loss(g, x, reduction="none"), F.l1_loss(g, x), F.smooth_l1_loss(u, x[:, 1:]), F.huber_loss(g, x)),
    "others": lambda g, u, x: (torch.where(g > 0, g, 2 * g), torch.einsum("ni,nj->ij", g, x), g.cumsum(0), g.prod(1),
        g.flip(1), g.roll(1, 1), torch.linalg.det(g.t() @ g), g.clamp(-0.1, 0.2), torch.dot(g[:, 0], u[:, 0])),
    "functions": lambda g, u, x: (torch.sin(g) + torch.exp(u), g**2, (g * g) ** 0.5, (g * g + 1).sqrt(), g.tanh(),
        -g, 1 / (3 + g)),
    "of another type": lambda g, u, x: (g.float().double(), g.double(), g.to(torch.float32) * u.float()),
    "like": lambda g, u, x: (g * torch.ones_like(g), g + torch.zeros_like(u), g.new_zeros(3),
        torch.full_like(g, 2) * g),
    "zeros": lambda g, u, x: (0 * g).sum(1) + (g[:, :1] * 0 + 1) * u,
    "some columns": lambda g, u, x: (joined(g, u)[:, :2].flatten(), joined(g, u)[:, ::2].reshape(-1),
        joined(g, u)[:, 1:2].expand(-1, 2).ravel(), joined(g, u).t().reshape(-1), joined(g, u)[:, 1].view(N, 1)),
    "no view": lambda g, u, x: joined(g, u)[:, :2].view(-1),
    "strides": lambda g, u, x: (joined(g, u)[:, 1].stride(), joined(g, u)[:, 1:].is_contiguous(),
        g[:, 1].storage_offset(), torch.as_strided(joined(g, u)[:, 1], (5,), joined(g, u)[:, 1].stride())),
    **{f"impossible {k}": use for k, use in enumerate((
        lambda g, u, x: g.split([1, 2, 3], 1), lambda g, u, x: g.split([1], 1), lambda g, u, x: g.split(0, 1),
        lambda g, u, x: g.split(-1, 1), lambda g, u, x: g[:, :1].expand(-1), lambda g, u, x: g[:, 0].view(0, -1),
        lambda g, u, x: g.select(1, 5), lambda g, u, x: g.squeeze(3), lambda g, u, x: g.split([3, -1], 1),
        lambda g, u, x: g.expand(N, 3), lambda g, u, x: g.unsqueeze(4), lambda g, u, x: g.view(7, 7)))},
    "in place": lambda g, u, x: (g.clone().add_(1), u.clone().mul_(g[:, :1]), g.mul(2).sub_(u)),
    "known": lambda g, u, x: (g.shape, g.dtype, g.requires_grad, g.dim(), len(g), g.numel(), u.size(1), g.is_leaf),
    "comparisons": lambda g, u, x: (g > 0, torch.isfinite(g).all(), torch.equal(g, g), bool((g == g).all())),
    "text": lambda g, u, x: (g.tolist(), u[0].item(), repr(g)[:20], f"{u.sum():.3e}"),
    **{own.__name__.replace("_", " "): own for own in (
        changed_through_a_column, changed_below_a_column, changed_through_another_shape, changed_parts, filled,
        changed_by_data, detached, copied, hooked, under_no_grad,
        changed_after_it_was_saved, kept_elsewhere)},
}  # fmt: skip


def used(use: Use, net: PsiMLP, call: Callable[[Tensor], Tensor], is_higher: bool) -> Any:
    """What it gives, and the gradients of its tensors for weights and points."""
    x = random_points(N, 2).requires_grad_()
    u = call(x)[:, :1]
    (g,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    if is_higher:
        (g,) = torch.autograd.grad((g[:, 1:] * u).sum(), x, create_graph=True)
    try:
        found = use(g, u, x)
        several = found if isinstance(found, tuple) else (found,)
        return [*several, *(gradients(own, net, x) for own in several)]
    except (RuntimeError, IndexError) as error:
        return str(error)[:30]


def gradients(found: Any, net: PsiMLP, x: Tensor) -> Any:
    if not (isinstance(found, Tensor) and found.requires_grad):
        return None
    weights = 1 + torch.arange(found.numel(), dtype=found.dtype).view(found.shape)
    loss = (found.square() * weights).mean()
    return torch.autograd.grad(loss, (net.theta, x), retain_graph=True, materialize_grads=True)


@pytest.mark.parametrize("is_higher", [False, True])
@pytest.mark.parametrize("use", USES)
def test_whatever_torch_does(use: str, is_higher: bool, net: PsiMLP, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_from_the_first_call(monkeypatch, 3)
    found, right = (used(USES[use], net, call, is_higher) for call in (net, lambda x: by_torch(net, x)))
    agree(found, right)


def test_they_wait(net: PsiMLP, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_from_the_first_call(monkeypatch, 2)
    x = random_points(N, 2).requires_grad_()
    u = net(x)
    (g,) = torch.autograd.grad(u[:, :1].sum(), x, create_graph=True)
    assert all(isinstance(own, Waiting) and own.held.notes for own in (u, g, g[:, 0], g.unbind(1)[1], g.sum(1), g * u))
