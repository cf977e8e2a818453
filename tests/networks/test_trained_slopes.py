"""Networks with trained slopes: made, trained, written and read, beside other features; what is refused."""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import random_points, refused, relative_error
from small import small_laplace

import psinn_fast as pf
from psinn_fast.networks.initialisation import drawn
from psinn_fast.training.points.point_orbits import one_point_per_orbit

FLOAT64 = torch.float64
ADAPTIVE = pf.Adaptive("tanh", 4.0)
EVEN = pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))
QUIET = pf.Options(progress=False)


def moved(structure: pf.Structure, seed: int = 0) -> pf.PsiMLP:
    """With slopes that differ from where they start."""
    theta = drawn(structure, "default", (), seed)
    theta[: len(structure.ahead)] *= torch.linspace(0.5, 2.0, len(structure.ahead), dtype=FLOAT64)
    return pf.PsiMLP.with_theta(structure, theta)


@pytest.mark.parametrize("wiring", ["plain", "gated", "residual"])
def test_begins_as_without(wiring: str) -> None:
    """s = 1/n, and the same draw of weights."""
    own = pf.MLP([2, 6, 6, 1], ADAPTIVE, wiring=wiring, seed=3, dtype="float64")
    plain = pf.MLP([2, 6, 6, 1], wiring=wiring, seed=3, dtype="float64")
    x = random_points(9, 2)
    assert relative_error(own(x), plain(x).detach()) < 1e-14
    names = [f"slope {k + 1}" for k in range(4 if wiring == "gated" else 2)]
    assert own.learned == dict.fromkeys(names, 1.0)
    assert plain.learned == {}
    assert own.theta[: len(names)].tolist() == [0.25] * len(names)
    assert torch.equal(own.theta[len(names) :], plain.theta)


def test_ordinary_layers_have_slopes_in_their_weights() -> None:
    net = moved(pf.published_structure("burgers").with_width(3).with_activation(ADAPTIVE))
    x = random_points(9, 2)
    assert relative_error(net.to_sequential()(x), net(x).detach()) < 1e-14
    assert relative_error(torch.from_numpy(net.predict(x.numpy())), net(x).detach()) < 1e-14
    again = pf.PsiMLP.from_sequential(net.to_sequential(), net.structure)
    assert relative_error(again(x), net(x).detach()) < 1e-13
    assert set(again.learned.values()) == {1.0}


def test_files_and_copies(tmp_path: Path) -> None:
    net = moved(pf.Structure.dense([2, 5, 5, 1], activation=ADAPTIVE))
    pf.save_network(tmp_path / "net.safetensors", net)
    again = pf.load_network(tmp_path / "net.safetensors")
    assert again.structure == net.structure == pf.Structure.from_json(net.structure.to_json())
    assert torch.equal(again.theta, net.theta)
    assert again.learned == net.learned == copy.deepcopy(net).learned
    entries = json.loads(net.structure.to_json())
    assert entries["slope_factor"] == 4.0
    assert "slope_factor" not in json.loads(net.structure.without_slopes.to_json())
    for value, match in ((-1.0, "slope_factor: expected a finite number > 0"), ("4", "slope_factor")):
        with pytest.raises((pf.InputError, pf.CheckpointError), match=match):
            pf.Structure.from_json(json.dumps({**entries, "slope_factor": value}))
    with pytest.raises(pf.InputError, match="its theta is of another structure"):
        pf.MLP([2, 5, 5, 1]).load_state_dict(net.state_dict())
    assert "slopes: hidden layers tanh(4 s (W h + b)), each s is trained" in str(net)
    assert "51 independent of 51 expanded" in str(net)


@pytest.mark.parametrize("optimizer", [pf.Adam(20, lr=1e-2), pf.GaussNewton(6), pf.LBFGS(8)], ids=lambda o: o.name)
def test_training(optimizer: object, tmp_path: Path) -> None:
    network = pf.Network(layers=[2, 6, 6, 1], activation=ADAPTIVE)
    solution = pf.solve(small_laplace(), network, optimizer, options=QUIET, out=tmp_path)
    learned = solution.net.learned
    assert list(learned) == ["slope 1", "slope 2"]
    assert all(value != 1 for value in learned.values())
    assert f"slope 1 = {learned['slope 1']:.6g}" in str(solution)
    assert json.loads((tmp_path / "result.json").read_text())["learned"] == learned
    assert pf.load_network(tmp_path / "weights.safetensors").learned == learned


def test_gauss_newton_gets_on() -> None:
    """One direction in weights and slopes changes nothing: damping takes it."""
    problem = small_laplace()
    found = [
        pf.solve(problem, pf.Network(layers=[2, 8, 8, 1], activation=own), pf.GaussNewton(25), options=QUIET)
        for own in (ADAPTIVE, "tanh")
    ]
    own, plain = (one.metrics["relative_l2"] for one in found)
    assert plain < 1e-2
    assert own < 3 * plain


def test_runs_go_on(tmp_path: Path) -> None:
    def run(path: Path, steps: int, resume: bool = False) -> pf.PsiMLP:
        net = pf.MLP([2, 4, 1], ADAPTIVE, seed=0, dtype="float64")
        options = pf.Options(resume=resume, progress=False)
        pf.fit(small_laplace(5), net, pf.Adam(steps), checkpoint=path, options=options)
        return net

    run(tmp_path / "part", 5)
    assert torch.equal(run(tmp_path / "part", 9, resume=True).theta, run(tmp_path / "whole", 9).theta)


