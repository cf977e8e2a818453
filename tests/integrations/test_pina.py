"""The networks for PINA beside PINA's own: weights, values, gradients, labels, and who computes."""

from __future__ import annotations

import copy
import importlib
import sys

import pytest
import torch
from helpers import random_points, relative_error
from torch import Tensor, nn

pytest.importorskip("pina.model", reason="the package pina-mathlab is not installed")

import pina
from pina import LabelTensor
from pina.operator import advection, div, grad, laplacian

from psinn_fast.integrations.pina import FeedForward, PsiFeedForward
from psinn_fast.kernels.contract import registry
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.activations import Sine
from psinn_fast.networks.mlp import MLP
from psinn_fast.networks.published import laplace_even
from psinn_fast.networks.structure import Structure

THEIRS = pina.model.FeedForward
ROUNDING = 1e-10  # float64, second derivatives; the bar of the whole: losses of a hundred steps agree to 1e-5
SHAPES = [{}, {"inner_size": 7, "n_layers": 3}, {"layers": [5, 7]}, {"bias": False}, {"func": [nn.Tanh, nn.Tanh]}]


def both(seed: int = 3, **options) -> tuple[nn.Module, FeedForward]:
    """Two networks of one seed."""
    made = []
    for kind in (THEIRS, FeedForward):
        torch.manual_seed(seed)
        made.append(kind(2, 2, **options).double())
    return made[0], made[1]


def labelled(n: int = 30) -> LabelTensor:
    return LabelTensor(random_points(n, 2), ["x", "y"]).requires_grad_()


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_one_seed_draws_one_network(options: dict) -> None:
    draws = []
    for kind in (THEIRS, FeedForward):
        torch.manual_seed(3)
        draws.append((kind(2, 2, **options), torch.rand(3)))
    (theirs, following), (ours, same) = draws
    assert torch.equal(following, same)
    assert_same_weights(ours.to_feed_forward(), theirs)


def test_the_precision_of_products() -> None:
    net = FeedForward(2, 1, precision="tf32x3")
    net.load_state_dict(THEIRS(2, 1).state_dict())
    found = [net, PsiFeedForward.from_feed_forward(net.to_feed_forward(), precision="tf32x3"), FeedForward(2, 1)]
    assert [one.precision for one in found] == ["tf32x3", "tf32x3", "ieee"]
    with pytest.raises(InputError, match="precision: 'tf32x3' is of products in float32"):
        PsiFeedForward.from_feed_forward(THEIRS(2, 1).double(), precision="tf32x3")


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    weights, others = one.state_dict(), other.state_dict()
    assert list(weights) == list(others)
    assert all(torch.equal(weights[name], others[name]) for name in weights)


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_weights_of_a_state_dict(options: dict) -> None:
    theirs, _ = both(**options)
    ours = FeedForward(2, 2, **options).double()
    ours.load_state_dict(theirs.state_dict())
    assert_same_weights(ours.to_feed_forward(), theirs)
    solver = nn.ModuleDict({"model": FeedForward(2, 2, **options).double()})
    solver.load_state_dict(nn.ModuleDict({"model": theirs}).state_dict())
    assert torch.equal(solver["model"].theta, ours.theta)
    ours.load_state_dict(copy.deepcopy(ours).state_dict())


def test_weights_of_a_trained_network_and_back() -> None:
    theirs, _ = both()
    theirs.requires_grad_(False).eval()
    ours = PsiFeedForward.from_feed_forward(theirs)
    assert (ours.theta.requires_grad, ours.training, ours.theta.dtype) == (False, False, torch.float64)
    back = ours.to_feed_forward()
    assert_same_weights(back, theirs)
    assert (next(back.parameters()).requires_grad, back.training) == (False, False)


def test_a_structure_is_expanded_and_found_again() -> None:
    tied = PsiFeedForward(laplace_even(), 3, seed=0, dtype="float64")
    model, x = tied.to_feed_forward(), random_points(20, 2)
    assert relative_error(model(x), tied(x)) < ROUNDING
    again = PsiFeedForward.from_feed_forward(model, tied.structure)
    assert relative_error(again.theta, tied.theta) < 1e-15
    tied.load_state_dict(model.state_dict())
    with pytest.raises(InputError, match="do not satisfy the relations"):
        tied.load_state_dict(THEIRS(2, 1, layers=list(tied.structure.layer_sizes[1:-1])).double().state_dict())
    with pytest.raises(InputError, match=r"it describes layers \(2, 20, 20, 2\), the network has \(2, 5, 2\)"):
        FeedForward(2, 2).load_state_dict(THEIRS(2, 2, layers=[5]).state_dict())


def operators(net: nn.Module, at: LabelTensor) -> list[Tensor]:
    u = net(at).as_subclass(LabelTensor)
    u.labels = ["u", "v"]
    return [
        u,
        grad(u, at, components=["u"], d=["y"]),
        grad(u, at),
        div(u, at),
        laplacian(u, at, components=["v", "u"], d=["x", "y"]),
        laplacian(u, at, components=["u"], d=["x"]),
        advection(u, at, velocity_field=["u", "v"], components=["v"], d=["x", "y"]),
        laplacian(laplacian(u, at), at),
        laplacian(grad(u, at, components=["v"], d=["x"]), at),
    ]


