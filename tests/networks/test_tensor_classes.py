"""Points of classes of their own: the kernels take those that are numbers to torch, and leave the others to torch."""

from __future__ import annotations

import pytest
import torch
from helpers import by_torch, random_points, relative_error
from layouts import Labelled
from torch import Tensor

from psinn_fast.networks.mlp import MLP

ROUNDING = 1e-11  # some hundred roundings of float64, in derivatives of size one


class Counted(Tensor):
    """Torch's operations see it, one by one."""

    seen = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        Counted.seen += func is torch.nn.functional.linear
        return super().__torch_function__(func, types, args, kwargs)


def laplacian(u: Tensor, x: Tensor) -> Tensor:
    (g,) = torch.autograd.grad(u, x, torch.ones_like(u), create_graph=True)
    seconds = [torch.autograd.grad(g[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(2)]
    return seconds[0] + seconds[1]


@pytest.mark.parametrize("is_leaf", [True, False])
def test_labelled_points_go_through_the_kernels(is_leaf: bool) -> None:
    net, points = MLP([2, 6, 6, 1], seed=0, dtype="float64"), random_points(9, 2)
    plain = points.clone().requires_grad_()
    expected = laplacian(by_torch(net, plain), plain).square().mean()
    expected_gradients = torch.autograd.grad(expected, (net.theta, plain))
    leaf = points.as_subclass(Labelled).requires_grad_()
    x = leaf if is_leaf else leaf[:, [0, 1]]
    u = net(x)
    assert type(u) is Labelled
    assert "Jets" in str(u.grad_fn.next_functions[0][0].next_functions[0][0])  # behind the class and the shape
    found = laplacian(u, x).square().mean()
    gradients = torch.autograd.grad(found, (net.theta, leaf))
    assert relative_error(found, expected) < ROUNDING
    for own, right in zip(gradients, expected_gradients, strict=True):
        assert relative_error(own, right) < ROUNDING


def test_labelled_cotangents_may_be_differentiated() -> None:
    """torch.ones_like(u), of the class of u, times a factor with a graph."""
    net, points = MLP([2, 6, 1], seed=0, dtype="float64"), random_points(9, 2)
    factor = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    found = []
    for function, kind in ((net, Labelled), (lambda x: by_torch(net, x), Tensor)):
        x = points.clone().as_subclass(kind).requires_grad_()
        u = function(x)
        (g,) = torch.autograd.grad(u, x, factor * torch.ones_like(u), create_graph=True)
        found.append(torch.autograd.grad(g.square().sum(), (factor, net.theta)))
    for own, right in zip(*found, strict=True):
        assert relative_error(own, right) < ROUNDING


def test_classes_that_look_at_operations_see_them() -> None:
    net, points = MLP([2, 6, 1], seed=0), random_points(9, 2).float()
    u = net(points.as_subclass(Counted))
    assert type(u) is Counted
    assert Counted.seen == 2
    assert relative_error(u.as_subclass(Tensor), net(points)) < 1e-6
