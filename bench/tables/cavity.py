"""Lid-driven cavities: PINNacle's, whose lid is at rest at its corners, and jaxpi's, whose lid is not."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import sympy

import psinn_fast as pf

from .case import GAUSS_NEWTON, PINNACLE, Case, Published, cells, dense, relative
from .cavity_flow import flow_at, solved
from .stored import stored

Points = npt.NDArray[np.float64]
# Degree and layers of the reference, and of the one that it is compared with.
COARSE, FINE = (4, 3), (6, 3)


def cavity() -> pf.Problem:
    box = pf.Box(x=(0, 1), y=(0, 1))
    walls = ["x_low", "x_high", "y_low"]
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.boundary(101, "y_high"), u=lambda x, y: 4 * x * (1 - x), v=0.0, name="lid"),
        pf.Dirichlet(box.boundary(101, walls), u=0.0, v=0.0, name="walls"),
        pf.Dirichlet([[0.0, 0.0]], p=0.0, name="level"),
    ]
    pde = pf.PDE("x y", "u v p", _navier_stokes, {"nu": 1 / 100})
    return pf.Problem("cavity", pde, box, conditions, exact=parabolic)


def _navier_stokes(u: object, v: object, p: object, nu: object) -> list[object]:
    flow = sympy.Matrix([u, v])
    inertia = [flow.dot(pf.grad(own)) for own in (u, v)]
    return [pf.div(flow), inertia[0] + p.x - nu * u.lap, inertia[1] + p.y - nu * v.lap]  # type: ignore[attr-defined, operator]  # SymPy ships no types


def about_corners(is_even: bool) -> pf.Embedding:
    """What Stokes flows are made of in the lid's corners (Moffatt 1964): velocities of s theta and a pressure of log r,
    r from the corner, theta from the lid and s from the wall, where the lid's velocity falls like s to 0; where it does
    not, velocities of theta alone as well. Smooth within a thousandth."""

    def features(x: sympy.Expr, y: sympy.Expr) -> tuple[sympy.Expr, ...]:
        found, depth = [x, y], 1 - y
        for s in (x, 1 - x):
            r = sympy.sqrt(s**2 + depth**2 + 1e-6)
            theta = 2 * sympy.atan(depth / (s + r))
            found += [s * theta, depth * theta, sympy.log(r)]
            found += [] if is_even else [theta, s / r]
        return tuple(found)

    return pf.Embedding(features)


def uneven_cavity() -> pf.Problem:
    box = pf.Box(x=(0, 1), y=(0, 1))
    conditions = [
        pf.Residual(box.graded(6000, seed=0, part="y_high", reach=0.1), weight=_away_from_corners),
        pf.Dirichlet(box.boundary(201, "y_high"), u=1.0, v=0.0, name="lid"),
        *(pf.Dirichlet(_below_the_lid(x), u=0.0, v=0.0, name=name) for x, name in ((0.0, "left"), (1.0, "right"))),
        pf.Dirichlet(box.boundary(101, "y_low"), u=0.0, v=0.0, name="bottom"),
        pf.Dirichlet([[0.5, 0.0]], p=0.0, name="level"),
    ]
    pde = pf.PDE("x y", "u v p", _navier_stokes, {"nu": 1 / 1000})
    return pf.Problem("cavity", pde, box, conditions, exact=uniform)


def _away_from_corners(x: Points, y: Points) -> Points:
    """Gradients are infinite at the lid's corners, like 1 / r: squares of residuals weigh r^3 there."""
    squared = (1 - y) ** 2 + np.minimum(x, 1 - x) ** 2
    return np.asarray((squared / (squared + 0.05**2)) ** 1.5)


def _below_the_lid(x: float) -> Points:
    """A side wall up to 0.99, as in jaxpi."""
    y = np.linspace(0, 0.99, 101)
    return np.stack([np.full_like(y, x), y], 1)


def parabolic(points: Points, settings: tuple[int, int] = COARSE) -> Points:
    """u, v, p at Re = 100, the lid's velocity 4 x (1 - x), p = 0 at (0, 0)."""
    return _flow("parabolic", 100.0, points, settings)


def uniform(points: Points, settings: tuple[int, int] = FINE) -> Points:
    """u, v, p at Re = 1000, the lid's velocity 1."""
    return _flow("uniform", 1000.0, points, settings)


def _flow(lid: str, reynolds: float, points: Points, settings: tuple[int, int]) -> Points:
    found = stored(solved, lid, reynolds, *settings)
    return flow_at(points, *settings, found["flow"], found["pressure"])


def score_points() -> Points:
    """Even places, none at the lid's corners, where the velocity is either of two."""
    return cells((0.0, 1.0, 101), (0.0, 1.0, 101))


def speed(found: Points, true: Points) -> float:
    """The relative L2 error of sqrt(u^2 + v^2), as jaxpi scores."""
    off, whole = (np.hypot(*values[:, :2].T) for values in (found, true))
    return math.sqrt(((off - whole) ** 2).sum() / (whole**2).sum())


CASES = (
    Case(
        "cavity, Re = 100",
        "(w . grad) w + grad p = lap w / 100, div w = 0 on (0, 1)^2, w = (4 x (1 - x), 0) at y = 1, 0 at the other "
        "walls, p = 0 at (0, 0)",
        PINNACLE + ": of u, v and p together",
        cavity,
        {"dense": dense(24, 24, fields=3, embedding=about_corners(is_even=True))},
        GAUSS_NEWTON,
        Published(3.6e-2, "PINNacle, LAAF"),
        1e-3,
        600,
        score_points,
        parabolic,
        lambda: relative(parabolic(score_points()), parabolic(score_points(), FINE)),
        besides=(about_corners,),
    ),
    Case(
        "cavity, Re = 1000",
        "(w . grad) w + grad p = lap w / 1000, div w = 0 on (0, 1)^2, w = (1, 0) at y = 1, corners included, 0 at the "
        "other walls, which training sees up to y = 0.99",
        "PredictiveIntelligenceLab/jaxpi, examples/ldc: relative L2 of the speed",
        uneven_cavity,
        {"dense": dense(24, 24, 24, fields=3)},
        GAUSS_NEWTON,
        Published(None, "PirateNets: 4.2e-2 at Re = 3200"),
        1e-2,
        600,
        score_points,
        uniform,
        lambda: speed(uniform(score_points(), COARSE), uniform(score_points())),
        speed,
    ),
)
