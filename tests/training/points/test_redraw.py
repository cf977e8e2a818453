"""Adam's points: those given, and others once the network has adapted to them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    Options,
    Periodic,
    Problem,
    Residual,
    fit,
    get_backend,
)
from psinn_fast.kernels.contract import Term, TrainReport
from psinn_fast.training.optimisers import first_order
from psinn_fast.training.points.redraw import EVERY, Redraw
from psinn_fast.training.points.regions import term_at

SQUARE = Box(t=(0, 1), x=(-1, 1))


def heat() -> Problem:
    """With terms of all kinds: of a box, a face, two faces, an array, measurements, numbers given at a face."""
    walls = Periodic(SQUARE.face("x", "low", 5), SQUARE.face("x", "high", 5), "u u_x", name="walls")
    start = Dirichlet(SQUARE.face("t", "low", 7), u=lambda t, x: np.cos(np.pi * x), name="start")
    array = Residual(np.asarray(SQUARE.grid(3)), name="array")
    sensors = Data(SQUARE.grid(2), u=0.0, weight=0.1, name="sensors")
    end = Dirichlet(SQUARE.face("t", "high", 4), u=np.zeros(4), weight=0.1, name="end")
    pde = PDE("t x", "u", lambda u, t, x: u.t - u.xx - sp.sin(x) * t)
    return Problem("heat", pde, SQUARE, [Residual(SQUARE.grid(6)), start, walls, array, sensors, end])


def test_terms_of_regions_have_other_points_and_all_else_stays() -> None:
    problem = heat()
    given = problem.terms(torch.float64)
    before = [(term.points.clone(), term.columns.clone()) for term in given]
    redraw = Redraw(problem, given)
    assert redraw.is_possible
    assert redraw.terms == given
    redraw.draw(3)
    first = [(term.points.clone(), term.columns.clone()) for term in redraw.terms]
    moved = [not torch.equal(now.points, old) for now, (old, _) in zip(redraw.terms, before, strict=True)]
    assert moved == [True, True, True, False, False, False]
    assert [term.n_points for term in redraw.terms] == [term.n_points for term in given]
    for i, number in ((0, 0), (1, 1), (2, 2)):
        term = redraw.terms[i]
        expected = problem.term_at(
            number, tuple(term.points.numpy()), problem.conditions[i].columns_at(tuple(term.points.numpy())) or {}
        )
        assert torch.allclose(term.columns, expected.columns.double(), atol=1e-6)
        assert not SQUARE.outside(term.points.flatten(0, 1).numpy()).any()
    assert torch.equal(redraw.terms[2].points[0, :, 0], redraw.terms[2].points[1, :, 0])  # partners stay partners
    redraw.draw(4)
    assert not torch.equal(redraw.terms[0].points, first[0][0])
    redraw.draw(3)
    for term, (points, columns) in zip(redraw.terms, first, strict=True):
        assert torch.equal(term.points, points)
        assert torch.equal(term.columns, columns)
    for term, (points, columns) in zip(given, before, strict=True):
        assert torch.equal(term.points, points)
        assert torch.equal(term.columns, columns)


def test_a_source_that_is_infinite_elsewhere_keeps_its_points(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = heat()
    given = problem.terms(torch.float64)

    def infinite(problem: Problem, number: int, *arguments: Any) -> Term | None:
        term = term_at(problem, number, *arguments)
        return None if term is None else replace(term, columns=term.columns + (math.inf if number == 0 else 0.0))

    monkeypatch.setattr("psinn_fast.training.points.redraw.term_at", infinite)
    redraw = Redraw(problem, given)
    redraw.draw(1)
    assert redraw.terms[0] is given[0]
    assert redraw.terms[1] is not given[1]


def trained(steps: int, path: Path | None = None, resume: bool = False) -> MLP:
    net = MLP([2, 6, 1], seed=1, dtype=torch.float64)
    fit(heat(), net, Adam(steps), checkpoint=path, options=Options(resume=resume))
    return net


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The points of the equation, by step."""
    found, kind = list[Tensor](), type(get_backend())
    train = kind.train

    def recorded(self: Any, plan: Any, state: Any, terms: Any, weights: Any, steps: int, *rest: Any) -> Any:
        found.extend([terms[0].points.clone()] * steps)
        return train(self, plan, state, terms, weights, steps, *rest)

    monkeypatch.setattr(kind, "train", recorded)
    return found


@pytest.mark.trajectory
def test_points_stay_where_the_network_has_not_adapted(seen: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_order, "times_larger", lambda *_: None)
    trained(3 * EVERY)
    assert all(torch.equal(points, seen[0]) for points in seen)


@pytest.mark.trajectory
def test_points_are_drawn_every_hundred_steps_once_it_has(seen: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_order, "times_larger", lambda *_: "11 times larger")
    trained(3 * EVERY + 50)
    blocks = [seen[i * EVERY : (i + 1) * EVERY] for i in range(4)]
    for block in blocks:
        assert all(torch.equal(points, block[0]) for points in block)
    for block, after in pairwise(blocks):
        assert not torch.equal(block[0], after[0])


@pytest.mark.trajectory
def test_steps_are_cut_only_where_points_may_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call of `train` for a row of the history, two where the network is looked at between the points."""
    sizes = list[int]()

    def pretended(self: Any, plan: Any, state: Any, terms: Any, weights: Any, steps: int, *_: Any) -> TrainReport:
        sizes.append(steps)
        state.step += steps
        return TrainReport(torch.ones(steps, len(terms) + 1, dtype=state.theta.dtype), None)

    monkeypatch.setattr(type(get_backend()), "train", pretended)
    monkeypatch.setattr(first_order, "times_larger", lambda *_: None)
    monkeypatch.setattr("psinn_fast.training.history.HISTORY_ROWS", 20)
    trained(40 * EVERY)
    assert sum(sizes) == 40 * EVERY
    assert sizes[:2] == [1, 2 * EVERY - 1]  # how long a step takes is not known at first
    assert (sizes[2:].count(2 * EVERY), sizes[2:].count(EVERY), len(sizes)) == (10, 18, 30)


@pytest.mark.trajectory
@pytest.mark.parametrize("stop", [1, 60, EVERY, 130, 2 * EVERY, 290])
def test_a_resumed_run_draws_the_same_points(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_order, "times_larger", lambda *_: "11 times larger")
    path = tmp_path / "run.safetensors"
    whole = trained(300)
    trained(stop, path)
    again = trained(300, path, resume=True)
    assert torch.equal(again.theta, whole.theta)


@pytest.mark.trajectory
def test_a_network_that_hid_its_residual_between_the_points_does_no_more() -> None:
    line = Box(x=(0, 1))
    pde = PDE("x", "u", lambda u, x: u.x - 8 * sp.sin(40 * x))
    ratios = []
    for points in (line.grid(12), np.asarray(line.grid(12))):
        net = MLP([1, 24, 24, 1], seed=0, dtype=torch.float64)
        conditions = [Residual(points), Dirichlet([[0.0]], u=0.0)]
        result = fit(Problem("wave", pde, line, conditions), net, Adam(3_000, lr=3e-3))
        assert result.held_out["residual"] is not None
        ratios.append(result.held_out["residual"] / max(result.losses["residual"], 1e-300))
    assert ratios[0] < 3
    assert ratios[1] > 100
