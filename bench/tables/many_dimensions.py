"""PINNacle's Poisson equation in five dimensions, the same in eight, and its heat equation in a ball of five."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import numpy.typing as npt
import sympy

import psinn_fast as pf

from .case import GAUSS_NEWTON, PINNACLE, Case, Discovered, Published, dense

Points = npt.NDArray[np.float64]
_NAMES = [f"x{k}" for k in range(1, 6)]
_SYMBOLS = sympy.symbols(_NAMES)
_ANGLES = np.linspace(0, math.pi, 20_001)


def poisson(dimensions: int = 5) -> pf.Problem:
    names = [f"x{k}" for k in range(1, dimensions + 1)]
    box = pf.Box(**dict.fromkeys(names, (0.0, 1.0)))
    source = sympy.pi**2 / 4 * sum(sympy.sin(sympy.pi / 2 * x) for x in sympy.symbols(names))
    walls = on_walls(dimensions)
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(walls, u=summed(walls)),
    ]
    pde = pf.PDE(" ".join(names), "u", lambda u: u.lap + source)
    return pf.Problem("poisson", pde, box, conditions, exact=summed)


def on_walls(dimensions: int, n: int = 2560) -> Points:
    """Random places of the cube's faces."""
    random = np.random.default_rng(0)
    places = random.uniform(0, 1, (n, dimensions))
    places[np.arange(n), random.integers(dimensions, size=n)] = random.integers(2, size=n)
    return places


def summed(points: Points) -> Points:
    """The sum of sin(pi x / 2) over the coordinates."""
    return np.asarray(np.sin(math.pi / 2 * points).sum(1))


class Ball5(pf.Domain):
    """The unit ball in five dimensions."""

    parts = ("sphere",)

    def __init__(self) -> None:
        super().__init__(**dict.fromkeys(_NAMES, (-1.0, 1.0)))

    def contains(self, points: Points) -> npt.NDArray[np.bool_]:
        return np.asarray((points**2).sum(1) <= 1)

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points]:
        return _directions(unit), _directions(unit)

    def interior_at(self, unit: Points) -> Points:
        return np.asarray(unit[:, :1] ** (1 / 5) * _directions(unit[:, 1:]))


def _directions(unit: Points) -> Points:
    """Even in five dimensions for even numbers (N, 4) in [0, 1]: angles of densities sin^3, sin^2, sin and 1."""
    found, left = np.empty((len(unit), 5)), np.ones(len(unit))
    for axis in range(3):
        share = np.cumsum(np.sin(_ANGLES) ** (3 - axis))
        angle = np.interp(unit[:, axis], share / share[-1], _ANGLES)
        found[:, axis] = left * np.cos(angle)
        left = left * np.sin(angle)
    turn = 2 * math.pi * unit[:, 3]
    found[:, 3], found[:, 4] = left * np.cos(turn), left * np.sin(turn)
    return found


def heat() -> pf.Problem:
    domain = pf.Box(t=(0, 1)) * Ball5()
    t = sympy.Symbol("t")
    square = sum(x**2 for x in _SYMBOLS)
    source = square / 5 * sympy.exp(square / 2 + t)
    value = sympy.lambdify((t, *_SYMBOLS), sympy.exp(square / 2 + t), "numpy")
    conditions = [
        pf.Residual(domain.random(4000, seed=0)),
        pf.Dirichlet(domain.boundary(2000, "t_low"), u=value, name="initial"),
        pf.Neumann(domain.boundary(2000, "sphere"), u=value, name="sphere"),
    ]
    pde = pf.PDE("t " + " ".join(_NAMES), "u", lambda u: u.t - u.lap / 5 + source)
    return pf.Problem("heat-5d", pde, domain, conditions, exact=grown)


def _radial() -> pf.Embedding:
    """The ball, the source and the data depend on |x| alone."""
    return pf.Embedding(lambda t, x1, x2, x3, x4, x5: (t, x1**2 + x2**2 + x3**2 + x4**2 + x5**2))


def grown(points: Points) -> Points:
    """exp(|x|^2 / 2 + t)."""
    return np.asarray(np.exp((points[:, 1:] ** 2).sum(1) / 2 + points[:, 0]))


def in_cube(dimensions: int, n: int = 20_000) -> Points:
    """Random places of the cube."""
    return np.random.default_rng(7).uniform(0, 1, (n, dimensions))


def in_ball(n: int = 20_000) -> Points:
    """Random times and places of the ball."""
    random = np.random.default_rng(7)
    return np.concatenate([random.uniform(0, 1, (n, 1)), Ball5().interior_at(random.uniform(0, 1, (n, 5)))], 1)


def _poisson(dimensions: int, published: Published, wanted: float) -> Case:
    return Case(
        f"Poisson, {dimensions} dimensions",
        f"lap u + pi^2 / 4 sum_i sin(pi x_i / 2) = 0 on (0, 1)^{dimensions}, u = sum_i sin(pi x_i / 2) at the boundary",
        PINNACLE + ("" if dimensions == 5 else ", where it has five"),
        partial(poisson, dimensions),
        {"dense": dense(20, activation="sin", inputs=dimensions)},
        GAUSS_NEWTON,
        published,
        wanted,
        120,
        partial(in_cube, dimensions),
        summed,
    )


CASES = (
    _poisson(5, Published(4.7e-4, "PINNacle, L-BFGS"), 1e-6),
    _poisson(8, Published(None), 1e-6),
    Case(
        "heat, 5 dimensions",
        "u_t = lap u / 5 - |x|^2 / 5 exp(|x|^2 / 2 + t) on (0, 1) times the unit ball of five dimensions, u = "
        "exp(|x|^2 / 2 + t) at t = 0, and its normal derivative at |x| = 1 is that",
        PINNACLE,
        heat,
        {"dense": dense(16, 16, inputs=6, embedding=_radial()), "psi": Discovered()},
        GAUSS_NEWTON,
        Published(1.2e-4, "PINNacle, L-BFGS"),
        1e-6,
        120,
        in_ball,
        grown,
        besides=(_radial,),
    ),
)
