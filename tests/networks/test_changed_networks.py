"""Networks whose forward is another than theta says: kernels and files would ignore it, so they are refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from psinn_fast import (
    LBFGS,
    PDE,
    Adam,
    Box,
    GaussNewton,
    derivatives,
    error_metrics,
    fit,
    save_network,
    solution_figure,
)
from psinn_fast.kernels.errors import InputError
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Residual
from psinn_fast.problem.problem import Problem


class Hard(MLP):
    """u = 0 at 0 and 1, by a function that the kernels do not see."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * x * (1 - x)


def changed_networks() -> dict[str, MLP]:
    nets = {name: MLP([1, 4, 1], seed=0) for name in ("hook", "pre-hook", "backward hook", "method", "parametrized")}
    nets["hook"].register_forward_hook(lambda net, inputs, u: 2 * u)
    nets["pre-hook"].register_forward_pre_hook(lambda net, inputs: (inputs[0] + 1,))
    nets["backward hook"].register_full_backward_hook(lambda net, inputs, outputs: None)
    nets["method"].forward = torch.sin  # type: ignore[method-assign]  # as users do
    nn.utils.parametrize.register_parametrization(nets["parametrized"], "theta", nn.Tanh())
    return {**nets, "subclass": Hard([1, 4, 1], seed=0)}


@pytest.mark.parametrize("name", changed_networks())
def test_changed_networks_are_refused(name: str, tmp_path: Path) -> None:
    """What reads theta alone would mean another function."""
    net = changed_networks()[name]
    line = Box(x=(0, 1))
    problem = Problem("p", PDE("x", "u", lambda u: u.x), line, [Residual(line.grid(5))], exact=lambda x: x)
    x = torch.rand(3, 1)
    for use in (
        lambda: fit(problem, net, Adam(1)),
        lambda: fit(problem, net, GaussNewton(steps=1)),
        lambda: derivatives(net, x, "u u_x", coords="x", fields="u"),
        net.to_sequential,
        lambda: error_metrics(net, problem),
        lambda: solution_figure(problem, net),
        lambda: save_network(tmp_path / "net.safetensors", net),
    ):
        with pytest.raises(InputError, match=r"^net: .*(forward|hooks|parametri).*write .* residual"):
            use()
    assert not list(tmp_path.iterdir())


def test_subclasses_that_change_nothing_are_networks() -> None:
    class Named(MLP):
        label = "mine"

    line = Box(x=(0, 1))
    problem = Problem("p", PDE("x", "u", lambda u: u.x), line, [Residual(line.grid(5))])
    assert fit(problem, Named([1, 4, 1], dtype="float64"), Adam(1)).steps == 1


def test_frozen_weights_are_not_trained() -> None:
    line = Box(x=(0, 1))
    problem = Problem("p", PDE("x", "u", lambda u: u.x), line, [Residual(line.grid(5))])
    for schedule in (Adam(1), GaussNewton(steps=1)):
        net = MLP([1, 4, 1], dtype="float64").requires_grad_(False)
        before = net.theta.clone()
        with pytest.raises(InputError, match=r"net: .*requires_grad"):
            fit(problem, net, schedule)
        assert torch.equal(net.theta, before)
    hooked = MLP([1, 4, 1], dtype="float64")
    hooked.theta.register_hook(lambda gradient: 0 * gradient)
    with pytest.raises(InputError, match=r"net: .*hooks"):
        fit(problem, hooked, Adam(1))


def changed_sequentials() -> dict[str, nn.Sequential]:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    class Square(nn.Sequential):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) ** 2

    names = ("hook", "hook of a layer", "hook of tanh", "weight norm", "parametrized")
    nets = {name: nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1)) for name in names}
    nets["hook"].register_forward_hook(lambda net, inputs, u: 2 * u)
    nets["hook of a layer"][2].register_forward_pre_hook(lambda net, inputs: (2 * inputs[0],))
    nets["hook of tanh"][1].register_forward_hook(lambda net, inputs, u: 2 * u)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old one is deprecated
        nn.utils.weight_norm(nets["weight norm"][0])
    nn.utils.parametrizations.weight_norm(nets["parametrized"][0])
    return {
        **nets,
        "subclass": Square(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1)),
        "subclass of a layer": nn.Sequential(Doubled(1, 3), nn.Tanh(), nn.Linear(3, 1)),
    }


