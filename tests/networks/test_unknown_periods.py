"""Embeddings with numbers to be found: made, trained, written and read, beside other features; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import random_points, refused, relative_error

import psinn_fast as pf
from psinn_fast.scaling.met_conditions import met_conditions
from psinn_fast.training.exact_terms import terms_that_hold
from psinn_fast.training.points.point_orbits import one_point_per_orbit

FLOAT64 = torch.float64
PERIOD = 1.7
QUIET = pf.Options(progress=False)
FOUND = pf.Embedding.periodic(x=1.5, unknown="x")
EVEN = pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))
# By hand: the same, of another name.
OWN = pf.Embedding(lambda t, x, L: (t, sp.cos(2 * sp.pi * x / L), sp.sin(2 * sp.pi * x / L)), unknown={"L": 1.5})


def wave(points: Any) -> Any:
    """u_t + u_x = 0, of a period that does not fit the box."""
    phase = 2 * np.pi / PERIOD * (points[:, 1] - points[:, 0])
    return (np.sin(phase) + 0.3 * np.cos(2 * phase))[:, None]


def still() -> pf.Problem:
    """u'' + 2 u = f, of that period, with values at some points."""
    box, k = pf.Box(x=(0, 4)), 2 * np.pi / PERIOD

    def u(points: Any) -> Any:
        return np.sin(k * points) + 0.3 * np.cos(2 * k * points)

    def f(x: sp.Expr) -> sp.Expr:
        phase = 2 * sp.pi * x / sp.Rational(17, 10)
        own = sp.sin(phase) + sp.Rational(3, 10) * sp.cos(2 * phase)
        return sp.diff(own, x, 2) + 2 * own

    measured = box.random(12, seed=1)
    conditions = [pf.Residual(box.grid(80)), pf.Data(measured, u=u(measured)[:, 0])]
    return pf.Problem("still", pf.PDE("x", "u", lambda u, x: u.xx + 2 * u - f(x)), box, conditions, exact=u)


def problem(low: float = 0.0, high: float = 4.0, *more: pf.Condition) -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(low, high))
    measured = box.random(50, seed=1)
    conditions = [pf.Residual(box.random(200, seed=0)), pf.Data(measured, u=wave(measured)[:, 0])]
    pde = pf.PDE("t x", "u", lambda u: u.t + u.x)
    return pf.Problem("wave", pde, box, [*conditions, *more], exact=wave)


def structure(embedding: pf.Embedding = FOUND, hidden: int = 6) -> pf.Structure:
    layers = pf.Structure.dense([3, hidden, 1]).layers
    return pf.Structure(layers, embedding=embedding.closed_form(("t", "x")))


@pytest.mark.trajectory
@pytest.mark.filterwarnings("ignore:backend 'cpu' is not used:RuntimeWarning")
def test_a_period_is_found(tmp_path: Path) -> None:
    network = pf.Network(layers=[1, 8, 1], embedding=FOUND)
    solution = pf.solve(still(), network, pf.GaussNewton(60), options=QUIET, out=tmp_path)
    learned = solution.net.learned
    assert abs(learned["period of x"] - PERIOD) < 1e-6
    assert f"period of x = {learned['period of x']:.6g}" in str(solution)
    assert json.loads((tmp_path / "result.json").read_text())["learned"] == learned
    again = pf.load_network(tmp_path / "weights.safetensors")
    assert again.learned == learned
    points = still().domain.random(40, 3)
    assert np.array_equal(again.predict(points), solution.net.predict(points))
    assert np.abs(again.predict(points + learned["period of x"]) - again.predict(points)).max() < 1e-10


@pytest.mark.filterwarnings("ignore:backend 'cpu' is not used:RuntimeWarning")
@pytest.mark.parametrize("optimizer", [pf.Adam(8, lr=1e-2), pf.LBFGS(5)], ids=lambda own: own.name)
def test_training(optimizer: object, tmp_path: Path) -> None:
    """Of embeddings by hand, too; runs go on where they were."""
    found = []
    for embedding in (FOUND, OWN):
        network = pf.Network(layers=[2, 6, 1], embedding=embedding, dtype="float64")
        found.append(pf.solve(problem(), network, optimizer, options=QUIET))
    (period,), (length,) = (solution.net.learned.values() for solution in found)
    assert list(found[1].net.learned) == ["L"]
    assert period == pytest.approx(length, rel=1e-9)
    assert period != 1.5


@pytest.mark.filterwarnings("ignore:backend 'cpu' is not used:RuntimeWarning")
def test_runs_go_on(tmp_path: Path) -> None:
    def run(path: Path, steps: int, resume: bool = False) -> torch.Tensor:
        net = pf.PsiMLP(structure(), seed=0, dtype="float64")
        options = pf.Options(resume=resume, progress=False)
        pf.fit(problem(), net, pf.Adam(steps), checkpoint=path, options=options)
        return net.theta.detach()

    run(tmp_path / "part", 3)
    assert torch.equal(run(tmp_path / "part", 6, resume=True), run(tmp_path / "whole", 6))


def test_networks_and_files() -> None:
    own = structure()
    assert pf.Structure.from_json(own.to_json()) == own
    assert "acts on 3 features of 2 coordinates, with period of x to be found" in str(own)
    net = pf.PsiMLP(own, seed=0, dtype="float64")
    assert net.learned == {"period of x": 1.5}
    fixed = pf.Structure(own.layers, embedding=pf.Embedding.periodic(x=1.5).closed_form(("t", "x")))
    x = random_points(30, 2)
    assert relative_error(net(x), pf.PsiMLP(fixed, seed=0, dtype="float64")(x)) < 1e-14
    layered = pf.by_layers(net)
    assert torch.equal(layered(x), net(x))
    layered(x).square().sum().backward()
    net(x).square().sum().backward()
    assert layered.ahead is not None
    assert net.theta.grad is not None
    assert torch.equal(layered.ahead.grad, net.theta.grad[:1])
    assert net.theta.grad[0] != 0
    entries = json.loads(own.to_json())
    for pair, match in (([1, 2.0], "unknown: expected"), (["L", "1"], "unknown"), (["L"], "unknown")):
        broken = {**entries, "embedding": {**entries["embedding"], "unknown": [pair]}}
        with pytest.raises(pf.CheckpointError, match=match):
            pf.Structure.from_json(json.dumps(broken))
    waves = pf.Embedding.fourier(4, of=FOUND).closed_form(("t", "x"))
    assert waves.unknown == (("period of x", 1.5),)
    mixed = pf.Embedding.periodic(t=1.0, x=2.0, harmonics=2, unknown="x").closed_form(("t", "x"))
    assert (mixed.n_outputs, mixed.periods, mixed.unknown) == (8, ((0, 1.0),), (("period of x", 2.0),))


def test_no_condition_holds_by_what_is_to_be_found() -> None:
    """Not even where it starts at the domain's width."""
    box = pf.Box(t=(0, 1), x=(0, 4))
    ends = pf.Periodic(box.boundary(20, "x_low"), box.boundary(20, "x_high"), "u", name="ends")
    own = problem(0.0, 4.0, ends)
    for unknown, held in (((), ("ends",)), ("x", ())):
        embedding = pf.Embedding.periodic(x=4.0, unknown=unknown)
        net = pf.build_network(own, pf.Network(layers=[2, 6, 1], embedding=embedding))
        assert terms_that_hold(own, net) == held
        met = met_conditions(net.structure, own.domain, 1, own.domain.boundary(3, "x_low"))
        assert met.tolist() == [2 * bool(held)] * 3
    refused("the period 1.5 of x does not match the domain", lambda: pf.solve(own, pf.Network(
        embedding=pf.Embedding.periodic(x=1.5)), pf.Adam(1)))  # fmt: skip


