"""Networks where torch's default device is another one, as DeepXDE makes it: "meta" stands for a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import psinn_fast as pf

EVEN = pf.structure_from_group([pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))], hidden=(1, 1))


@pytest.fixture
def elsewhere() -> Iterator[None]:
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def gradient(net: pf.PsiMLP, points: torch.Tensor) -> torch.Tensor:
    """Of the mean square of u_xx."""
    (first,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
    (second,) = torch.autograd.grad(first[:, 0].sum(), points, create_graph=True)
    return torch.autograd.grad(second[:, 0].square().mean(), net.theta)[0]


def test_networks_are_made_there(elsewhere: None) -> None:
    assert pf.MLP([2, 8, 1]).theta.device.type == "meta"
    assert pf.PsiMLP(EVEN, seed=3).theta.device.type == "meta"


def test_networks_of_another_device_are_as_ever(request: pytest.FixtureRequest) -> None:
    net, points = pf.PsiMLP(EVEN, 4, seed=0), torch.rand(30, 2, requires_grad=True)
    before = gradient(net, points), net.predict(points.detach()), net.state_dict()
    request.getfixturevalue("elsewhere")
    again = pf.PsiMLP(EVEN, 4, seed=0, device="cpu")
    assert torch.equal(again.theta, net.theta)
    assert torch.equal(gradient(again, points), before[0])
    assert torch.equal(again.predict(points.detach()), before[1])
    again.load_state_dict(before[2])
    assert torch.equal(pf.PsiMLP.from_sequential(net.to_sequential(), net.structure).theta, net.theta)