@pytest.mark.parametrize("name", changed_sequentials())
def test_from_sequential_refuses_changed_layers(name: str) -> None:
    with pytest.raises(InputError, match=r"^network.*: .*(forward|hooks|parametri)"):
        MLP.from_sequential(changed_sequentials()[name])


def with_layers(change: Callable[[nn.Sequential], object], **options: Any) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(3, 3, **options), nn.Tanh(), nn.Linear(3, 3, **options), nn.Tanh(), nn.Linear(3, 1))
    change(net)
    return net


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (with_layers(lambda net: None, bias=False), r"network\[0\]: it has no bias.*PsiMLP.*dense\(\[3, 3, 3, 1"),
        (with_layers(lambda net: setattr(net[4], "bias", None)), r"network\[4\]: it has no bias"),
        (with_layers(lambda net: net[2].requires_grad_(False)), r"network\[2\].weight: its requires_grad is False"),
        (with_layers(lambda net: net[0].bias.requires_grad_(False)), r"network\[0\].bias: its requires_grad is False"),
        (with_layers(lambda net: net[4].double()), r"network\[4\].weight: its dtype is .*64, that of network\[0"),
        (with_layers(lambda net: setattr(net[2], "weight", net[0].weight)), r"network\[2\].weight: it is network\[0\]"),
        (with_layers(lambda net: net.__setitem__(2, net[0])), r"network\[2\].weight: it is .*.weight as well"),
        (with_layers(lambda net: setattr(net[2].bias, "data", net[0].bias.data)), r"network\[2\].bias: it is network"),
        (with_layers(lambda net: net[2].weight.register_hook(torch.neg)), r"network\[2\].weight: it has hooks"),
        (with_layers(lambda net: net.insert(1, nn.LayerNorm(3))), "got Linear, LayerNorm, Tanh"),
        (with_layers(lambda net: net.insert(2, nn.Dropout(0.1))), "got Linear, Tanh, Dropout"),
        (with_layers(lambda net: prune.random_unstructured(net[0], "weight", 0.5)), r"network\[0\]: it has hooks"),
        (with_layers(lambda net: parametrizations.spectral_norm(net[2])), r"network\[2\]: .*parametrizations"),
    ],
)  # fmt: skip
def test_from_sequential_refuses_what_theta_cannot_be(network: nn.Sequential, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MLP.from_sequential(network)


def test_absent_biases_stay_absent() -> None:
    network = with_layers(lambda net: None, bias=False)
    net = PsiMLP.from_sequential(network)
    assert net.theta.numel() == sum(p.numel() for p in network.parameters()) == 22
    x = torch.rand(5, 3)
    torch.testing.assert_close(net(x), network(x))
    line = Box(x=(0, 1), y=(0, 1), z=(0, 1))
    problem = Problem("p", PDE("x y z", "u", lambda u: u.x - 1), line, [Residual(line.grid(3))])
    fit(problem, net, Adam(3))
    assert (net(torch.zeros(1, 3)) == net.to_sequential()[4].bias).all()
    assert [bool(layer.bias.any()) for layer in list(net.to_sequential())[::2]] == [False, False, True]
    added = MLP.from_sequential(network, Structure.dense([3, 3, 3, 1]))
    assert added.theta.numel() == 28


def test_a_frozen_network_stays_frozen() -> None:
    net = MLP.from_sequential(with_layers(lambda net: net.requires_grad_(False)))
    assert not net.theta.requires_grad
    assert MLP.from_sequential(with_layers(lambda net: None)).theta.requires_grad


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_training_from_no_numbers_is_bad_input(number: float) -> None:
    """No faster and no slower training would help."""
    line = Box(x=(0, 1))
    problem = Problem("p", PDE("x", "u", lambda u: u.x), line, [Residual(line.grid(5))])
    net = MLP([1, 4, 1], dtype="float64", seed=0)
    with torch.no_grad():
        net.theta[[1, 5]] = number
    for use in (
        lambda: fit(problem, net, Adam(1)),
        lambda: fit(problem, net, GaussNewton(steps=1)),
        lambda: fit(problem, net, LBFGS(1)),
    ):
        with pytest.raises(InputError, match=r"^net: 2 of the 13 numbers of its theta are NaN or infinite"):
            use()
