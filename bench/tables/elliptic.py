"""Helmholtz and Laplace problems in the plane."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import sympy

import psinn_fast as pf

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


def with_holes(points: Points) -> Points:
    return potential(points, stored(fitted)["coefficients"])


def outside_of_holes(points: Points) -> Points:
    """Those of the points that lie in no hole."""
    return points[np.all([np.hypot(*(points - hole).T) > RADIUS for hole in _HOLES], axis=0)]
