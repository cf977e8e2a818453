"""Helmholtz and Laplace problems in the plane."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import sympy

import psinn_fast as pf

from .case import GAUSS_NEWTON, PINNACLE, Case, Discovered, Published, cells, dense, grid
from .holes import CENTRE, RADIUS, fitted, potential
from .stored import stored

Points = npt.NDArray[np.float64]
_HOLES = [(x, y) for x in (-CENTRE, CENTRE) for y in (-CENTRE, CENTRE)]


def helmholtz() -> pf.Problem:
    box = pf.Box(x=(-1, 1), y=(-1, 1))
    x, y = sympy.symbols("x y")
    source = (1 - 17 * sympy.pi**2) * sympy.sin(sympy.pi * x) * sympy.sin(4 * sympy.pi * y)
    conditions = [pf.Residual(box.random(4000, seed=0)), pf.Dirichlet(box.boundary(101), u=0.0)]
    pde = pf.PDE("x y", "u", lambda u: u.lap + u - source)
    return pf.Problem("helmholtz", pde, box, conditions, exact=standing)


def standing(points: Points) -> Points:
    """sin(pi x) sin(4 pi y)."""
    return np.asarray(np.sin(math.pi * points[:, 0]) * np.sin(4 * math.pi * points[:, 1]))


def four_holes() -> pf.Problem:
    plate: pf.Domain = pf.Box(x=(-0.5, 0.5), y=(-0.5, 0.5))
    for centre in _HOLES:
        plate = plate - pf.Disk(centre, RADIUS)
    sides, rims = [[part for part in plate.parts if part.startswith(name)] for name in ("x", "rim")]
    sides += [part for part in plate.parts if part.startswith("y")]
    conditions = [
        pf.Residual(plate.random(4000, seed=0)),
        pf.Dirichlet(plate.boundary(400, sides), u=1.0, name="sides"),
        pf.Dirichlet(plate.boundary(400, rims), u=0.0, name="rims"),
    ]
    return pf.Problem("four-holes", pf.PDE("x y", "u", lambda u: u.lap), plate, conditions, exact=with_holes)


def _about_the_holes() -> pf.Embedding:
    """Potentials of the holes' centres beside x and y: what a hole does is short of them, and long of y and x."""

    def features(x: sympy.Expr, y: sympy.Expr) -> tuple[sympy.Expr, ...]:
        return x, y, *(sympy.log((x - a) ** 2 + (y - b) ** 2) for a, b in _HOLES)

    return pf.Embedding(features)


def with_holes(points: Points) -> Points:
    return potential(points, stored(fitted)["coefficients"])


def outside_of_holes(points: Points) -> Points:
    """Those of the points that lie in no hole."""
    return points[np.all([np.hypot(*(points - hole).T) > RADIUS for hole in _HOLES], axis=0)]


def _score_points() -> Points:
    return outside_of_holes(cells((-0.5, 0.5, 101), (-0.5, 0.5, 101)))


def _holes_floor() -> float:
    """An error at the boundary bounds that inside, by the maximum principle."""
    return float(stored(fitted)["error"] / np.sqrt((with_holes(_score_points()) ** 2).mean()))


CASES = (
    Case(
        "Helmholtz",
        "lap u + u = (1 - 17 pi^2) sin(pi x) sin(4 pi y) on (-1, 1)^2, u = 0 at the boundary",
        "Wang, Teng & Perdikaris 2021, a1 = 1, a2 = 4: relative L2 on an even grid",
        helmholtz,
        {"dense": dense(20, 20, activation="sin"), "psi": Discovered(activation="sin")},
        GAUSS_NEWTON,
        Published(1e-3, "Wang, Teng & Perdikaris (its order of magnitude)"),
        1e-8,
        60,
        lambda: grid((-1.0, 1.0, 100), (-1.0, 1.0, 100)),
        standing,
    ),
    Case(
        "Laplace with four holes",
        "lap u = 0 on (-1/2, 1/2)^2 less disks of radius 1/10 about (+-0.3, +-0.3), u = 1 on the sides, 0 on "
        "the circles",
        PINNACLE + " (Poisson2D_Classic)",
        four_holes,
        {"dense": dense(24, 24, embedding=_about_the_holes()), "psi": Discovered()},
        GAUSS_NEWTON,
        Published(1.2e-2, "PINNacle, NTK weights"),
        1e-5,
        120,
        _score_points,
        with_holes,
        _holes_floor,
        besides=(_about_the_holes,),
    ),
)
