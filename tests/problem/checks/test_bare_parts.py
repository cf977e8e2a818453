"""Parts of a boundary without the conditions that the equation needs there are told before training, others are not."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from domains.shapes import Ball, LShape, Ring
from small import optimizers

import psinn_fast as pf
from psinn_fast.problem.checks.missing_conditions import missing_conditions
from psinn_fast.problem.conditions import Condition


class Plate(pf.Domain):
    """[-1, 1]^2 with a hole."""

    parts = ("bottom", "right", "top", "left", "hole")
    CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]], float)
    HOLE = np.array([0.5, 0.3])

    def __init__(self) -> None:
        super().__init__(x=(-1, 1), y=(-1, 1))

    def contains(self, points):
        return np.linalg.norm(points - self.HOLE, axis=1) >= 0.2 - 1e-9

    def boundary_at(self, part, unit):
        if part == "hole":
            angle = 2 * np.pi * unit[:, 0]
            out = np.stack([np.cos(angle), np.sin(angle)], 1)
            return self.HOLE + 0.2 * out, -out
        start, end = self.CORNERS[self.parts.index(part) :][:2]
        along = (end - start) / 2
        return start + unit * (end - start), np.tile([along[1], -along[0]], (len(unit), 1))


class Melting(pf.Domain):
    """0 <= x <= 1 + speed t in the first second: one end of space moves."""

    parts = ("start", "end", "wall", "front")

    def __init__(self, speed: float = 0.5) -> None:
        self.speed = speed
        super().__init__(t=(0, 1), x=(0, 1 + speed))

    def contains(self, points):
        return points[:, 1] <= 1 + self.speed * points[:, 0] + 1e-9

    def boundary_at(self, part, unit):
        u, one = unit[:, 0], np.ones(len(unit))
        if part in ("start", "end"):
            t = one * (part == "end")
            return np.stack([t, u * (1 + self.speed * t)], 1), np.stack([2 * t - 1, 0 * one], 1)
        if part == "wall":
            return np.stack([u, 0 * u], 1), np.stack([0 * one, -one], 1)
        normal = np.array([-self.speed, 1]) / np.hypot(self.speed, 1)
        return np.stack([u, 1 + self.speed * u], 1), np.tile(normal, (len(u), 1))


PLATE, RING, L, MELTING = Plate(), Ring(), LShape(), Melting()
SIDES = [pf.Dirichlet(PLATE.boundary(20, part), u=0.0) for part in PLATE.parts[:4]]
NO_SLIP = [pf.Dirichlet(PLATE.boundary(20, part), u=0.0, v=0.0) for part in PLATE.parts[:4]]
CLAMPED = [c for part in PLATE.parts[:4] for p in [PLATE.boundary(20, part)]
           for c in (pf.Dirichlet(p, w=0.0), pf.Neumann(p, w=0.0))]  # fmt: skip
HOLE = PLATE.boundary(30, "hole")
OUTER = pf.Dirichlet(RING.boundary(30, "outer"), u=0.0)
START, WALL, FRONT = (pf.Dirichlet(MELTING.boundary(9, part), u=0.0) for part in ("start", "wall", "front"))
CIRCLE = pf.Disk(Plate.HOLE, 0.2).boundary(50)


def poisson(u: Any) -> Any:
    return u.lap + 1


def stokes(u: Any, v: Any, p: Any) -> Any:
    return [p.x - u.lap, p.y - v.lap, u.x + v.y]


def lame(u: Any, v: Any) -> Any:
    return [2 * u.xx + u.yy + v.xy, v.xx + 2 * v.yy + u.xy]


def flow(u: Any, v: Any, p: Any) -> Any:
    nu = 1e-8
    return [u * u.x + v * u.y + p.x - nu * u.lap, u * v.x + v * v.y + p.y - nu * v.lap, u.x + v.y]


def mixed(u: Any, v: Any, p: Any) -> Any:
    return [u - p.x, v - p.y, u.x + v.y + 1]


def singular(u: Any, x: Any, y: Any) -> Any:
    """Singular on the inner circle, where nothing but a smooth solution is asked for."""
    return pf.div((x**2 + y**2 - 0.25) * pf.grad(u)) + 1


def made(
    domain: pf.Domain, equation: Callable[..., Any], conditions: Sequence[Condition], fields: str = "u", **settings: Any
) -> pf.Problem:
    pde = pf.PDE(" ".join(domain.coords), fields, equation, **settings)
    return pf.Problem("made", pde, domain, [pf.Residual(domain.random(60, seed=0)), *conditions])


NONE = "with no condition on part 'hole' of the boundary"


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (made(PLATE, poisson, SIDES), f"the equation is of order 2 in space, {NONE}"),
        (made(PLATE, poisson, [*SIDES, pf.Dirichlet(HOLE, u=0.0, weight=0)]), NONE),
        (made(PLATE, poisson, [*SIDES, pf.Dirichlet(HOLE, u=0.0, weight=lambda x, y: 1.0 * (x < 0.4))]), None),
        (made(PLATE, poisson, [*SIDES, pf.Data([[0.5, 0.5]], u=0.0)]), NONE),
        (made(PLATE, poisson, SIDES[1:]), "no condition on parts 'bottom' and 'hole' of the boundary"),
        (made(PLATE, lambda u, a: a * u.lap + 1, SIDES, unknown={"a": 1.0}), NONE),
        (made(PLATE, lambda u, x: (1 + x**2 + u**2) * u.lap, SIDES), NONE),
        (made(PLATE, stokes, NO_SLIP, "u v p"), f"the equations are together of order 4 in space, {NONE}"),
        (made(PLATE, flow, NO_SLIP, "u v p"), NONE),
        (made(PLATE, mixed, [pf.Dirichlet(PLATE.boundary(20, k), p=0.0) for k in PLATE.parts[:4]], "u v p"), NONE),
        (made(PLATE, lame, [*NO_SLIP, pf.Dirichlet(HOLE, u=0.0)], "u v"), "with only 1 condition on part 'hole'"),
        (
            made(PLATE, lambda w: w.lap.lap - 1, [*CLAMPED, pf.Dirichlet(HOLE, w=0.0)], "w"),
            "only 1 condition on part 'h",
        ),
        (made(RING, poisson, [OUTER]), "no condition on part 'inner'"),
        (made(Ball(), poisson, [pf.Data([[0.0, 0.0, 0.0]], u=0.0)]), "no condition on part 'sphere'"),
        (made(L, poisson, [pf.Dirichlet(np.array(L.boundary(40, k)), u=0.0) for k in L.parts[1:]]), "part 'bottom'"),
        (made(MELTING, lambda u: u.t - u.xx, [START, WALL]), "no condition on part 'front'"),
        (made(MELTING, lambda u: u.tt - u.xx, [START, WALL]), "no condition on part 'front'"),
    ],
    ids=str,
)
def test_bare(problem: pf.Problem, expected: str | None) -> None:
    found = missing_conditions(problem)
    assert (len(found) == 1 and expected in found[0]) if expected else not found, found


FREE = pf.Residual(HOLE, lambda u, n_x, n_y: u.x * n_x + u.y * n_y + u)
BELOW = np.array(PLATE.boundary(20, "bottom"))


@pytest.mark.parametrize(
    "problem",
    [
        *(
            made(PLATE, poisson, [*SIDES, own])
            for own in (
                pf.Dirichlet(HOLE, u=0.0),
                pf.Neumann(HOLE, u=0.0),
                FREE,
                pf.Data(np.array(HOLE), u=0.0),
                pf.Dirichlet(np.array(HOLE)[:9], u=0.0),
                pf.Dirichlet(CIRCLE, u=0.0),
                pf.Dirichlet(np.array(CIRCLE), u=0.0),
                pf.Dirichlet(np.array(HOLE).astype(np.float32), u=0.0),
                # Measurements inside may stand for anything; values and slopes at one part are enough for all.
                pf.Data(PLATE.random(9, 0), u=0.0),
                pf.Neumann(BELOW, [0.0, -1.0], u=0.0),
            )
        ),
        made(PLATE, poisson, [pf.Dirichlet(PLATE.boundary(9), u=0.0)]),  # of which the hole has no point
        made(PLATE, poisson, [pf.Dirichlet(np.array(PLATE.boundary(90)), u=0.0)]),
        made(
            PLATE,
            poisson,
            [pf.Periodic(BELOW, BELOW + np.array([0, 2]), "u u_y"), *SIDES[1::2], pf.Dirichlet(HOLE, u=0.0)],
        ),
        # Transport needs nothing where it leaves; which parts of a membrane's edge do, if y is its time, depends.
        made(PLATE, lambda u: u.x + u.y, SIDES[:1]),
        made(PLATE, lambda u: u.x, SIDES[3:]),
        made(PLATE, lambda u, v: [u.x - v, v.x], [pf.Dirichlet(PLATE.boundary(20, "left"), u=0.0, v=0.0)], "u v"),
        made(PLATE, lambda u: u.xx - u.yy, SIDES[:1]),
        made(PLATE, lambda u: u.x - u.yy, SIDES[:1]),
        made(RING, singular, [OUTER]),
        # Nothing is given at the end of a time.
        made(MELTING, lambda u: u.t - u.xx, [START, WALL, FRONT]),
        made(MELTING, lambda u: u.tt - u.xx, [START, WALL, FRONT]),
        made(MELTING, lambda u: u.t + u.x, [START, WALL]),
        # The front runs faster than waves do.
        made(Melting(2.0), lambda u: u.tt - u.xx, [pf.Dirichlet(Melting(2.0).boundary(9, "wall"), u=0.0)]),
    ],
    ids=str,
)
def test_nothing_is_missing(problem: pf.Problem) -> None:
    assert missing_conditions(problem) == ()
    assert missing_conditions(copy.deepcopy(problem)) == ()


def test_a_symmetric_network_needs_one_of_two_images() -> None:
    problem = made(
        L, poisson, [pf.Dirichlet(L.boundary(9, part), u=0.0) for part in ("bottom", "right", "notch_bottom")]
    )
    assert missing_conditions(problem)
    assert not missing_conditions(problem, is_symmetric=True)


@pytest.mark.parametrize("name", ["adam", "gauss-newton"])
def test_every_optimiser_says_so(name: str) -> None:
    solution = pf.solve(made(PLATE, poisson, SIDES), pf.Network(layers=[2, 4, 1]), optimizers(name, 2))
    assert NONE in solution.status
    assert any(NONE in text for text in solution.warnings)