def test_operators_and_all_gradients() -> None:
    found = []
    for net in both():
        at = labelled()
        values = operators(net, at)
        loss = sum((value.as_subclass(Tensor) ** 2).mean() for value in values)
        theta = torch.autograd.grad(loss, [*net.parameters(), at])
        found.append(([*values, loss], torch.cat([g.flatten() for g in theta[:-1]]), theta[-1]))
    (theirs, by_layers, at_points), (ours, gradient, own_at_points) = found
    for own, right in zip(ours, theirs, strict=True):
        assert type(own) is type(right)
        assert getattr(own, "labels", None) == getattr(right, "labels", None)
        assert relative_error(own, right) < ROUNDING
    assert relative_error(gradient, by_layers) < ROUNDING
    assert relative_error(own_at_points, at_points) < ROUNDING


def test_the_kernels_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Laplacian's step: one pass forwards, one back, however PINA asks for the derivatives."""
    seen: list[str] = []

    class Counting(ReferenceBackend):
        def jets(self, plan, theta, x, channels):
            seen.append("there")
            return super().jets(plan, theta, x, channels)

        def jets_backward(self, plan, theta, x, channels, grad, need_x=False):
            seen.append("back")
            return super().jets_backward(plan, theta, x, channels, grad, need_x)

    monkeypatch.setattr(registry, "BACKENDS", {"counting": Counting()})
    _, ours = both()
    for _ in range(2):
        seen.clear()
        at = labelled()
        u = ours(at.extract(["x", "y"]))
        u.labels = ["u", "v"]
        laplacian(u, at, components=["u"], d=["x", "y"]).square().mean().backward()
    assert seen == ["there", "back"]


def test_any_network_of_the_library_takes_labelled_points() -> None:
    net = MLP([2, 5, 1], seed=0, dtype="float64")
    u = net(labelled())
    assert type(u) is LabelTensor
    assert relative_error(u.tensor, net(labelled().tensor)) == 0


@pytest.mark.parametrize("func", [nn.Tanh, nn.SiLU, nn.GELU, nn.Softplus, Sine])
def test_other_activations(func: type[nn.Module]) -> None:
    """From PINA and back, and by PINA's own state."""
    ours, x = FeedForward(2, 1, func=func), random_points(20, 2, dtype=torch.float32)
    theirs = ours.to_feed_forward()
    assert [type(module) for module in list(theirs.model)[1::2]] == [func, func]
    torch.testing.assert_close(ours(x), theirs(x))
    again = FeedForward(2, 1, func=func)
    again.load_state_dict(theirs.state_dict())
    assert torch.equal(again.theta, ours.theta)
    assert PsiFeedForward.from_feed_forward(theirs).structure == ours.structure


@pytest.mark.parametrize(("func", "setting"), [(nn.Softplus, {"threshold": 0}), (nn.GELU, {"approximate": "tanh"})])
def test_settings_that_make_it_another_function(func: type[nn.Module], setting: dict) -> None:
    theirs = FeedForward(2, 1, func=func).to_feed_forward()
    for module in theirs.modules():
        if isinstance(module, func):
            vars(module).update(setting)
    with pytest.raises(InputError, match=rf"{func.__name__}\(.*\) \(known with"):
        PsiFeedForward.from_feed_forward(theirs)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((2, 1), {"func": nn.ReLU}, "func: expected torch.nn.Tanh, SiLU, .* for all layers"),
        ((2, 1), {"func": torch.tanh}, "func: expected torch.nn.Tanh, SiLU, .* for all layers"),
        ((2, 1), {"func": [nn.Tanh, nn.SiLU]}, "func: expected torch.nn.Tanh, SiLU, .* for all layers"),
        ((2, 1), {"func": [nn.Tanh]}, "one activation for each of 2 hidden layers, got 1"),
        ((2, 1), {"layers": [3, 0]}, r"layers\[1\]: expected an integer >= 1, got 0"),
        ((2, 1), {"n_layers": 1.5}, "n_layers: expected an integer >= 1, got 1.5"),
        ((2, 1), {"inner_size": 0}, "inner_size: expected an integer >= 1, got 0"),
        ((2.5, 1), {}, "input_dimensions: expected an integer >= 1, got 2.5"),
        ((2, 0), {}, "output_dimensions: expected an integer >= 1, got 0"),
    ],
)
def test_what_it_cannot_be(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeedForward(*arguments, **options)


def test_what_it_cannot_read() -> None:
    with pytest.raises(InputError, match=r"expected a pina\.model\.FeedForward, got Sequential"):
        PsiFeedForward.from_feed_forward(nn.Sequential(nn.Linear(2, 1)))
    with pytest.raises(InputError, match="Linear, ReLU"):
        PsiFeedForward.from_feed_forward(THEIRS(2, 1, func=nn.ReLU))
    hooked = THEIRS(2, 1)
    hooked.register_forward_hook(lambda module, inputs, output: 2 * output)
    with pytest.raises(InputError, match="it has hooks, which would be lost"):
        PsiFeedForward.from_feed_forward(hooked)
    with pytest.raises(InputError, match="it describes layers"):
        PsiFeedForward.from_feed_forward(THEIRS(2, 1), Structure.dense([2, 3, 1]))


def test_pina_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "pina" or name.startswith("pina.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pina", None)
    monkeypatch.delitem(sys.modules, "psinn_fast.integrations.pina")
    with pytest.raises(ImportError, match=r"needs the package pina-mathlab; pip install .*psinn_fast\[pina\]"):
        importlib.import_module("psinn_fast.integrations.pina")
