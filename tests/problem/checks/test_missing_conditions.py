"""Problems with fewer conditions than their equations need are told before training, others are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from small import optimizers

import psinn_fast as pf
from psinn_fast.problem.checks.missing_conditions import missing_conditions
from psinn_fast.problem.conditions import Condition
from psinn_fast.problems import as_problem

LINE = pf.Box(x=(0, 2))
STRIP = pf.Box(t=(0, 1), x=(0, 3))
SQUARE = pf.Box(x=(0, 1), y=(0, 1))
CUBE = pf.Box(t=(0, 1), x=(0, 1), y=(0, 1))

START = pf.Dirichlet(STRIP.face("t", "low", 9), u=1.0)
LEFT, RIGHT = (pf.Dirichlet(STRIP.face("x", end, 9), u=0.0) for end in ("low", "high"))
AROUND = pf.Periodic(STRIP.face("x", "low", 9), STRIP.face("x", "high", 9), "u u_x")
WALLS = [pf.Dirichlet(SQUARE.face(coord, end, 9), u=0.0) for coord, end in (("x", "low"), ("x", "high"), ("y", "low"))]
LID = SQUARE.face("y", "high", 9)
CLAMP = [pf.Dirichlet([[0.0]], u=0.0), pf.Residual([[0.0]], lambda u: u.x), pf.Residual([[2.0]], lambda u: u.xx)]


def made(
    box: pf.Box, equation: Callable[..., Any], conditions: Sequence[Condition], fields: str = "u", points: Any = None
) -> pf.Problem:
    inside = pf.Residual(box.grid(9) if points is None else points)
    return pf.Problem("made", pf.PDE(" ".join(box.coords), fields, equation), box, [inside, *conditions])


def lotka(u: Any, v: Any) -> Any:
    return [u.x - u + u * v, v.x + v - u * v]


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (made(STRIP, lambda u: u.t + 5 * u.x, [START]), "of order 1 in x, with no condition at its ends"),
        (made(STRIP, lambda u: u.t - u.xx, [START]), "of order 2 in x, with no condition at its ends"),
        (made(STRIP, lambda u: u.t - u.xx, [START, LEFT]), "of order 2 in x, with only 1 condition at its ends"),
        (made(STRIP, lambda u: u.t - (1 + u**2) * u.xx, [LEFT, RIGHT]), "of order 1 in t, with no condition"),
        (made(STRIP, lambda u: u.tt - u.xx, [START, LEFT, RIGHT]), "of order 2 in t, with only 1 condition"),
        (made(STRIP, lambda u: u.t + u.xxx, [START, AROUND]), "of order 3 in x, with only 2 conditions"),
        (made(SQUARE, lambda u: u.lap, WALLS), "the equation is of order 2 in y, with only 1 condition at its ends"),
        (
            made(SQUARE, lambda u: u.lap, [*WALLS, pf.Dirichlet(np.asarray(LID)[:5], u=0.0)]),
            "of order 2 in y, with only 1 condition at its ends where x is in [0.625, 1]",
        ),
        (made(LINE, lambda u: u.xxxx - 3, CLAMP), "of order 4 in x, with only 3 conditions at its ends"),
        (made(LINE, lambda u: u.x + u, []), "of order 1 in x, with no condition at its ends"),
        (
            made(LINE, lotka, [pf.Dirichlet([[0.0]], u=1.0)], "u v"),
            "the equations are together of order 2 in x, with only 1 condition at its ends",
        ),
        (
            made(CUBE, lambda u: u.t - u.lap, [pf.Dirichlet(CUBE.face("x", "low", 5), u=0.0)]),
            "of order 1 in t, with no condition at its ends",
        ),
        (made(LINE, lambda u: u.x + u, [], points=np.linspace(0, 2, 30)[:, None]), "of order 1 in x"),
    ],
    ids=str,
)
def test_too_few(problem: pf.Problem, expected: str) -> None:
    found = missing_conditions(problem)
    assert any(expected in text for text in found), found


RADIAL = pf.Dirichlet([[2.0]], u=0.0)
CORNER = pf.Dirichlet([[0.0, 0.0]], u=0.0)


@pytest.mark.parametrize(
    "problem",
    [
        made(STRIP, lambda u: u.t + 5 * u.x, [START, LEFT]),
        made(STRIP, lambda u: u.t - 5 * u.x, [START, RIGHT]),
        # Which ends of characteristics need values depends on the solution, or on the place.
        made(STRIP, lambda u: u.t + u * u.x, [START]),
        made(STRIP, lambda u, x: u.t + (x - 1) * u.x, [START]),
        made(STRIP, lambda u: u.t - u.xx, [START, AROUND]),
        made(STRIP, lambda u: u.t - u.xx, [START, LEFT, pf.Neumann(STRIP.face("x", "high", 9), [0.0, 1.0], u=0.0)]),
        made(STRIP, lambda u: u.tt - u.xx, [START, pf.Residual(STRIP.face("t", "low", 9), lambda u: u.t), LEFT, RIGHT]),
        made(SQUARE, lambda u: u.lap, [*WALLS, pf.Dirichlet(LID, u=0.0)]),
        made(SQUARE, lambda u: u.lap, [pf.Dirichlet(np.asarray(SQUARE.boundary(9)), u=0.0)]),
        made(SQUARE, lambda u: u.lap, [*WALLS, pf.Dirichlet(SQUARE.random(9, 0) * [1, 0] + [0, 1], u=0.0)]),
        made(SQUARE, lambda u: u.xy, [*WALLS[:1]]),
        made(LINE, lambda u: u.xxxx - 3, [*CLAMP, pf.Residual([[2.0]], lambda u: u.xxx)]),
        made(LINE, lotka, [pf.Dirichlet([[0.0]], u=1.0, v=1.0)], "u v"),
        # Singular ends need nothing but a smooth solution.
        made(LINE, lambda u, x: x * u.xx + u.x - x, [RADIAL]),
        made(LINE, lambda u, x: sp.diff((x**2 - 2 * x) * u.x, x) + u, [RADIAL]),
        # How many conditions the pressure takes is another question.
        made(SQUARE, lambda u, v, p: [p.x - u.lap, p.y - v.lap, u.x + v.y], [CORNER], "u v p"),
        # Measurements inside may stand for anything, and an array is the boundary of any domain.
        made(STRIP, lambda u: u.t - u.xx, [START, pf.Data([[0.5, 1.0]], u=0.0)]),
        made(SQUARE, lambda u: u.lap, WALLS, points=np.random.default_rng(0).uniform(0, 1, (400, 2))),
        pf.Problem(
            "inverse",
            pf.PDE("t x", "u", lambda u, a: u.t - a * u.xx, unknown={"a": 1.0}),
            STRIP,
            [pf.Residual(STRIP.grid(9)), START],
        ),
        as_problem("laplace"),
        as_problem("burgers"),
    ],
    ids=str,
)
def test_enough_or_not_to_be_told(problem: pf.Problem) -> None:
    assert missing_conditions(problem) == ()


def test_a_condition_of_weight_0_gives_nothing() -> None:
    lid = pf.Dirichlet(LID, u=0.0, weight=0)
    assert missing_conditions(made(SQUARE, lambda u: u.lap, [*WALLS, lid]))


def test_a_network_that_is_even_needs_one_wall_of_two() -> None:
    symmetric = pf.Box(x=(-1, 1), y=(-1, 1))
    walls = [pf.Dirichlet(symmetric.face(*face, 9), u=0.0) for face in (("x", "low"), ("x", "high"), ("y", "low"))]
    problem = made(symmetric, lambda u: u.lap - 1, walls)
    even = pf.structure_from_group([pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))], hidden=(4,))
    nets = pf.PsiMLP(even, dtype=torch.float64), pf.MLP([2, 4, 1], dtype=torch.float64)
    told = [any("order 2 in y" in text for text in pf.fit(problem, net, pf.GaussNewton(2)).warnings) for net in nets]
    assert told == [False, True]


def test_every_optimiser_says_so() -> None:
    problem = made(STRIP, lambda u: u.t + 5 * u.x, [START])
    for optimizer in ("adam", "gauss-newton"):
        status = pf.solve(problem, pf.Network(layers=[2, 4, 1]), optimizers(optimizer, 2)).status
        assert "the equation is of order 1 in x, with no condition at its ends" in status


def test_equations_of_several_terms_count_together() -> None:
    def beam(u: Any, m: Any) -> dict[str, Any]:
        return {"moment": u.xx - m, "load": m.xx - 1}

    def found(*inside: Condition) -> tuple[str, ...]:
        ends = pf.Dirichlet(LINE.boundary(2), u=0.0)
        return missing_conditions(pf.Problem("beam", pf.PDE("x", "u m", beam), LINE, [*inside, ends]))

    expected = ("the equations are together of order 4 in x, with only 2 conditions at its ends",)
    grid = LINE.grid(9)
    for inside in (
        [pf.Residual(grid)],
        [pf.Residual(grid, equations="load"), pf.Residual(grid, equations="moment")],
        [pf.Residual(grid, equations="moment"), pf.Residual(grid), pf.Residual([[0.0]], equations="load")],
    ):
        assert found(*inside) == expected
    assert found(pf.Residual(grid, equations="moment"), pf.Residual(grid[::2], equations="load")) == expected
    # Of one of them alone nothing can be said.
    assert found(pf.Residual(grid, equations="moment")) == ()


def test_points_may_have_weights_of_their_own() -> None:
    inside = pf.Residual(SQUARE.grid(9), weight=lambda x, y: 1 + x)
    problem = pf.Problem("weighted", pf.PDE("x y", "u", lambda u, x: u.lap - x), SQUARE, [inside, *WALLS])
    assert missing_conditions(problem) == ("the equation is of order 2 in y, with only 1 condition at its ends",)


def test_points_of_weight_0_give_no_condition() -> None:
    around = SQUARE.boundary(21)
    for points in (around, np.array(around)):
        half = pf.Dirichlet(points, u=0.0, weight=lambda x, y: 1.0 * (y < 0.5))
        found = missing_conditions(made(SQUARE, lambda u: u.lap - 1, [half]))
        assert "the equation is of order 2 in y, with only 1 condition at its ends" in found
        assert any(
            text.startswith("the equation is of order 2 in x, with no condition at its ends where") for text in found
        )
