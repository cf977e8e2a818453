"""Parameters layer by layer: the same function and gradients, rates of their own by torch, frozen layers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import random_points
from torch import Tensor, nn

import psinn_fast as pf
from psinn_fast.networks.published import laplace_even

STRUCTURES = {
    "tied": lambda: pf.PsiMLP(laplace_even(), 4, seed=1, dtype="float64"),
    "dense": lambda: pf.MLP([2, 12, 9, 2], seed=1, dtype="float64"),
    "no bias": lambda: pf.PsiMLP.from_sequential(
        nn.Sequential(nn.Linear(2, 9), nn.Tanh(), nn.Linear(9, 1, bias=False)).double()
    ),
}


@pytest.fixture(params=STRUCTURES)
def net(request: pytest.FixtureRequest) -> pf.PsiMLP:
    return STRUCTURES[request.param]()


def residual(net: nn.Module, x: Tensor) -> Tensor:
    """Of a Laplace equation, by nested gradients."""
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(net(x)[:, 0].sum(), x, create_graph=True)
    return sum(torch.autograd.grad(g[:, i].sum(), x, create_graph=True)[0][:, i] for i in (0, 1))


def loss(net: nn.Module, x: Tensor) -> Tensor:
    return residual(net, x).square().mean() + (net(x) - 1).square().mean()


def test_it_is_the_same_function_and_its_gradient(net: pf.PsiMLP) -> None:
    layered, x = pf.by_layers(net), random_points(50, 2)
    assert torch.equal(layered.theta, net.theta)
    assert torch.equal(layered(x), net(x))
    names = "u u_x u_xy u_lap"
    fields = "u v"[: 2 * net.structure.n_outputs - 1]
    ours, theirs = (pf.derivatives(one, x, names, coords="x y", fields=fields) for one in (layered, net))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    loss(net, x).backward()
    loss(layered, x).backward()
    parts = list(layered.parameters())
    # The same node, the same kernels.
    assert torch.equal(torch.cat([part.grad for part in parts]), net.theta.grad)
    assert [part.shape for part in parts] != [net.theta.shape]
    assert sum(map(torch.numel, parts)) == net.theta.numel()


def test_it_is_a_copy_and_joins_again(net: pf.PsiMLP) -> None:
    layered = pf.by_layers(net)
    with torch.no_grad():
        layered.layers[0].weight += 1
    joined = layered.joined()
    assert torch.equal(joined.theta, layered.theta)
    assert type(joined) is type(net)
    assert not torch.equal(joined.theta, net.theta)
    assert len([*joined.parameters()]) == 1
    with torch.no_grad():
        joined.theta.zero_()
    assert layered.theta.any()
    assert torch.equal(pf.by_layers(layered).theta, layered.theta)
    assert not pf.by_layers(net.requires_grad_(False)).theta.requires_grad


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.5),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_rates_by_layer_are_those_of_ordinary_layers(make: Callable[..., torch.optim.Optimizer]) -> None:
    """A dense network moves as its nn.Sequential does, with one layer frozen and one slow."""
    layered, x = pf.by_layers(STRUCTURES["dense"]()), random_points(40, 2)
    ordinary = layered.to_sequential()
    linears = [ordinary[0], ordinary[2], ordinary[4]]
    for layers in (layered.layers, linears):
        layers[1].requires_grad_(False)
    groups = layered.parameter_groups()
    theirs: list[dict[str, Any]] = [{"params": list(linear.parameters())} for linear in linears]
    for each in (groups, theirs):
        each[0]["lr"] = 1e-4
    frozen, before = layered.layers[1].weight.clone(), layered.theta.detach().clone()
    for net, optimizer in ((layered, make(groups)), (ordinary, make(theirs))):
        for _ in range(8):
            optimizer.zero_grad()
            loss(net, x).backward()
            optimizer.step()
    assert torch.equal(layered.layers[1].weight, frozen)
    assert float((layered.theta - before).detach().abs().max()) > 1e-3
    # Eight steps in other orders of sums.
    torch.testing.assert_close(layered(x), ordinary(x), rtol=0, atol=1e-11)
    for layer, linear in zip(layered.layers, linears, strict=True):
        torch.testing.assert_close(layer.weight, linear.weight.detach().flatten(), rtol=0, atol=1e-11)


def test_lbfgs_leaves_a_frozen_layer_and_relations_alone() -> None:
    layered, x = pf.by_layers(STRUCTURES["tied"]()), random_points(40, 2)
    layered.layers[0].requires_grad_(False)
    frozen = copy.deepcopy(layered.layers[0])
    optimizer = torch.optim.LBFGS(layered.parameters(), max_iter=15, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(layered, x)
        value.backward()
        return value

    first = closure().item()
    optimizer.step(closure)
    assert closure().item() < 0.5 * first
    assert torch.equal(layered.layers[0].weight, frozen.weight)
    flipped = x * torch.tensor([1.0, -1.0], dtype=x.dtype)
    torch.testing.assert_close(layered(x), layered(flipped), rtol=0, atol=1e-14)


def test_it_is_a_module_like_any_other(net: pf.PsiMLP) -> None:
    layered, x = pf.by_layers(net), random_points(20, 2)
    for other in (copy.deepcopy(layered), pickle.loads(pickle.dumps(layered))):
        assert torch.equal(other(x), layered(x))
        with torch.no_grad():
            other.layers[0].weight.zero_()
        assert not torch.equal(other(x), layered(x))
        other.load_state_dict(layered.state_dict())
        assert torch.equal(other(x), layered(x))
    weights = {name: torch.zeros_like(part) for name, part in layered.named_parameters()}
    assert not torch.func.functional_call(layered, weights, (x,)).any()
    assert layered.float().predict(x).dtype == torch.float32
    layered.reset_parameters(seed=3)
    fresh = pf.PsiMLP(net.structure, seed=3, dtype="float32")
    assert torch.equal(layered.theta, fresh.theta)


def test_what_trains_theta_as_one_refuses_it() -> None:
    layered = pf.by_layers(pf.MLP([2, 5, 1], seed=0))
    for frozen in (False, True):
        layered.layers[0].requires_grad_(not frozen)
        for optimizer in (pf.Adam(1), pf.LBFGS(1), pf.GaussNewton(1)):
            with pytest.raises(pf.InputError, match=r"net: its parameters are those of its layers.*net\.joined\(\)"):
                pf.fit("laplace", layered, optimizer)
            with torch.no_grad(), pytest.raises(pf.InputError, match="net: its parameters are those"):
                pf.solve("laplace", layered, optimizer)
    with pytest.raises(pf.InputError, match="net: expected a PsiMLP or MLP, got Linear"):
        pf.by_layers(nn.Linear(2, 1))  # type: ignore[arg-type]


def test_it_is_saved_as_the_network_it_is(net: pf.PsiMLP, tmp_path: Any) -> None:
    pf.save_network(tmp_path / "net.safetensors", pf.by_layers(net))
    assert torch.equal(pf.load_network(tmp_path / "net.safetensors").theta, net.theta)


def test_a_fused_loss_gives_each_layer_its_gradient(net: pf.PsiMLP) -> None:
    layered, x = pf.by_layers(net), random_points(30, 2)
    layered.layers[0].requires_grad_(False)
    fused = pf.fuse(lambda net: loss(net, x), layered)
    loss(layered, x).backward()
    expected = [part.grad for part in layered.parameters()]
    layered.zero_grad()
    fused().backward()
    assert layered.layers[0].weight.grad is None
    for part, theirs in zip(layered.parameters(), expected, strict=True):
        # One pass in place of several: other orders of sums.
        torch.testing.assert_close(part.grad, theirs, rtol=1e-10, atol=1e-10)
    with pytest.raises(pf.InputError, match="net: its parameters are those of its layers"):
        pf.fit(fused, layered, pf.Adam(1))
