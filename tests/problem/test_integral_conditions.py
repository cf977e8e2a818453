"""Means and integrals as conditions: what they are in a problem, and what is refused."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import refused

from psinn_fast import (
    PDE,
    Box,
    Condition,
    Dirichlet,
    Disk,
    Integral,
    Mean,
    Neumann,
    Problem,
    Residual,
    problem_symmetries,
)
from psinn_fast.domains import PointSet, Region
from psinn_fast.problem.checks.missing_conditions import missing_conditions
from psinn_fast.problem.checks.trivial_solution import trivial_solution
from psinn_fast.training.points.held_out import HeldOut

SQUARE = Box(x=(-1, 1), y=(-1, 1))
LINE = Box(x=(0, 1))


def problem(*conditions: Condition, domain: Box | Disk = SQUARE) -> Problem:
    return Problem("p", PDE("x y", "u", lambda u: u.lap), domain, [Residual(domain.random(200, 0)), *conditions])


def row(condition: Condition, values: Callable[..., Any]) -> float:
    """What a condition's only row is where the field takes ``values``."""
    term = problem(condition).terms(torch.float64)[-1]
    assert term.quadrature is not None
    x = term.points[0].numpy()
    # The traced residual is u less the level, or has normals as columns in front.
    level = condition.levels[0] / float(term.quadrature.sum())
    return float(term.quadrature.numpy() @ (values(*x.T) - level))


def test_a_mean_and_an_integral() -> None:
    face = SQUARE.face("x", "high", 20)
    assert row(Mean(face, lambda u: u, 0.5), lambda x, y: y**2) == pytest.approx(1 / 3 - 0.5)
    assert row(Integral(face, lambda u: u, 0.5), lambda x, y: y**2) == pytest.approx(2 / 3 - 0.5)
    own = Mean([[0, 0], [0, 1]], lambda u: u, 1.0, weights=[1, 3])
    assert row(own, lambda x, y: y) == pytest.approx(0.75 - 1)
    assert row(Mean([[0, 0], [0, 1]], lambda u: u, 1.0), lambda x, y: y) == pytest.approx(0.5 - 1)
    assert row(Integral([[0, 0], [0, 1]], lambda u: u, 1.0, weights=torch.tensor([1, 3])), lambda x, y: y) == 2.0


def test_what_a_problem_says() -> None:
    rim = Disk().boundary(30)
    made = problem(
        Mean(rim, lambda u: u, 0.5), Integral(rim, lambda u, n_x, n_y: u.x * n_x + u.y * n_y, 0.0), domain=Disk()
    )
    text = made.describe()
    assert "mean: weight 1, 30 points of rim, summed as given\n    mean of u - 0.5 = 0" in text
    assert "integral of normal_x*u_x + normal_y*u_y = 0" in text


def test_several_quantities() -> None:
    pde = PDE("x y", "u v", lambda u, v: [u.lap, v.lap])
    mean = Mean(SQUARE.grid(5), lambda u, v, x: [u * x, v], [0.5, -1.0])
    term = Problem("p", pde, SQUARE, [Residual(SQUARE.grid(5)), mean]).terms()[1]
    assert (term.n_rows, term.program.n_residuals) == (1, 2)
    named = Mean(SQUARE.grid(5), lambda u, v: {"first": u, "second": v}, [0.5, -1.0])
    assert "first: mean of u - 0.5 = 0" in Problem("p", pde, SQUARE, [Residual(SQUARE.grid(5)), named]).describe()


def test_copies_and_pickles() -> None:
    condition = Mean(SQUARE.grid(5), abs, 0.5)  # any function with a name
    for same in (pickle.loads(pickle.dumps(condition)), copy.deepcopy(condition)):
        assert np.array_equal(same.quadrature, condition.quadrature)
        assert same.levels == condition.levels
        with pytest.raises(ValueError, match="read-only"):
            same.quadrature[0] = 1.0


def test_weights_are_copied() -> None:
    weights = np.ones(2)
    condition = Integral([[0, 0], [0, 1]], lambda u: u, 1.0, weights=weights)
    weights[0] = 5.0
    assert condition.quadrature.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kind", [Mean, Integral])
def test_refused(kind: Callable[..., Condition]) -> None:
    face, two = SQUARE.face("x", "high", 20), [[0.0, 0.0], [0.0, 1.0]]
    u, ones = lambda u: u, [1.0, 1.0]
    refused("function: expected a function of fields", lambda: kind(face, 0.0, 1.0))
    refused("target: expected a number, which the whole integral", lambda: kind(face, u, lambda x, y: x))
    refused("target: 1 of 1 numbers are NaN", lambda: kind(face, u, float("nan")))
    refused("target: expected one number for each quantity, got shape (1, 1)", lambda: kind(face, u, [[1.0]]))
    refused("target: expected one number for each quantity, got shape (0,)", lambda: kind(face, u, []))
    refused("weight: expected one number", lambda: kind(face, u, 1.0, weight=np.ones(20)))
    refused("weight: expected one number", lambda: kind(face, u, 1.0, weight=lambda x, y: x))
    refused("weights: expected shape (2,)", lambda: kind(two, u, 1.0, weights=[1.0, 1.0, 1.0]))
    refused("weights: expected shape (2,)", lambda: kind(two, u, 1.0, weights=1.0))
    refused("weights: expected 2 numbers, one for each", lambda: kind(two, u, 1.0, weights=lambda x, y: x))
    refused("weights: expected numbers >= 0, not all 0", lambda: kind(two, u, 1.0, weights=[0, 0]))
    refused("weights: expected numbers >= 0, not all 0", lambda: kind(two, u, 1.0, weights=[2, -1]))
    refused("weights: 1 of 2 numbers are NaN", lambda: kind(two, u, 1.0, weights=[1, np.nan]))
    refused("T: the residual function has no such parameter", lambda: kind(two, u, 1.0, weights=ones, T=1.0))
    graded = PointSet.of(np.array(face), Region(SQUARE))
    refused("weights: the points are not spread evenly", lambda: kind(graded, u, 1.0))
    refused(
        "target: the function gives 1 quantity, each of which has one target, got 2 targets",
        lambda: problem(kind(face, u, [1.0, 2.0])),
    )
    refused("one target, got 20 targets; what varies", lambda: problem(kind(face, u, np.ones(20))))
    refused("lie outside the domain", lambda: problem(kind([[0.0, 3.0]], u, 1.0, weights=[1.0])))


