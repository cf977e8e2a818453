"""PINNacle's heat equations and its inverse problems, in which a coefficient is a field."""

from __future__ import annotations

import math
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import sympy

import psinn_fast as pf

from .case import GAUSS_NEWTON, PINNACLE, Case, Published, cells, dense

Points = npt.NDArray[np.float64]


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


def poisson_inverse(noise: float = 0.1) -> pf.Problem:
    box = pf.Box(x=(0, 1), y=(0, 1))
    x, y = sympy.symbols("x y")
    conductivity = 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)
    measured = sympy.sin(sympy.pi * x) * sympy.sin(sympy.pi * y)
    source = -sum((conductivity * measured.diff(axis)).diff(axis) for axis in (x, y))
    places, values = noisy_grid(noise)
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Data(places, u=values, weight=0.01),
        pf.Dirichlet(box.boundary(101), a=sympy.lambdify((x, y), conductivity, "numpy"), name="a at the walls"),
    ]
    pde = pf.PDE("x y", "u a", lambda u, a: pf.div(a * pf.grad(u)) + source)
    return pf.Problem("poisson-inverse", pde, box, conditions, exact=conducting)


def noise_floor(true: Points, noise: float, measurements: int = 2500) -> float:
    """What noise leaves uncertain, relative to all fields, if nothing but the size of u is unknown: no method that does
    not know the solution can be expected to do better."""
    return float(noise / math.sqrt(measurements) / np.sqrt((true**2).sum(1).mean()))


def conducting(points: Points) -> Points:
    """sin(pi x) sin(pi y); 1 / (1 + x^2 + y^2 + (x - 1)^2 + (y - 1)^2)."""
    x, y = points.T
    u = np.sin(math.pi * x) * np.sin(math.pi * y)
    return np.stack([u, 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)], 1)


@cache
def noisy_grid(noise: float) -> tuple[Points, Points]:
    """50 times 50 places, walls included, and u there with normal noise."""
    axis = np.linspace(0, 1, 50)
    places = np.stack([own.ravel() for own in np.meshgrid(axis, axis)], 1)
    return places, conducting(places)[:, 0] + noise * np.random.default_rng(0).standard_normal(len(places))


def heat_inverse(noise: float = 0.1) -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(-1, 1), y=(-1, 1))
    t, x, y = sympy.symbols("t x y")
    shape = sympy.sin(sympy.pi * x) * sympy.sin(sympy.pi * y)
    u, a = sympy.exp(-t) * shape, 2 + shape
    source = u.diff(t) - sum((a * u.diff(axis)).diff(axis) for axis in (x, y))
    places, values = noisy_places(noise)
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
def noisy_places(noise: float) -> tuple[Points, Points]:
    """2,500 random places of (t, x, y), and u there with normal noise."""
    random = np.random.default_rng(0)
    places = np.stack([random.uniform(0, 1, 2500), *random.uniform(-1, 1, (2, 2500))], 1)
    return places, warming(places)[:, 0] + noise * random.standard_normal(len(places))


def _inverse(name: str, noise: float, published: Published, wanted: float) -> Case:
    """PINNacle's two, with its noise or none."""
    is_heat = name.startswith("heat")
    places = (0.0, 1.0, 27), (-1.0, 1.0, 27), (-1.0, 1.0, 27)
    points = partial(cells, *(places if is_heat else [(0.0, 1.0, 50)] * 2))
    reference = warming if is_heat else conducting
    measured = f"with normal noise of {noise:g}" if noise else "exactly"
    statement = (
        f"u_t - div(a grad u) = f on (0, 1) x (-1, 1)^2, u = exp(-t) sin(pi x) sin(pi y) {measured} at 2,500 places of "
        "our own, a = 2 + sin(pi x) sin(pi y) is a field that does not depend on t, and is given at the walls"
        if is_heat
        else f"div(a grad u) = f on (0, 1)^2, u = sin(pi x) sin(pi y) {measured} at 50 x 50 places, "
        "a = 1 / (1 + x^2 + y^2 + (x - 1)^2 + (y - 1)^2) is a field, and is given at the boundary"
    )
    return Case(
        name,
        statement,
        PINNACLE,
        partial(heat_inverse if is_heat else poisson_inverse, noise),
        {"dense": dense(20, 20, fields=2, inputs=3) if is_heat else dense(8, 8, fields=2)},
        # More steps would fit the noise.
        pf.GaussNewton(500) if noise else GAUSS_NEWTON,
        published,
        wanted,
        300,
        points,
        reference,
        lambda: noise_floor(reference(points()), noise),
    )


CASES = (
    Case(
        "heat, multi-scale",
        "u_t = u_xx / (500 pi)^2 + u_yy / pi^2 on (0, 5) x (0, 1)^2, u = sin(20 pi x) sin(pi y) at t = 0, "
        "0 at the walls",
        PINNACLE,
        multiscale,
        # Coefficients are constant, so the initial state's period in x is the solution's.
        {"dense": dense(24, 24, inputs=3, embedding=pf.Embedding.periodic(x=0.1))},
        GAUSS_NEWTON,
        Published(6.2e-2, "PINNacle, plain PINN"),
        1e-4,
        300,
        lambda: cells((0.0, 5.0, 27), (0.0, 1.0, 27), (0.0, 1.0, 27)),
        decayed,
    ),
    _inverse("Poisson-inverse", 0.1, Published(2.5e-2, "PINNacle"), 1e-3),
    _inverse("heat-inverse", 0.1, Published(5.3e-2, "PINNacle"), 1e-3),
    _inverse("Poisson-inverse, exact data", 0.0, Published(None), 1e-3),
    _inverse("heat-inverse, exact data", 0.0, Published(None), 1e-3),
)