def test_symmetries() -> None:
    """About x = 0 a cosine is even whatever its period; elsewhere of some periods alone."""
    about, off = problem(-2.0, 2.0), problem(0.0, 4.0)
    own = pf.symmetric_structure(about, [EVEN], (4,), embedding=pf.Embedding.periodic(x=4.0, unknown="x"))
    (found,) = pf.field_symmetries(own, "t x", "u", domain=about.domain)["u"]
    assert found.symmetry == EVEN
    fixed = pf.Structure(own.layers, embedding=pf.Embedding.periodic(x=4.0).closed_form(("t", "x")))
    assert pf.field_symmetries(fixed, "t x", "u", domain=off.domain)["u"]
    assert pf.field_symmetries(own, "t x", "u", domain=off.domain)["u"] == []
    refused("none of the features", lambda: pf.symmetric_structure(
        off, [EVEN], (4,), embedding=pf.Embedding.periodic(x=4.0, unknown="x")))  # fmt: skip
    box = pf.Box(t=(0, 1), x=(-2, 2))
    heat = pf.Problem("heat", pf.PDE("t x", "u", lambda u: u.t - u.xx), box, [pf.Residual(box.grid(9))])
    moved = pf.Problem("heat", heat.pde, off.domain, [pf.Residual(off.domain.grid(9))])
    for each, is_folded in ((heat, True), (moved, False)):
        net, terms = pf.PsiMLP(own, 2, seed=0, dtype="float64"), each.terms(FLOAT64)
        kept = one_point_per_orbit(each, net, terms, pf.get_backend("reference"))
        assert (kept[0].n_points < terms[0].n_points) == is_folded


