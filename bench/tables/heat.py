"""PINNacle's heat equations and its inverse problems, in which a coefficient is a field."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
import sympy

import psinn_fast as pf

Points = npt.NDArray[np.float64]
_NOISE = 0.1


def multiscale() -> pf.Problem:
    box = pf.Box(t=(0, 5), x=(0, 1), y=(0, 1))
    conditions = [
        pf.Residual(box.random(8000, seed=0)),
        pf.Dirichlet(
            box.face("t", "low", 61), u=lambda t, x, y: np.sin(20 * np.pi * x) * np.sin(np.pi * y), name="initial"
        ),
        *(
            pf.Dirichlet(box.face(*side, 31), u=0.0)
            for side in (("x", "low"), ("x", "high"), ("y", "low"), ("y", "high"))
        ),
    ]
    pde = pf.PDE("t x y", "u", lambda u: u.t - u.xx / (500 * np.pi) ** 2 - u.yy / np.pi**2)
    return pf.Problem("heat-multiscale", pde, box, conditions, exact=decayed)


def decayed(points: Points) -> Points:
    """exp(-1.0016 t) sin(20 pi x) sin(pi y)."""
    t, x, y = points.T
    return np.asarray(np.exp(-1.0016 * t) * np.sin(20 * math.pi * x) * np.sin(math.pi * y))


def poisson_inverse() -> pf.Problem:
    box = pf.Box(x=(0, 1), y=(0, 1))
    x, y = sympy.symbols("x y")
    conductivity = 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)
    measured = sympy.sin(sympy.pi * x) * sympy.sin(sympy.pi * y)
    source = -sum((conductivity * measured.diff(axis)).diff(axis) for axis in (x, y))
    places, values = noisy_grid()
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Data(places, u=values),
        pf.Dirichlet(box.boundary(101), a=sympy.lambdify((x, y), conductivity, "numpy"), name="a at the walls"),
    ]
    pde = pf.PDE("x y", "u a", lambda u, a: pf.div(a * pf.grad(u)) + source)
    return pf.Problem("poisson-inverse", pde, box, conditions, exact=conducting)


def conducting(points: Points) -> Points:
    """sin(pi x) sin(pi y); 1 / (1 + x^2 + y^2 + (x - 1)^2 + (y - 1)^2)."""
    x, y = points.T
    u = np.sin(math.pi * x) * np.sin(math.pi * y)
    return np.stack([u, 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)], 1)


@cache
def noisy_grid() -> tuple[Points, Points]:
    """50 times 50 places, walls included, and u there with normal noise of 0.1."""
    axis = np.linspace(0, 1, 50)
    places = np.stack([own.ravel() for own in np.meshgrid(axis, axis)], 1)
    return places, conducting(places)[:, 0] + _NOISE * np.random.default_rng(0).standard_normal(len(places))


def heat_inverse() -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(-1, 1), y=(-1, 1))
    t, x, y = sympy.symbols("t x y")
    shape = sympy.sin(sympy.pi * x) * sympy.sin(sympy.pi * y)
    u, a = sympy.exp(-t) * shape, 2 + shape
    source = u.diff(t) - sum((a * u.diff(axis)).diff(axis) for axis in (x, y))
    places, values = noisy_places()
    walls = [part for part in box.parts if not part.startswith("t")]
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Data(places, u=values),
        *(pf.Dirichlet(box.boundary(11, wall), a=2.0, name=f"a at {wall}") for wall in walls),
    ]
    pde = pf.PDE("t x y", "u a", lambda u, a: [u.t - pf.div(a * pf.grad(u)) - source, a.t])
    return pf.Problem("heat-inverse", pde, box, conditions, exact=warming)


def warming(points: Points) -> Points:
    """exp(-t) sin(pi x) sin(pi y); 2 + sin(pi x) sin(pi y)."""
    t, x, y = points.T
    shape = np.sin(math.pi * x) * np.sin(math.pi * y)
    return np.stack([np.exp(-t) * shape, 2 + shape], 1)


@cache
def noisy_places() -> tuple[Points, Points]:
    """2,500 random places of (t, x, y), and u there with normal noise of 0.1."""
    random = np.random.default_rng(0)
    places = np.stack([random.uniform(0, 1, 2500), *random.uniform(-1, 1, (2, 2500))], 1)
    return places, warming(places)[:, 0] + _NOISE * random.standard_normal(len(places))
