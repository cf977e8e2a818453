"""Losses as users of PyTorch write them, each in a way of its own."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import psinn_fast as pf

DTYPE = torch.float64
_RNG = np.random.default_rng(3)


def tensor(*shape: int) -> Tensor:
    return torch.tensor(_RNG.uniform(-1, 1, shape), dtype=DTYPE)


POINTS = tensor(30, 2).requires_grad_()
X, T = tensor(30, 1).requires_grad_(), tensor(30, 1).requires_grad_()
EDGE, OTHER, TARGET = tensor(12, 2), tensor(12, 2), tensor(12, 1)
DATA, WEIGHTS = tensor(30, 1), tensor(30, 1).abs()
NU = nn.Parameter(torch.tensor(0.3, dtype=DTYPE))
PAIR = nn.Parameter(torch.tensor([0.5, -0.2], dtype=DTYPE))
RAISSI = torch.tensor([0.1], dtype=DTYPE, requires_grad=True)


def grad(u: Tensor, x: Tensor) -> Tensor:
    return torch.autograd.grad(u, x, torch.ones_like(u), create_graph=True)[0]


def poisson(net, points):
    u_x, u_y = grad(net(points), points).split(1, dim=1)
    u_xx, u_yy = grad(u_x, points)[:, 0:1], grad(u_y, points)[:, 1:2]
    return (u_xx + u_yy + torch.sin(math.pi * points[:, :1])).pow(2).mean()


def columns(net, x, t):
    u = net(torch.cat([x, t], 1))
    u_t, u_x = grad(u, t), grad(u, x)
    return torch.mean((u_t + u * u_x - 0.1 * grad(u_x, x)) ** 2)


def captured_columns(net):
    return columns(net, X, T)


def stacked(net, points):
    x, y = points[..., 0], points[..., 1]
    u = net(torch.stack([x, y], dim=-1)).squeeze(-1)
    u_x = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
    return F.mse_loss(torch.autograd.grad(u_x.sum(), x, create_graph=True)[0], torch.cos(y))


def normalised(net, points):
    low, high = torch.tensor([-1.0, -2.0], dtype=DTYPE), torch.tensor([1.0, 3.0], dtype=DTYPE)
    u = net(2 * (points - low) / (high - low) - 1)
    g = grad(u, points)
    return (grad(g[:, 0], points)[:, 0] - 3 * g[:, 1] + u[:, 0] ** 3).square().sum() / 7


def embedded(net, points):
    x, y = points[:, :1], points[:, 1:]
    u = net(torch.cat([torch.cos(x) * y, torch.sin(x)], -1))
    return nn.MSELoss()(grad(grad(u, points)[:, 0], points)[:, 1], points[:, 0])


def inverse(net, points):
    u = net(points)
    g = grad(u, points)
    r = g[:, 1:] + u * g[:, :1] - NU * grad(g[:, :1], points)[:, :1]
    return (r**2).mean() + 5 * ((u - DATA) ** 2).mean() + 0.01 * NU**2


def pair(net, points):
    u = net(points)
    g = grad(u, points)
    return (PAIR[0] * u[:, 0] + (PAIR * g).sum(1) + torch.exp(RAISSI) * points[:, 0]).square().mean()


def boundary(net, points):
    inside = poisson(net, points)
    return inside + 10 * F.mse_loss(net(EDGE), TARGET) + 0.5 * (net(EDGE) - net(OTHER)).pow(2).sum()


def periodic(net, points):
    u, v = net(points), net(points + torch.tensor([2.0, 0.0], dtype=DTYPE))
    jump = u - v
    slope = (torch.autograd.grad(u, points, torch.ones_like(u), create_graph=True, retain_graph=True)[0]
             - torch.autograd.grad(v, points, torch.ones_like(v), create_graph=True)[0])[:, 0]  # fmt: skip
    return (jump * jump).mean() + torch.mean(slope**2)


def weighted(net, points):
    r = (net(points) - torch.sin(points.sum(1, keepdim=True))) / (1 + points[:, [0]] ** 2)
    return (WEIGHTS * r**2).mean() + (r * r * torch.exp(-points[:, :1])).mean()


def rows(net, points):
    u = net(points)
    g = grad(u, points)
    r = grad(g[:, 0], points)[:, 0]
    mask = points[:, 0] > 0.1
    return (r[:20] ** 2).mean() + (u[20:, 0] - 1).square().mean() + u[mask].square().sum()


def joined(net, points):
    u = net(torch.cat([points, EDGE], 0))
    inside, edge = u[: len(points)], u[len(points) :]
    return (grad(inside, points)[:, 0] - 1).square().mean() + (edge - TARGET).square().mean()


def transposed(net, points):
    x, y = points.T
    u_x, u_y = grad(net(points), points).t()
    return (x * u_x + y * u_y - 1).square().mean()


def grid(net, points):
    u = net(points.view(5, 6, 2))
    return (u[..., 0] ** 2 + 0.5).mean() + u.flatten().square().sum()


def cases(net, points):
    u = net(points)
    f = torch.where(points[:, :1] > 0, torch.sin(points[:, :1]), torch.zeros_like(points[:, :1]))
    inside = (points[:, 1:] < 0.3) & (points[:, 1:] > -0.5)
    return ((u - f) * inside).square().mean() + torch.clamp(u, min=-0.1, max=0.2).square().mean()


def by_names(net, points):
    return {"residual": poisson(net, points), "edge": 3 * F.mse_loss(net(EDGE), TARGET, reduction="sum")}


def by_derivatives(net, points):
    d = pf.derivatives(net, points, "u u_x u_xy u_lap", coords="x y", fields="u")
    return (d.u_lap + d.u * d.u_x - d.u_xy).square().mean()


def ansatz(net, points):
    x = points[:, :1]
    u = net(points) * x * (1 - x)
    return (grad(grad(u, points)[:, :1], points)[:, :1] + u.sin()).pow(2).mean()


def energy(net, points):
    g = grad(net(points), points)
    return 0.5 * (g**2).sum(1).mean() + torch.linalg.norm(net(EDGE)) ** 2 + torch.dot(g[:, 0], g[:, 0])


def detached(net, points):
    points = points.detach().clone().requires_grad_(True)
    u = net(points)
    return (grad(u, points)[:, 0] ** 2).mean() + (u.double() ** 2.0).mean() - 0.25


def many(net, points):
    total = 0.0
    for k in range(3):
        total = total + (net(points) - k * points[:, k % 2 : k % 2 + 1]).pow(2).mean()
    return total / 3


def linear(net, points):
    mixing = torch.tensor([[1.0, 2.0], [0.5, -1.0]], dtype=DTYPE)
    g = grad(net(points @ mixing), points)
    return (F.linear(g, mixing, mixing[0]) ** 2).mean()


def robin(net, points):
    n = F.normalize(EDGE, dim=1)
    x = EDGE.clone().requires_grad_(True)
    flux = (grad(net(x), x) * n).sum(1, keepdim=True)
    return poisson(net, points) + (flux + 0.3 * net(x) - TARGET).pow(2).mean()


def fourth(net, points):
    u = net(points)
    u_xx = grad(grad(u, points)[:, 0], points)[:, 0]
    return (grad(grad(u_xx, points)[:, 1], points)[:, 1] + u[:, 0]).square().mean()


def cotangents(net, points):
    u = net(points)
    g = torch.autograd.grad(u, points, DATA * u, create_graph=True)[0]
    return g.square().mean()


def hidden_zero(net, points):
    u = net(points)
    return (torch.sigmoid(u) - torch.tanh(points[:, :1]) + torch.log1p(u**2) + torch.abs(u) ** 3).square().mean()


def ranged(net, points):
    r = sum(net(points)[:, 0] * k for k in range(1, 3))
    return (r - points[:, 0].abs().sqrt()).square().mean().mul(2.5).add(1.0)


def oscillator(net, points):
    """The first script of everybody: one point by itself."""
    start = torch.zeros(1, 2, dtype=DTYPE, requires_grad=True)
    u = net(start)
    slope = torch.autograd.grad(u, start, torch.ones_like(u), create_graph=True)[0]
    physics = torch.mean((grad(net(points), points)[:, :1] + net(points)) ** 2)
    return 1e-2 * (torch.squeeze(u) - 1) ** 2 + (slope[0, 0] - 0.5) ** 2 + (net(points)[-1, 0] - 2) ** 2 + physics


def keywords(net, points):
    u = torch.exp(input=net(points))
    x = torch.cat(tensors=[points[:, :1], torch.relu(input=points[:, 1:])], dim=-1)
    r = torch.add(input=u, other=torch.sum(input=x, dim=1, keepdim=True), alpha=2.0)
    kept = torch.where(condition=points[:, :1] > 0, input=r, other=torch.maximum(input=u, other=r))
    return torch.mean(input=torch.square(input=torch.clamp(input=kept, min=0.1)))


def smooth(net, points):
    u = net(points)
    return (F.softplus(u, 3.0) + nn.Softplus()(points[:, :1]) + nn.SiLU()(u) + torch.sigmoid(300 * u)).square().mean()


def accumulated(net, points):
    loss = net(points).square().mean()
    loss += 0.5 * grad(net(points), points).square().mean()
    r = net(EDGE) - TARGET
    r *= 2
    loss += r.square().sum()
    return loss


def normed(net, points):
    g = grad(net(points), points)
    slope = torch.linalg.norm(g, dim=1, keepdim=True)
    return (slope - torch.norm(points, dim=1, keepdim=True)).square().mean() + torch.linalg.vecdot(
        g, points
    ).square().mean()


def relative(net, points):
    inside = (points[:, :1] > 0).double()
    r = net(points) - DATA
    return (
        r.square().sum() / DATA.square().sum()
        + (inside * r**2).sum() / inside.sum()
        + (r + DATA - DATA.mean()).pow(2).mean()
    )


def zones(net, points):
    zone = (points[:, 0] > 0).long()
    u = net(points)
    return (PAIR[zone][:, None] * grad(u, points)[:, :1] + u * PAIR.sum().expand(30, 1)).square().mean()


def guarded(net, points):
    r = points[:, :1] * (points[:, :1] > 0.5)
    source = torch.where(r == 0, torch.ones_like(r), torch.sin(r) / r)
    return (net(points) - source).square().mean()


def matrices(net, points):
    g = grad(net(points), points)
    hessian = torch.stack([grad(g[:, 0], points), grad(g[:, 1], points)], 1)
    turned = torch.einsum("nij,nj->ni", hessian, g) + torch.bmm(hessian, g[:, :, None])[:, :, 0]
    return (torch.linalg.det(hessian) - 0.1).square().mean() + turned.square().sum(1).mean()


def of_given_numbers(net, points):
    """Operations that are not known, of what no training changes."""
    given = torch.cumsum(points.detach(), 0) + points.detach().prod(1, keepdim=True) + points.detach().max()
    with torch.no_grad():
        given = given + torch.nn.Linear(2, 1, dtype=DTYPE).requires_grad_(False).weight.sum() * 0
    return (net(points) - given[:, :1]).square().mean()


WITH_POINTS = [
    poisson, stacked, normalised, embedded, inverse, pair, boundary, periodic, weighted, rows, joined, transposed, grid,
    cases, by_names, by_derivatives, ansatz, energy, detached, many, linear, robin, fourth, cotangents,
    hidden_zero, ranged, oscillator, keywords, smooth, accumulated, normed, relative, zones, guarded, matrices,
]  # fmt: skip