@pytest.mark.parametrize(("name", "factor"), [("sin", 1.0), ("tanh", 1e6)])
def test_symmetries(name: str, factor: float) -> None:
    """Those of the ties, however steep: random slopes would make steps, whose derivatives are 0 everywhere."""
    problem, adaptive = small_laplace(), pf.Adaptive(name, factor)
    structure = pf.symmetric_structure(problem, [EVEN], (2, 2)).with_activation(adaptive)
    (found,) = pf.field_symmetries(structure, "x y", "u", domain=problem.domain)["u"]
    assert found.symmetry == EVEN
    dense = structure.without_slopes.dense([2, 4, 1], activation=adaptive)
    assert pf.field_symmetries(dense, "x y", "u", domain=problem.domain)["u"] == []
    net, terms = moved(structure), problem.terms(FLOAT64)
    folded = one_point_per_orbit(problem, net, terms, pf.get_backend("reference"))
    plain = one_point_per_orbit(problem, moved(structure.without_slopes), terms, pf.get_backend("reference"))
    assert [term.n_points for term in folded] == [term.n_points for term in plain]
    assert folded[0].n_points < terms[0].n_points
    assert pf.restricted(structure, [EVEN.map]).slope_factor == factor


def test_layer_by_layer() -> None:
    net = moved(pf.Structure.dense([2, 5, 5, 1], activation=ADAPTIVE))
    layered = pf.by_layers(net)
    assert next(name for name, _ in layered.named_parameters()) == "ahead"
    assert [len(group["params"]) for group in layered.parameter_groups()] == [2, 2, 2, 1]
    x = random_points(40, 2)
    assert torch.equal(layered(x), net(x))
    layered(x).square().sum().backward()
    net(x).square().sum().backward()
    assert layered.ahead is not None
    assert net.theta.grad is not None
    assert torch.equal(layered.ahead.grad, net.theta.grad[:2])
    assert torch.equal(layered.joined().theta, net.theta)
    assert pf.by_layers(pf.MLP([2, 4, 1])).ahead is None


def test_losses_written_for_torch() -> None:
    """Nested gradients, derivatives that wait, and fused losses."""
    net, x = moved(pf.Structure.dense([2, 9, 9, 1], activation=ADAPTIVE)), random_points(60, 2)

    def loss(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        own = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(net(own).sum(), own, create_graph=True)
        (h,) = torch.autograd.grad(g[:, 0].sum(), own, create_graph=True)
        return (h[:, 0] - g[:, 1]).square().mean() + net(x).square().mean()

    layers = moved(net.structure)
    right = loss(_ByTorch(layers), x)
    right.backward()
    for make in (lambda: loss(net, x), lambda: loss(net, x), pf.fuse(loss, net, x)):
        net.theta.grad = None
        value = make()
        value.backward()
        assert layers.theta.grad is not None
        assert net.theta.grad is not None
        assert relative_error(value.detach(), right.detach()) < 1e-12
        assert relative_error(net.theta.grad, layers.theta.grad) < 1e-11
    d = pf.derivatives(net, x, "u u_xx u_y", coords="x y", fields="u")
    net.theta.grad = None
    ((d["u_xx"] - d["u_y"]).square().mean() + d["u"].square().mean()).backward()
    assert relative_error(net.theta.grad, layers.theta.grad) < 1e-11


class _ByTorch(torch.nn.Module):
    def __init__(self, net: pf.PsiMLP) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net._expanded(x)


def test_march() -> None:
    box = pf.Box(t=(0, 0.2), x=(-1, 1))
    conditions = [
        pf.Residual(box.random(60, seed=0)),
        pf.Dirichlet(box.boundary(12, "t_low"), u=lambda t, x: np.sin(np.pi * x), name="start"),
        pf.Dirichlet(box.boundary(12, ["x_low", "x_high"]), u=0.0, name="walls"),
    ]
    problem = pf.Problem("heat", pf.PDE("t x", "u", lambda u: u.t - 0.1 * u.xx), box, conditions)
    network = pf.Network(layers=[2, 7, 1], activation=ADAPTIVE)
    found = pf.march(problem, network, pf.GaussNewton(15), windows=2, options=QUIET)
    assert all(window.net.structure.slope_factor == 4.0 for window in found.windows)
    assert all(window.net.learned["slope 1"] != 1 for window in found.windows)


def test_refusals() -> None:
    refused("activation: expected one of ['tanh'", lambda: pf.Adaptive("relu"))
    for factor in (0.0, 1e-300, 1e300, -5.0):
        refused("factor: expected a finite number >= 1e-30 and < 1e+30, got", partial(pf.Adaptive, "tanh", factor))
    refused("slopes are those of hidden layers, and there is none", lambda: pf.MLP([2, 1], ADAPTIVE))
    own, other = (pf.Structure.dense([2, 3, 1], activation=name) for name in (ADAPTIVE, "tanh"))
    refused("'u' has trained slopes", lambda: pf.direct_sum({"u": own, "v": other}, "u v"))
    bars = [(torch.zeros(3, 2), torch.zeros(3)), (torch.zeros(1, 3), torch.zeros(1))]
    refused("those of theta depend on the slopes", lambda: own.expand_adjoint(bars))
    for make in (lambda n: pf.discover(small_laplace(), n), lambda n: pf.run_pipeline(small_laplace(), network=n)):
        refused("ansatz alone", lambda make=make: make(pf.Network(activation=ADAPTIVE)))
    assert own.with_activation("sin") == pf.Structure.dense([2, 3, 1], activation="sin")