def test_an_integral_over_an_array_needs_weights() -> None:
    face = SQUARE.face("x", "high", 20)
    for points in (np.array(face), face[:10], face + 0.0):
        refused("weights: which length, area or volume", lambda points=points: Integral(points, lambda u: u, 1.0))
    Mean(np.array(face), lambda u: u, 1.0)


def test_a_mean_is_a_condition_along_a_line_alone() -> None:
    def missing(*conditions: Condition) -> tuple[str, ...]:
        pde = PDE("x", "u", lambda u: u.xx - 1)
        return missing_conditions(Problem("p", pde, LINE, [Residual(LINE.grid(20)), *conditions]))

    left = Dirichlet(LINE.face("x", "low", 2), u=0.0)
    mean = Mean(LINE.grid(20), lambda u: u, 0.5)
    assert missing(left)
    assert not missing(left, mean)
    plate = [Dirichlet(SQUARE.face("x", "low", 20), u=0.0), Neumann(SQUARE.face("y", "low", 20), u=0.0)]
    over = [Mean(SQUARE.face("x", "high", 20), lambda u: u, 0.0), Mean(SQUARE.grid(20), lambda u: u, 0.0)]
    assert missing_conditions(problem(*plate)) == missing_conditions(problem(*plate, *over)) != ()
    neumann = Neumann(SQUARE.boundary(20), u=0.0)
    assert missing_conditions(problem(neumann, over[1])) == ()


def test_what_zero_solves() -> None:
    """An integrand may be anything whose sum vanishes."""
    odd = Mean(SQUARE.grid(20), lambda u, x: u + x**3, 0.0)
    assert trivial_solution(problem(odd))
    assert not trivial_solution(problem(Mean(SQUARE.grid(20), lambda u, x: u + x**2, 0.0)))
    assert not trivial_solution(problem(Mean(SQUARE.grid(20), lambda u: u, 0.1)))


def verdicts(*conditions: Condition) -> dict[tuple[str, int], str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = problem_symmetries(problem(*conditions))
    return {(one.text, one.symmetry.character[0]): one.verdict for one in found}


def test_symmetries() -> None:
    low, high = (SQUARE.face("x", end, 20) for end in ("low", "high"))

    def flux(points: PointSet, target: float) -> Condition:
        return Mean(points, lambda u: u, target)

    whole = verdicts(flux(SQUARE.grid(20), 1.0))
    assert (whole["x -> -x", 1], whole["x -> -x", -1]) == ("holds", "broken")
    zero = verdicts(flux(SQUARE.random(300, 0), 0.0))
    assert (zero["x -> -x", 1], zero["x -> -x", -1]) == ("holds", "holds")
    one = verdicts(flux(low, 1.0))
    assert (one["y -> -y", 1], one["x -> -x", 1]) == ("holds", "undecided")
    opposite = verdicts(flux(low, 1.0), flux(high, -1.0))
    assert (opposite["x -> -x", 1], opposite["x -> -x", -1]) == ("broken", "holds")
    # A sum is no counterpart of what holds at each point, nor a part of the domain of all of it.
    values = verdicts(Dirichlet(low, u=0.0), flux(high, 0.0))
    assert values["x -> -x", 1] == "undecided"
    half = Box(x=(-1, 0), y=(-1, 1)).grid(20)
    assert verdicts(flux(half, 0.0), flux(SQUARE.grid(20), 0.0))["x -> -x", 1] == "undecided"


def test_symmetries_of_weights() -> None:
    grid = SQUARE.grid(21)
    tilted = Mean(grid, lambda u: u, 1.0, weights=1 + grid[:, 0])
    even = Mean(grid, lambda u: u, 1.0, weights=1 + grid[:, 0] ** 2)
    assert verdicts(tilted)["x -> -x", 1] == "undecided"
    assert verdicts(tilted)["y -> -y", 1] == "holds"
    assert verdicts(even)["x -> -x", 1] == "holds"


def test_held_out_integrals_are_finer() -> None:
    rim = Disk().boundary(10)
    made = problem(Mean(rim, lambda u, x: u * x, 0.5), Mean(np.array(rim), lambda u: u, 0.5), domain=Disk())
    finer, own = HeldOut(made, 64).terms[1:]
    assert own is None
    assert finer is not None
    assert finer.n_points > 20
    assert float(finer.quadrature.sum()) == pytest.approx(1.0)
