"""The equation on domains with re-entrant corners: which conditions are weighed, and that other points weigh alike."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from domains.shapes import LShape

from psinn_fast import MLP, PDE, Box, Condition, Dirichlet, Domain, Polygon, Problem, Residual, get_backend
from psinn_fast.domains import Cornered
from psinn_fast.problem.given_columns import ROOT
from psinn_fast.training.points.held_out import HeldOut, residual_of
from psinn_fast.training.points.redraw import Redraw
from psinn_fast.training.points.sampling import Sampler

ELL = LShape()
WALLS = Dirichlet(ELL.boundary(60), u=0.0)


def equation(u: Any) -> Any:
    return u.lap + 1


def problem(*conditions: Condition, pde: PDE | None = None, domain: Domain = ELL) -> Problem:
    return Problem("p", pde or PDE("x y", "u", equation), domain, [*conditions, Dirichlet(domain.boundary(60), u=0.0)])


def is_weighed(made: Problem) -> bool:
    condition = made.conditions[0]
    assert (ROOT in condition.columns) == isinstance(condition.regions[0], Cornered)
    return ROOT in condition.columns


def test_which_conditions_are_weighed() -> None:
    inside = ELL.random(200, 0)
    assert is_weighed(problem(Residual(inside)))
    assert is_weighed(problem(Residual(ELL.grid(20))))
    polygon = Polygon([[-1, -1], [1, -1], [1, 0], [0, 0], [0, 1], [-1, 1]])
    assert is_weighed(problem(Residual(polygon.random(200, 0)), domain=polygon))
    assert not is_weighed(problem(Residual(np.array(inside))))
    assert not is_weighed(problem(Residual(inside, lambda u: u.lap + 1)))
    assert not is_weighed(problem(Residual(Box(x=(-1, 1), y=(-1, 1)).random(200, 0), outside=True)))
    assert not is_weighed(problem(Residual(inside), pde=PDE("x y", "u", lambda u: u.x + u.y - 1)))
    for conditions in (Residual(inside, weight=lambda x, y: 1 + 0 * x), Residual(ELL.graded(200, 0, "top"))):
        made = problem(conditions)
        assert not isinstance(made.conditions[0].regions[0], Cornered)
    over_time = LShape() * Box(t=(0, 1))
    heat = PDE("x y t", "u", lambda u: u.t - u.lap)
    start = Dirichlet(over_time.boundary(50, "t_low"), u=0.0)
    assert not is_weighed(problem(Residual(over_time.random(200, 0)), start, pde=heat, domain=over_time))


def test_what_a_problem_says() -> None:
    text = problem(Residual(ELL.random(200, 0), weight=2.0)).describe()
    assert "residual: weight 2, less at re-entrant corners, 200 points of the interior, denser towards re-ent" in text


def test_what_is_given_stays_what_it_was() -> None:
    given = Residual(ELL.random(200, 0))
    made = problem(given)
    assert ROOT not in given.columns
    for same in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert is_weighed(same)
        assert all(map(torch.equal, *(_tensors(own) for own in (same, made))))


def _tensors(made: Problem) -> list[torch.Tensor]:
    return [tensor for term in made.terms() for tensor in (term.points, term.columns)]


def test_points_drawn_anew_weigh_as_much() -> None:
    """Given, drawn and held-out points stand for one integral."""
    made = problem(Residual(ELL.random(20_000, 0)))
    net = MLP([2, 8, 1], seed=0, dtype=torch.float64)
    terms = made.terms(torch.float64)
    redraw = Redraw(made, terms)
    redraw.draw(0)
    sampler = Sampler(made, terms, 8_000, 0)
    held_out = HeldOut(made, 8_192).terms[0]
    residual = residual_of(get_backend("auto"), net.plan, net.theta.detach(), torch.empty(0, dtype=torch.float64))
    others = [redraw.terms[0], sampler.draw(0)[0], held_out]
    losses = [float(residual(term).square().sum(1).mean()) for term in (terms[0], *others)]
    assert losses[1:] == pytest.approx(losses[:1] * 3, rel=0.03)
    # They are where the given ones are not.
    near = [float((term.points[0].norm(dim=1) < 0.01).double().mean()) for term in (terms[0], *others)]
    assert all(own > 10 * near[0] for own in near[1:])