def test_refusals() -> None:
    make = pf.Embedding.periodic
    refused("unknown: 't' has no period to start from; give one, t=2.0", lambda: make(x=2.0, unknown="t"))
    refused("periods: x: expected a finite number > 0", lambda: make(x=-2.0, unknown="x"))
    refused("unknown: expected numbers by name", lambda: pf.Embedding(lambda x: x, unknown="L"))
    refused("unknown: L: expected a finite number", lambda: pf.Embedding(lambda x, L: x * L, unknown={"L": np.nan}))
    coords = ("t", "x")
    for function, unknown, message in (
        (lambda t, x: (t, x), "L", "'L' is no parameter of the embedding's function; expected one of that name"),
        (lambda t, x: (t, x), "x", "unknown: 'x' is a coordinate; give the number another name"),
        (lambda t, x, L: (t, x), "L", "unknown: no feature depends on 'L'; leave it out"),
        (lambda t, x, L: (t, x, L), "L", "feature 3 is the same everywhere"),
    ):
        own = pf.Embedding(function, unknown={unknown: 1.0})
        refused(message, lambda own=own: own.closed_form(coords))
    for run in (pf.discover, lambda one, network: pf.run_pipeline(one, network=network)):
        refused("discovery takes known features, and 'period of x' is to be found",
                lambda run=run: run(problem(-2.0, 2.0), pf.Network(embedding=FOUND)))  # fmt: skip


def named(name: str) -> pf.Embedding:
    function = {
        "w": lambda t, x, w: (t, x, sp.sin(w * x)),
        "c": lambda t, x, c: (t, x, sp.sin(c * x)),
        "u": lambda t, x, u: (t, x, sp.sin(u * x)),
        "data": lambda t, x, data: (t, x, sp.sin(data * x)),
        "loss": lambda t, x, loss: (t, x, sp.sin(loss * x)),
    }[name]
    return pf.Embedding(function, unknown={name: 4.0})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("w", "the equation has an unknown 'w' of its own; an embedding's number is another one: name it differently"),
        ("c", "the equation has a coefficient 'c' of its own"),
        ("u", "the equation has a field 'u' of its own"),
        ("data", "conditions: 'data' is the name of a number that the network learns"),
        ("loss", "unknown: the name 'loss' has another meaning in histories"),
    ],
)
def test_names_that_the_problem_has_are_refused(name: str, message: str) -> None:
    """Two numbers of one name would be trained, and nobody could tell which is which."""
    box = pf.Box(t=(0, 1), x=(0, 4))
    pde = pf.PDE("t x", "u", lambda u, w, c: u.t + w * u.x + c * u, unknown={"w": 1.0}, coefficients={"c": 2.0})
    points = box.random(20, 0)
    conditions = [pf.Residual(points), pf.Data(points, u=wave(points)[:, 0], name="data")]
    own, network = pf.Problem("own", pde, box, conditions), pf.Network(layers=[2, 4, 1], embedding=named(name))
    net = pf.PsiMLP(structure(named(name)), seed=0)
    for run in (
        lambda: pf.solve(own, network, pf.Adam(1), options=QUIET),
        lambda: pf.build_network(own, network),
        lambda: pf.solve(own, pf.Network("psi", structure=net.structure), pf.Adam(1), options=QUIET),
        lambda: pf.fit(own, net, pf.Adam(1), options=QUIET),
    ):
        refused(message, run)


def test_conditions_have_no_names_of_slopes() -> None:
    own = problem(0.0, 4.0, pf.Dirichlet(pf.Box(t=(0, 1), x=(0, 4)).face("x", "low", 5), u=0.0, name="slope 1"))
    network = pf.Network(layers=[2, 4, 1], activation=pf.Adaptive("tanh", 5.0))
    refused(
        "'slope 1' is the name of a number that the network learns",
        lambda: pf.solve(own, network, pf.Adam(1), options=QUIET),
    )
    pf.build_network(own, pf.Network(layers=[2, 4, 1]))


def test_numbers_of_embeddings_take_no_bounds() -> None:
    own = problem()
    refused("got 'period of x'; numbers of an embedding take no bounds", lambda: pf.Problem(
        "own", own.pde, own.domain, own.conditions, bounds={"period of x": (1, 2)}))  # fmt: skip
    refused("function: expected a function of coordinates, e.g. lambda t, x: ..., got 3", lambda: pf.Embedding(3))


def test_histories_have_what_a_network_learns() -> None:
    embedding = pf.Embedding.periodic(x=1.5, unknown="x")
    network = pf.Network(layers=[2, 4, 1], embedding=embedding, activation=pf.Adaptive("tanh", 5.0))
    solution = pf.solve(problem(), network, pf.Adam(3), options=pf.Options(progress=False, backend="reference"))
    assert solution.history.columns[-2:] == ("slope 1", "period of x")
    for name, value in solution.net.learned.items():
        start, *_, end = solution.history[name]
        assert end == pytest.approx(value, rel=1e-6) != start
