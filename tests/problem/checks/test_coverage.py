"""Where an equation is not asked for, a result says so; domains of any shape and points of any kind are no doubt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from small import optimizers

import psinn_fast as pf
from psinn_fast.problem.checks.coverage import coverage

LINE = pf.Box(x=(0, 1))
SQUARE = pf.Box(t=(0, 2), x=(-1, 1))
ENDS = pf.Dirichlet(LINE.boundary(2), u=0.0)
WALL = pf.Dirichlet(SQUARE.boundary(9), u=0.0)
R = pf.Residual
RNG = np.random.default_rng(0)


def rod(*conditions: Any, residual: Any = lambda u: u.xx + 1) -> pf.Problem:
    return pf.Problem("rod", pf.PDE("x", "u", residual), LINE, [*conditions, ENDS])


def heat(*conditions: Any) -> pf.Problem:
    return pf.Problem("heat", pf.PDE("t x", "u", lambda u: u.t - u.xx), SQUARE, [*conditions, WALL])


def line(low: float, high: float, n: int) -> np.ndarray:
    return np.linspace(low, high, n)[:, None]


def masked(inside: Any, n: int = 41) -> np.ndarray:
    points = np.array(SQUARE.grid(n))
    return points[inside(points[:, 0] - 1, points[:, 1])]


NOWHERE = "the equation is asked for at no point inside the domain"
DOUBTED: dict[str, tuple[pf.Problem, Sequence[str]]] = {
    "no term": (rod(), ["no term asks for the equation"]),
    "weight 0": (rod(R(LINE.grid(9), weight=0)), ["no term asks for the equation"]),
    "a Robin condition alone": (rod(R([[1.0]], lambda u: u.x + u)), ["no term asks for the equation"]),
    "one point": (rod(R([[0.5]])), ["the equation holds on x in [0.5, 0.5] only, of [0, 1]"]),
    "the ends": (rod(R([[0.0], [1.0]])), [NOWHERE]),
    "ends of a box": (rod(R(LINE.boundary(2))), [NOWHERE]),
    "half, a box": (rod(R(pf.Box(x=(0, 0.5)).grid(30))), ["the equation holds on x in [0, 0.5] only, of [0, 1]"]),
    "most, a box": (rod(R(pf.Box(x=(0.1, 1)).grid(30))), ["the equation holds on x in [0.1, 1] only, of [0, 1]"]),
    "half, an array": (rod(R(line(0, 0.5, 31))), ["the equation holds on x in [0, 0.5] only, of [0, 1]"]),
    "half and a Robin condition": (
        rod(R(pf.Box(x=(0, 0.5)).grid(30)), R([[1.0]], lambda u: u.x)),
        ["the equation holds on x in [0, 0.5] only, of [0, 1]"],
    ),
    "outside": (rod(R(line(2, 3, 9), outside=True)), [NOWHERE]),
    "half, the rest outside": (
        rod(R(line(0.5, 2, 31), outside=True)), ["the equation holds on x in [0.5, 1] only, of [0, 1]"],
    ),
    "two parts, boxes": (
        rod(R(pf.Box(x=(0, 0.3)).grid(30)), R(pf.Box(x=(0.5, 1)).grid(9))),
        ["the equation holds on x in [0, 0.3] and [0.5, 1] only, of [0, 1]"],
    ),
    "two parts, arrays": (
        rod(R(np.concatenate([line(0, 0.2, 21), line(0.6, 1, 21)]))),
        ["the equation holds on x in [0, 0.2] and [0.6, 1] only, of [0, 1]"],
    ),
    "the middle": (
        rod(R(pf.Box(x=(0.3, 0.6)).random(30, 0))), ["the equation holds on x in [0.3, 0.6] only, of [0, 1]"],
    ),
    "early times": (
        heat(R(pf.Box(t=(0, 1), x=(-1, 1)).grid(9))), ["the equation holds on t in [0, 1] only, of [0, 2]"],
    ),
    "a quarter, random": (
        heat(R(RNG.random((500, 2)))),
        ["the equation holds on t in [0, 1] only, of [0, 2]", "the equation holds on x in [0, 1] only, of [-1, 1]"],
    ),
    "a missing slab": (
        heat(R(masked(lambda t, x: (t < -0.5) | (t > 0.25)))),
        ["the equation holds on t in [0, 0.45] and [1.3, 2] only, of [0, 2]"],
    ),
    "a face": (heat(R(SQUARE.face("t", "low", 30))), [NOWHERE]),
    "faces": (heat(R(SQUARE.boundary(30))), [NOWHERE]),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTED)
def test_doubts(name: str) -> None:
    problem, expected = DOUBTED[name]
    found = coverage(problem)
    assert len(found) == len(expected)
    for text, other in zip(found, expected, strict=True):
        assert text == other or name == "a quarter, random"
        assert text.split(" in ")[0] == other.split(" in ")[0]


HALVES = [R(pf.Box(x=(0, 0.5)).grid(9)), R(pf.Box(x=(0.5, 1)).grid(9))]
WHOLE: dict[str, pf.Problem] = {
    "grid": rod(R(LINE.grid(3))),
    "random": rod(R(LINE.random(5, 0))),
    "an array": rod(R(line(0, 1, 9))),
    "a coarse array": rod(R(line(0, 1, 5))),
    "without the ends": rod(R(line(0.1, 0.9, 9))),
    "a box without the ends": rod(R(pf.Box(x=(0.01, 0.99)).grid(9))),
    "a larger box": rod(R(pf.Box(x=(-1, 2)).grid(9), outside=True)),
    "random array": rod(R(RNG.random((10, 1)))),
    "Chebyshev points": rod(R((1 - np.cos(np.pi * (np.arange(12) + 0.5) / 12))[:, None] / 2)),
    "points by their logarithm": rod(R(10 ** line(-6, 0, 60))),
    "halves": rod(*HALVES),
    "halves of two materials": rod(HALVES[0], R(pf.Box(x=(0.5, 1)).grid(9), lambda u: 2 * u.xx + 1)),
    "half a box, half an array": rod(HALVES[0], R(line(0.5, 1, 20))),
    "overlapping": rod(R(pf.Box(x=(0, 0.7)).grid(9)), R(pf.Box(x=(0.2, 0.4)).grid(9)), R(pf.Box(x=(0.6, 1)).grid(9))),
    "the equation written at its term": rod(R(LINE.grid(9), lambda u: u.xx + 2)),
    "data alone": rod(residual=lambda u: u),
    "L": heat(R(masked(lambda t, x: (t < 0) | (x < 0)))),
    "L of boxes": heat(R(pf.Box(t=(0, 1), x=(-1, 1)).grid(9)), R(pf.Box(t=(1, 2), x=(-1, 0)).grid(9))),
    "disc": heat(R(masked(lambda t, x: t**2 + x**2 < 0.8))),
    "annulus": heat(R(masked(lambda t, x: (t**2 + x**2 < 1) & (t**2 + x**2 > 0.6)))),
    "two discs": heat(R(masked(lambda t, x: np.minimum((t - 0.5) ** 2 + x**2 / 4, (t + 0.5) ** 2 + x**2 / 4) < 0.2))),
    "a coarse product": heat(R(np.array(SQUARE.grid(5)))),
    "random in the plane": heat(R(SQUARE.low + RNG.random((40, 2)) * 2)),
    **{name: pf.problems.get_problem(name) for name in pf.problems.PROBLEMS},
}


@pytest.mark.parametrize("name", WHOLE)
def test_no_doubts(name: str) -> None:
    assert coverage(WHOLE[name]) == ()


def mixed(u: Any, q: Any) -> dict[str, Any]:
    return {"balance": q.x - 1, "flux": q + u.x}


def named(*conditions: Any) -> tuple[str, ...]:
    return coverage(pf.Problem("mixed", pf.PDE("x", "u q", mixed), LINE, [*conditions, ENDS]))


LEFT, RIGHT = pf.Box(x=(0, 0.5)).grid(9), pf.Box(x=(0.5, 1)).grid(9)


def test_each_equation_is_looked_for_where_terms_ask_for_some() -> None:
    whole, flux = R(LINE.grid(9)), R(LINE.grid(9), equations="flux")
    assert (
        named(whole)
        == named(flux, R(LINE.grid(9), equations="balance"))
        == named(whole, R(LEFT, equations="flux"))
        == ()
    )
    assert named(R(LINE.grid(9), equations=["flux", "balance"])) == ()
    assert named(flux) == ("no term asks for the equation 'balance'",)
    assert named(flux, R(LEFT, equations="balance", weight=0)) == ("no term asks for the equation 'balance'",)
    assert named(flux, R(LEFT, equations="balance")) == (
        "the equation 'balance' holds on x in [0, 0.5] only, of [0, 1]",
    )
    assert named(flux, R(LEFT, equations="balance"), R(RIGHT, equations="balance")) == ()
    assert named(R(LEFT), R(RIGHT, equations="flux")) == (
        "the equation 'balance' holds on x in [0, 0.5] only, of [0, 1]",
    )
    assert named(flux, R([[0.0], [1.0]], equations="balance")) == (
        "the equation 'balance' is asked for at no point inside the domain",
    )


def test_what_all_equations_lack_is_said_once() -> None:
    halves = [R(LEFT, equations=name) for name in ("balance", "flux")]
    assert named(*halves) == ("the equation holds on x in [0, 0.5] only, of [0, 1]",)


def test_another_residual_stands_for_equations_that_are_asked_for_elsewhere() -> None:
    """Of another material on the right; but an equation that nothing names is missed all the same."""
    other = R(RIGHT, lambda u, q: [q.x - 2, q + 3 * u.x])
    flux, balance = (R(LEFT, equations=name) for name in ("flux", "balance"))
    assert named(flux, balance, other) == ()
    assert named(flux, other) == ("no term asks for the equation 'balance'",)


@pytest.mark.trajectory
@pytest.mark.parametrize("name", ["the ends", "outside", "one point", "no term"])
def test_gauss_newton_bears_problems_that_leave_nearly_everything_free(name: str) -> None:
    problem, expected = DOUBTED[name]
    assert expected[0] in pf.solve(problem, pf.Network(layers=[1, 8, 1]), pf.GaussNewton(60)).status


@pytest.mark.parametrize("optimizer", ["adam", "gauss-newton", "adam+gauss-newton"])
def test_results_say_it(optimizer: str) -> None:
    problem = rod(R(pf.Box(x=(0, 0.5)).grid(30)))
    found = pf.solve(problem, pf.Network(layers=[1, 4, 1]), optimizers(optimizer, 2))
    (text,) = coverage(problem)
    assert found.warnings.count(text) == 1
    assert text in found.status
    assert text in found.to_dict()["warnings"]


def _left(t: Any, x: Any) -> Any:
    return 1.0 * (x < -0.4)


def test_points_of_weight_0_ask_for_nothing() -> None:
    grid = SQUARE.grid(21)
    holds = r"the equation holds on x in \[-1, -0\.[45]\d*\] only, of \[-1, 1\]"
    for own in (R(grid, weight=_left), R(grid, weight=_left(*grid.T)), R(np.array(grid), weight=_left)):
        (text,) = coverage(heat(own))
        assert re.fullmatch(holds, text), text
        assert coverage(heat(own, R(grid, weight=lambda t, x: 1.0 * (x > -0.5)))) == ()
    # Zero at the ends alone.
    assert coverage(heat(R(grid, weight=lambda t, x: 1 - x**2))) == ()
    disk = pf.Disk()
    rim = pf.Dirichlet(disk.boundary(20), u=0.0)

    def found(*inside: Any) -> tuple[str, ...]:
        return coverage(pf.Problem("disk", pf.PDE("x y", "u", lambda u: u.lap), disk, [*inside, rim]))

    points = disk.random(300, 0)
    for weight in (lambda x, y: 1.0 * (x > 0), 1.0 * (points[:, 0] > 0)):
        (text,) = found(R(points, weight=weight))
        assert re.fullmatch(r"the equation holds in (4[789]|5[0123])% of Disk.* only", text), text
        assert found(R(points, weight=weight), R(points, weight=lambda x, y: 1.0 * (x < 0.2))) == ()
    assert found(R(points, weight=lambda x, y: x**2 + y**2)) == ()
