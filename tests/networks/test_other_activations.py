"""Networks of other activations than tanh: as layers, files, in other models, in training."""

from __future__ import annotations

import copy
import json
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import relative_error
from torch import nn
from torch.nn import functional as F

import psinn_fast as pf
from psinn_fast.kernels.language.activations import ACTIVATIONS
from psinn_fast.networks.activations import FUNCTIONS, module_of, name_of
from psinn_fast.networks.digests import digest
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
    """Of schema 1, when all were tanh; and what such a structure is written as is the same as then."""
    structure = pf.published_structure("laplace")
    entries = structure.to_entries()
    assert list(entries) == ["schema", "name", "layers"]
    assert entries["schema"] == "psinn_fast.structure/1"
    assert pf.Structure.from_json(json.dumps(entries)) == structure
    later = entries | {"schema": "psinn_fast.structure/2"}
    assert pf.Structure.from_json(json.dumps(later | {"activation": "tanh"})) == structure
    for bad in (later, entries | {"activation": "tanh"}):
        with pytest.raises(pf.CheckpointError, match="activation"):
            pf.Structure.from_json(json.dumps(bad))
    # Which state_dicts of that time say.
    assert bytes(digest(structure.with_width(8)).tolist()).hex().startswith("7028a40453073041")


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
        (
            [nn.Linear(1, 2), nn.Softplus(threshold=0), nn.Linear(2, 1)],
            r"Softplus\(beta=1.0, threshold=0\) \(known with beta=1, threshold=20 or more\)",
        ),
    ],
)
def test_what_is_no_such_network(modules: list[nn.Module], words: str) -> None:
    with pytest.raises(pf.InputError, match=words):
        pf.MLP.from_sequential(nn.Sequential(*modules))
    if isinstance(modules[1], (nn.GELU, nn.Softplus)):
        report = pf.accelerate(nn.Sequential(*modules))
        assert not report.fused
        assert f"beside {type(modules[1]).__name__}({modules[1].extra_repr()}) (known with" in str(report)


@pytest.mark.parametrize("threshold", [20, 20.0, 30.0, 50])
def test_thresholds_that_change_nothing(threshold: float) -> None:
    """torch takes softplus for z beyond them, where it is."""
    given = nn.Sequential(nn.Linear(1, 4), nn.Softplus(threshold=threshold), nn.Linear(4, 1)).double()
    x = torch.linspace(-60, 60, 200, dtype=FLOAT64)[:, None]
    assert relative_error(pf.MLP.from_sequential(given)(x).detach(), given(x).detach()) < 1e-8


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Sin", "sin"), ("sine", "sin"), ("swish", "silu"), (" GELU", "gelu"), (torch.sin, "sin"), (np.sin, "sin"),
        (F.softplus, "softplus"), (nn.SiLU(), "silu"), (nn.SiLU, "silu"), (pf.Sine(), "sin"), (torch.tanh, "tanh"),
        ("elu", None), ("gelu_tanh", None), (["sin"], None), (None, None), (nn.ReLU(), None), (torch.cos, None),
    ],
)  # fmt: skip
def test_what_may_be_meant(given: Any, meant: str | None) -> None:
    with pytest.raises(pf.InputError) as error:
        pf.Structure.dense([2, 4, 1], activation=given)
    assert str(error.value).partition("; ")[2] == (f"write activation={meant!r}" if meant else "")


def test_bad_input() -> None:
    for make in (
        lambda: pf.MLP([2, 4, 1], "relu"),
        lambda: pf.Structure.dense([2, 4, 1], activation="relu"),
        lambda: pf.Network("pinn", activation="relu"),
        lambda: pf.published_structure("laplace").with_activation("relu"),
    ):
        with pytest.raises(pf.InputError, match=r"activation: expected one of \['tanh', .*got 'relu'$"):
            make()
    sin, tanh = (pf.structure_from_group([pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))]) for _ in range(2))
    with pytest.raises(pf.InputError, match="activations"):
        pf.direct_sum({"u": sin.with_activation("sin"), "v": tanh}, fields="u v")
    with pytest.raises(pf.InputError, match="its activation is 'tanh', the network's 'sin'"):
        pf.MLP.from_sequential(ordinary("sin"), pf.Structure.dense([2, 8, 8, 1]))
