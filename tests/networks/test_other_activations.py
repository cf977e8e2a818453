"""Networks of other activations than tanh: as layers, files, in other models, in training."""

from __future__ import annotations

import copy
import json
import pickle
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from helpers import relative_error
from torch import nn

import psinn_fast as pf
from psinn_fast.kernels.language.activations import ACTIVATIONS
from psinn_fast.networks.activations import FUNCTIONS, module_of, name_of
from psinn_fast.symmetries.symmetry_check import structure_symmetries

FLOAT64 = torch.float64
each_activation = pytest.mark.parametrize("name", ACTIVATIONS)


def ordinary(name: str, sizes: tuple[int, ...] = (2, 8, 8, 1)) -> nn.Sequential:
    torch.manual_seed(3)
    modules: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        modules += [nn.Linear(n_in, n_out, dtype=FLOAT64), module_of(name)]
    return nn.Sequential(*modules[:-1])


@each_activation
def test_there_and_back(name: str) -> None:
    assert FUNCTIONS.keys() == ACTIVATIONS.keys()
    given = ordinary(name)
    net = pf.MLP.from_sequential(given)
    assert net.structure.activation == name
    x = torch.randn(40, 2, dtype=FLOAT64)
    assert relative_error(net(x).detach(), given(x).detach()) < 1e-14
    back = net.to_sequential()
    assert [name_of(module) for module in list(back)[1::2]] == [name, name]
    assert torch.equal(back(x), given(x))
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), torch.nn.Sequential(net)):
        assert torch.equal(other(x), net(x))


@each_activation
def test_nested_gradients(name: str) -> None:
    """A Laplacian's loss and its gradients, twice: from the second step on derivatives wait."""
    given = ordinary(name)
    net = pf.MLP.from_sequential(given)
    x = torch.randn(64, 2, dtype=FLOAT64)
    for _ in range(3):
        losses, gradients = [], []
        for model in (given, net):
            own = x.clone().requires_grad_()
            (g,) = torch.autograd.grad(model(own).sum(), own, create_graph=True)
            second = [torch.autograd.grad(g[:, k].sum(), own, create_graph=True)[0][:, k] for k in range(2)]
            loss = (second[0] + second[1] - own[:, 0]).square().mean()
            losses.append(float(loss.detach()))
            gradients.append(torch.autograd.grad(loss + model(x).square().mean(), [*model.parameters()]))
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
        theirs = torch.cat([part.flatten() for part in gradients[0]])
        assert relative_error(gradients[1][0], theirs) < 1e-11


@each_activation
def test_files(name: str, tmp_path: Path) -> None:
    structure = pf.published_structure("laplace").with_activation(name).with_width(2)
    assert pf.Structure.from_json(structure.to_json()) == structure
    net = pf.PsiMLP(structure, seed=1)
    pf.save_network(tmp_path / "net.safetensors", net)
    found = pf.load_network(tmp_path / "net.safetensors")
    x = torch.randn(5, 2)
    assert torch.equal(found(x), net(x))
    other = "silu" if name != "silu" else "sin"
    with pytest.raises(pf.InputError, match="another structure"):
        pf.PsiMLP(structure.with_activation(other)).load_state_dict(net.state_dict())


def test_files_from_before() -> None:
    """Of schema 1, when all were tanh."""
    entries = pf.published_structure("laplace").to_entries()
    assert entries.pop("activation") == "tanh"
    entries["schema"] = "psinn_fast.structure/1"
    assert pf.Structure.from_json(json.dumps(entries)) == pf.published_structure("laplace")
    with pytest.raises(pf.CheckpointError, match="activation"):
        pf.Structure.from_json(json.dumps(entries | {"schema": "psinn_fast.structure/2"}))


@each_activation
def test_symmetries_are_those_that_hold(name: str) -> None:
    """The network that is odd by signs of its neurons is so only with odd activations."""
    structure = pf.published_structure("burgers").with_activation(name)
    found = structure_symmetries(structure, ["t", "x"])
    assert bool(found) == ACTIVATIONS[name].is_odd
    even = pf.structure_from_group([pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))], [3, 3])
    assert structure_symmetries(even.with_activation(name), ["x", "y"])


@pytest.mark.trajectory
@pytest.mark.parametrize("name", ["sin", "silu", "gelu"])
def test_training(name: str) -> None:
    """By Adam and by Gauss-Newton, with the fused kernels, as torch's own layers say at the end."""
    net = pf.Network("pinn", layers=[2, 8, 8, 1], activation=name, dtype="float64")
    solution = pf.solve("laplace", net, [pf.Adam(5), pf.GaussNewton(40)], seed=0)
    trained = solution.net
    assert trained.structure.activation == name
    assert f", {name}, " in str(trained.structure) or name == "tanh"
    assert solution.metrics["relative_l2"] < 5e-3  # type: ignore[operator]  # one field
    x = torch.rand(9, 2, dtype=FLOAT64)
    assert relative_error(trained(x).detach(), trained.to_sequential()(x).detach()) < 1e-12


def test_accelerated_runs_have_one_activation_each() -> None:
    model = nn.Sequential(
        nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 3), nn.ReLU(),
        nn.Linear(3, 8), pf.Sine(), nn.Linear(8, 2), nn.GELU(approximate="tanh"), nn.Linear(2, 1),
    )  # fmt: skip
    x = torch.randn(100, 2)
    before = model(x)
    pf.accelerate(model)
    assert relative_error(model(x).detach(), before.detach()) < 1e-6
    assert [own.structure.activation for own in model.modules() if isinstance(own, pf.PsiMLP)] == ["silu", "sin"]


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ([nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)], "got Linear, ReLU, Linear"),
        ([nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 2), nn.SiLU(), nn.Linear(2, 1)], "got Linear, Tanh, Linear, SiLU"),
        ([nn.Linear(1, 2), nn.GELU("tanh"), nn.Linear(2, 1)], "GELU.approximate='tanh'"),
        ([nn.Linear(1, 2), nn.Softplus(beta=2), nn.Linear(2, 1)], "Softplus.beta=2"),
    ],
)
def test_what_is_no_such_network(modules: list[nn.Module], words: str) -> None:
    with pytest.raises(pf.InputError, match=words):
        pf.MLP.from_sequential(nn.Sequential(*modules))


def test_bad_input() -> None:
    for make in (
        lambda: pf.MLP([2, 4, 1], "relu"),
        lambda: pf.Structure.dense([2, 4, 1], activation="relu"),
        lambda: pf.Network("pinn", activation="relu"),
        lambda: pf.published_structure("laplace").with_activation("relu"),
    ):
        with pytest.raises(pf.InputError, match=r"activation: expected one of \['tanh', .*got 'relu'"):
            make()
    sin, tanh = (pf.structure_from_group([pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))]) for _ in range(2))
    with pytest.raises(pf.InputError, match="activations"):
        pf.direct_sum({"u": sin.with_activation("sin"), "v": tanh}, fields="u v")
    with pytest.raises(pf.InputError, match="its activation is 'tanh', the network's 'sin'"):
        pf.MLP.from_sequential(ordinary("sin"), pf.Structure.dense([2, 8, 8, 1]))
