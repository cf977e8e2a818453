"""Nested autograd of ``net(x)``: what the kernels are asked for, and how often."""

from __future__ import annotations

import pytest
import torch
from helpers import laplacian, random_points, slope

from psinn_fast.kernels.contract import registry
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.networks.operators import channels_text
from psinn_fast.networks.published import laplace_even


class Counting(ReferenceBackend):
    """Notes which channels it is asked for, and which way."""

    seen: list[tuple[str, str]]

    def jets(self, plan, theta, x, channels):
        self.seen.append(("there", channels_text(channels)))
        return super().jets(plan, theta, x, channels)

    def jets_backward(self, plan, theta, x, channels, grad, need_x=False):
        self.seen.append(("back", channels_text(channels)))
        return super().jets_backward(plan, theta, x, channels, grad, need_x)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    counting = Counting()
    counting.seen = []
    monkeypatch.setattr(registry, "BACKENDS", {"counting": counting})
    return counting.seen


def net_of(dtype: torch.dtype = torch.float64) -> PsiMLP:
    return PsiMLP(laplace_even(), 3, seed=1, dtype=dtype)


U, FIRST, SECOND = "0,0", "0,0 1,0 0,1", "0,0 1,0 0,1 2,0 1,1 0,2"


def test_one_pass_each_way_once_the_orders_are_known(seen: list[tuple[str, str]]) -> None:
    net, points = net_of(), random_points(5, 2)
    steps = []
    for _ in range(2):
        x = points.clone().requires_grad_()
        laplacian(net(x), x).square().mean().backward()
        steps.append(seen.copy())
        seen.clear()
    back = ("back", "0,0 1,0 0,1 lap0,1")  # one cotangent for u_xx and u_yy
    assert steps[0][:2] == [("there", U), ("there", FIRST)]
    assert steps[1] == [("there", SECOND), back]


def test_batches_of_other_sizes_know_the_orders_too(seen: list[tuple[str, str]]) -> None:
    net = net_of()
    for n in (8, 6, 7, 5):
        seen.clear()
        x = random_points(n, 2).requires_grad_()
        laplacian(net(x), x).square().mean().backward()
    assert [way for way, _ in seen] == ["there", "back"]


def test_only_channels_with_a_cotangent_go_back(seen: list[tuple[str, str]]) -> None:
    net, x = net_of(), random_points(5, 2).requires_grad_()
    for _ in range(2):
        laplacian(net(x), x, factor=2.0).square().mean().backward()
    assert seen[-1] == ("back", "0,0 1,0 0,1 2,0 0,2")
    for _ in range(2):
        g = slope(net(x), x)
        (g[:, 0] + slope(g[:, 1], x)[:, 1]).square().mean().backward()
    assert seen[-1] == ("back", "0,0 1,0 0,1 0,2")


def test_other_calls_between_do_not_make_it_forget(seen: list[tuple[str, str]]) -> None:
    """An interior of the shape of a boundary, a loss that is evaluated now and then."""
    net, points = net_of(), random_points(5, 2)
    for _ in range(3):
        x = points.clone().requires_grad_()
        net(points)
        net(x.detach().requires_grad_()).square().mean().backward()
        laplacian(net(x), x).square().mean().backward()
        counts = [channels for way, channels in seen if way == "there"]
        seen.clear()
    assert counts == [U, SECOND, SECOND]


def test_points_without_gradients_cost_a_value(seen: list[tuple[str, str]]) -> None:
    net, x = net_of(), random_points(5, 2)
    net(x).square().mean().backward()
    with torch.no_grad():
        net(x.requires_grad_())
    with torch.inference_mode():
        net(x)
    assert seen == [("there", U), ("back", U), ("there", U), ("there", U)]
