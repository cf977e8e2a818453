"""What cannot be fused is named, with its line: nothing is approximated."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch_losses import DATA, DTYPE, NU, POINTS, grad

import psinn_fast as pf

NET = pf.MLP([2, 4, 1], dtype=DTYPE, seed=0)
OTHER = pf.MLP([2, 3, 1], dtype=DTYPE, seed=0)
CALLS = [0]
WEIGHTS = torch.ones(30, 1, dtype=DTYPE, requires_grad=True)
OUTSIDE = 0.01 * NU


def in_place(net: Any, points: Any) -> Any:
    found = torch.zeros(30, 2, dtype=DTYPE)
    found[:, 0] = net(points)[:, 0]
    return found.square().mean()


def beside_a_view(net: Any, points: Any) -> Any:
    u = net(points)
    first = u[:, 0]
    u.mul_(2)
    return first.square().mean()


def without_graph(net: Any, points: Any) -> Any:
    with torch.no_grad():
        weight = net(points)
    return (weight * net(points)).square().mean()


def backwards(net: Any, points: Any) -> Any:
    loss = net(points).square().mean()
    loss.backward()
    return loss


def fifth(net: Any, points: Any) -> Any:
    u = net(points)[:, 0]
    for _ in range(5):
        u = grad(u, points)[:, 0]
    return u.square().mean()


def watched_weights(net: Any, points: Any) -> Any:
    return (WEIGHTS * net(points)).square().mean()


def trained_without_graph(net: Any, points: Any) -> Any:
    with torch.no_grad():
        twice = 2 * NU
    return (net(points) - NU).square().mean() + (twice * net(points)).square().mean()


def counting(net: Any, points: Any) -> Any:
    CALLS[0] += 1
    return CALLS[0] * net(points).square().mean()


def seen_twice(net: Any, points: Any) -> Any:
    inner = 2 * points
    outer = torch.sin(inner[:, :1])
    return grad(net(inner) * outer, inner).square().mean()


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "if": (lambda n, p: n(p).square().mean() * (2 if n(p).mean() > 0 else 1), r"bool\(\) reads what the network gives"),
    "if of a coefficient": (lambda n, p: n(p).square().mean() * (2 if NU > 0 else 1), r"bool\(\) reads"),
    "item": (lambda n, p: n(p).square().mean() * n(p).abs().max().item(), "item reads what"),
    "numpy": (lambda n, p: (n(p) - torch.tensor(np.sin(n(p).detach().numpy()))).square().mean(), "numpy reads"),
    "float": (lambda n, p: n(p).square().mean() / float(n(p).detach().square().mean()), r"float\(\) reads"),
    "mean of points": (lambda n, p: (n(p) - n(p).mean()).square().mean(), "holds a sum over points"),
    "across": (lambda n, p: torch.cumsum(n(p), 0).square().mean(), r"line \d+ .*: cumsum: it is not among"),
    "product of points": (lambda n, p: (n(p).T @ n(p)).squeeze(), "matmul: it multiplies points by points"),
    "broadcast": (lambda n, p: (n(p) - DATA.expand(30, 300)).square().mean(), r"\(30, 300\), in which every point"),
    "pairs": (lambda n, p: (n(p)[:, 0] - n(p)).square().mean(), r"\(30,\) and \(30, 1\) give \(30, 30\)"),
    "root": (lambda n, p: n(p).square().mean().sqrt(), "by a root, product or other function"),
    "modulus": (lambda n, p: n(p).abs().mean(), "is no square"),
    "negative": (lambda n, p: n(p).square().mean() - grad(n(p), p).square().mean(), "has the weight -"),
    "torch's random numbers": (lambda n, p: (n(p) - torch.rand(30, 1)).square().mean(), "rand draws random numbers"),
    "numpy's": (lambda n, p: (n(p) - torch.tensor(np.random.rand(30, 1))).square().mean(), "random numbers by numpy"),  # noqa: NPY002
    "Python's": (lambda n, p: (n(p) * random.random()).square().mean(), "not what the function computes"),
    "state": (counting, "not what the function computes"),
    "no network": (lambda n, p: p.detach().square().mean(), "does not depend on the network"),
    "no tensor": (lambda n, p: 3.0, "expected one number, a torch.Tensor, got 3.0"),
    "no sum": (lambda n, p: n(p) ** 2, r"got a tensor \(30, 1\)"),
    "another network": (lambda n, p: (n(p) - OTHER(p)).square().mean(), "another network"),
    "weights": (lambda n, p: n(p).square().mean() + n.theta.square().sum(), "pf.Regularizer"),
    "in place": (beside_a_view, "mul_ changes a recorded tensor in place"),
    "into another": (in_place, "setitem writes recorded numbers into another tensor"),
    "no_grad": (without_graph, "under torch.no_grad"),
    "detach": (lambda n, p: (n(p) * n(p).detach()).square().mean(), "detach: it stops the gradient"),
    "backward": (backwards, r"backward\(\) is called in it"),
    "order 5": (fifth, "derivative orders go up to 4"),
    "cases": (lambda n, p: torch.where(n(p) > 0, n(p), 0 * n(p)).square().mean(), "by what the network gives"),
    "torch.func": (lambda n, p: torch.func.vmap(lambda x: n(x[None])[0])(p).square().mean(), "is not recorded"),
    "dropout": (lambda n, p: F.dropout(n(p)).square().mean(), "dropout draws random numbers"),
    "dtype": (lambda n, p: n(p).float().square().mean(), "it changes torch.float64 to torch.float32"),
    "weights that require a gradient": (watched_weights, r"a tensor \(30, 1\) requires a gradient"),
    "computed outside": (lambda n, p: (OUTSIDE * n(p)).square().mean(), "MulBackward0 outside of the function"),
    "moving points": (lambda n, p: n(p * NU).square().mean(), "at points that depend on what is trained"),
    "rand_like": (lambda n, p: (n(p) - torch.rand_like(DATA)).square().mean(), "rand_like draws random numbers"),
    "an unknown argument": (lambda n, p: F.softplus(n(p), threshold=3).square().mean(), "threshold is not known"),
    "another argument": (lambda n, p: n(p).sum(dtype=torch.float64) ** 2, "its argument dtype is not known here"),
    "part of a gradient": (lambda n, p: grad(n(p)[:10], p).square().mean(), "values at some of the points"),
    "no_grad of a coefficient": (trained_without_graph, "a trained number is used under torch.no_grad"),
    "two ways": (seen_twice, "not what the function computes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    loss_fn, message = REFUSED[name]
    points = POINTS.detach().clone().requires_grad_()
    theta = NET.theta.detach().clone()
    with pytest.raises(pf.InputError, match=message) as caught:
        pf.fuse(loss_fn, NET, points)
    assert str(caught.value).startswith("loss_fn: ")
    assert torch.equal(NET.theta, theta)


def test_arguments() -> None:
    def loss_fn(net: Any, points: Any) -> Any:
        return net(points).square().mean()

    sequential = NET.to_sequential()
    for arguments, message in (
        ((3, NET, POINTS), "loss_fn: expected a function"),
        ((loss_fn, sequential, POINTS), "pf.accelerate"),
        ((loss_fn, NET, [1.0]), r"tensors\[0\]: expected a torch.Tensor"),
    ):
        with pytest.raises(pf.InputError, match=message):
            pf.fuse(*arguments)  # type: ignore[arg-type]
    with pytest.raises(pf.InputError, match="coords: the network has 2, got 1"):
        pf.fuse(loss_fn, NET, POINTS, coords="x")
    # What the function itself raises is its own.
    with pytest.raises(ZeroDivisionError):
        pf.fuse(lambda net, points: 1 / 0, NET, POINTS)
