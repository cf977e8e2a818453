"""Convection, a reaction, waves and Burgers' equation in one dimension."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

import psinn_fast as pf
from psinn_fast.problems.burgers import cole_hopf

from .case import GAUSS_NEWTON, JAXPI, PINNACLE, Case, Discovered, Published, cells, dense, grid

Points = npt.NDArray[np.float64]
_WIDTH = math.pi / 4  # of the reaction's initial state


def convection(speed: float = 50.0) -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(0, 2 * math.pi))
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.face("t", "low", 201), u=lambda t, x: np.sin(x), name="initial"),
        pf.Periodic(box.face("x", "low", 401), box.face("x", "high", 401), "u"),
    ]
    pde = pf.PDE("t x", "u", lambda u, c: u.t + c * u.x, {"c": speed})
    return pf.Problem("convection", pde, box, conditions, exact=lambda points: convected(points, speed))


def convected(points: Points, speed: float) -> Points:
    """sin(x - c t)."""
    return np.asarray(np.sin(points[:, 1] - speed * points[:, 0]))


def reaction() -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(0, 2 * math.pi))
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.face("t", "low", 201), u=_hump, name="initial"),
        pf.Periodic(box.face("x", "low", 101), box.face("x", "high", 101), "u"),
    ]
    return pf.Problem("reaction", pf.PDE("t x", "u", lambda u: u.t - 5 * u * (1 - u)), box, conditions, exact=reacted)


def _hump(t: Points, x: Points) -> Points:
    return np.asarray(np.exp(-((x - math.pi) ** 2) / (2 * _WIDTH**2)))


def reacted(points: Points) -> Points:
    """h e^(5 t) / (h e^(5 t) + 1 - h), h the initial state."""
    grown = _hump(*points.T) * np.exp(5 * points[:, 0])
    return np.asarray(grown / (grown + 1 - _hump(*points.T)))


def wave(overtone: int = 3) -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(0, 1))
    start = box.face("t", "low", 201)
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(start, u=lambda t, x: np.sin(np.pi * x) + np.sin(overtone * np.pi * x) / 2, name="initial"),
        pf.Residual(start, lambda u: u.t, name="at rest"),
        pf.Dirichlet(box.face("x", "low", 101), u=0.0, name="left"),
        pf.Dirichlet(box.face("x", "high", 101), u=0.0, name="right"),
    ]
    pde = pf.PDE("t x", "u", lambda u: u.tt - 4 * u.xx)
    return pf.Problem("wave", pde, box, conditions, exact=lambda points: swung(points, overtone))


def swung(points: Points, overtone: int) -> Points:
    """sin(pi x) cos(2 pi t) + sin(k pi x) cos(2 k pi t) / 2."""
    t, x = math.pi * points.T
    return np.asarray(np.sin(x) * np.cos(2 * t) + np.sin(overtone * x) * np.cos(2 * overtone * t) / 2)


def burgers(nu: float) -> pf.Problem:
    """With points about the front at x = 0 as well."""
    box = pf.Box(t=(0, 1), x=(-1, 1))
    front = box.random(2000, seed=1)
    front[:, 1] = 0.03 * np.sinh(front[:, 1] * np.arcsinh(1 / 0.03))
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Residual(front, name="front"),
        pf.Dirichlet(box.face("t", "low", 201), u=lambda t, x: -np.sin(np.pi * x), name="initial"),
        pf.Dirichlet(box.face("x", "low", 101), u=0.0, name="left"),
        pf.Dirichlet(box.face("x", "high", 101), u=0.0, name="right"),
    ]
    pde = pf.PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, {"nu": nu})
    return pf.Problem("burgers", pde, box, conditions, exact=partial(cole_hopf, nu=nu))


def burgers_of_viscosity() -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(-1, 1), nu=(0.005, 0.05))
    conditions = [
        pf.Residual(box.random(8000, seed=0)),
        pf.Dirichlet(box.boundary((201, 9), "t_low"), u=lambda t, x, nu: -np.sin(np.pi * x), name="initial"),
        pf.Dirichlet(box.boundary((51, 9), "x_low"), u=0.0, name="left"),
        pf.Dirichlet(box.boundary((51, 9), "x_high"), u=0.0, name="right"),
    ]
    pde = pf.PDE("t x nu", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, parameters="nu")
    return pf.Problem("burgers-all", pde, box, conditions, exact=with_its_viscosity)


def with_its_viscosity(points: Points) -> Points:
    """Cole-Hopf, for as many viscosities as points have."""
    found = np.empty(len(points))
    for nu in np.unique(points[:, 2]):
        own = points[:, 2] == nu
        found[own] = cole_hopf(points[own, :2], nu).ravel()
    return found


_AXIS, _CIRCLE = (0.0, 1.0, 101), (0.0, 2 * math.pi, 101)
_FORMERS = "AdityaLab/pinnsformer, demo notebooks: relative L2 on 101 x 101 points"
# Of Cole-Hopf by the trapezoid rule from 30 digits of mpmath, at twelve places, for both viscosities.
_ROUNDING = 3e-16


def front(x: sympy.Expr, nu: sympy.Expr | float) -> sympy.Expr:
    """Odd, and as steep at x = 0 as the front, which is about 2 nu wide."""
    return x / sympy.sqrt(x**2 + 4 * nu**2)


def with_front(nu: float) -> pf.Embedding:
    return pf.Embedding(lambda t, x: (t, x, front(x, nu)))


def with_front_of_all() -> pf.Embedding:
    return pf.Embedding(lambda t, x, nu: (t, x, nu, front(x, nu)))


def exact_ends() -> pf.Ansatz:
    return pf.Ansatz(u=lambda u, t, x: -sympy.sin(sympy.pi * x) + t * (1 - x**2) * u)


def _burgers(name: str, nu: float, published: Published, wanted: float, seconds: float) -> Case:
    ends: Any = {"embedding": with_front(nu), "ansatz": exact_ends()}
    return Case(
        name,
        f"u_t + u u_x = {name.partition('= ')[2]} u_xx on (0, 1) x (-1, 1), u = -sin(pi x) at t = 0, 0 at x = -1 and 1",
        "Raissi, Perdikaris & Karniadakis 2019; relative L2 against Cole-Hopf on an even grid",
        partial(burgers, nu),
        {"dense": dense(20, 20, 20, **ends), "psi": Discovered(8, hidden=3, **ends)},
        GAUSS_NEWTON,
        published,
        wanted,
        seconds,
        lambda: grid((0.0, 1.0, 101), (-1.0, 1.0, 513)),
        partial(cole_hopf, nu=nu),
        lambda: _ROUNDING,
        besides=(front, with_front, exact_ends),
    )


_ALL: Any = {"embedding": with_front_of_all(), "ansatz": exact_ends()}

CASES = (
    Case(
        "convection, beta = 50",
        "u_t + 50 u_x = 0 on (0, 1) x (0, 2 pi), u = sin x at t = 0, periodic in x",
        _FORMERS,
        convection,
        {"dense": dense(20, activation="sin")},
        GAUSS_NEWTON,
        Published(2.7e-2, "PINNsFormer", "a GPU, 1,060 s"),
        1e-6,
        120,
        lambda: grid(_AXIS, _CIRCLE),
        partial(convected, speed=50.0),
    ),
    Case(
        "advection, speed 80",
        "u_t + 80 u_x = 0 on (0, 1) x (0, 2 pi), u = sin x at t = 0, periodic in x",
        JAXPI,
        partial(convection, 80.0),
        {"dense": dense(20, activation="sin")},
        GAUSS_NEWTON,
        Published(6.9e-4, "jaxpi"),
        1e-6,
        120,
        lambda: grid((0.0, 1.0, 200), (0.0, 2 * math.pi, 128)),
        partial(convected, speed=80.0),
    ),
    Case(
        "reaction, rho = 5",
        "u_t = 5 u (1 - u) on (0, 1) x (0, 2 pi), u = exp(-(x - pi)^2 / (2 (pi/4)^2)) at t = 0, u periodic in x",
        _FORMERS,
        reaction,
        {"dense": dense(20, 20), "psi": Discovered()},
        GAUSS_NEWTON,
        Published(3.0e-2, "PINNsFormer", "a GPU, 249 s"),
        1e-6,
        120,
        lambda: grid(_AXIS, _CIRCLE),
        reacted,
    ),
    Case(
        "wave, beta = 3",
        "u_tt = 4 u_xx on (0, 1)^2, u = sin(pi x) + sin(3 pi x) / 2 and u_t = 0 at t = 0, u = 0 at x = 0 and 1",
        _FORMERS,
        partial(wave, 3),
        {"dense": dense(30, activation="sin"), "psi": Discovered(activation="sin")},
        GAUSS_NEWTON,
        Published(5.8e-2, "PINNsFormer with NTK weights", "a GPU"),
        1e-6,
        120,
        lambda: grid(_AXIS, _AXIS),
        partial(swung, overtone=3),
    ),
    Case(
        "wave, a = 4",
        "u_tt = 4 u_xx on (0, 1)^2, u = sin(pi x) + sin(4 pi x) / 2 and u_t = 0 at t = 0, u = 0 at x = 0 and 1",
        PINNACLE,
        partial(wave, 4),
        {"dense": dense(60, activation="sin")},
        GAUSS_NEWTON,
        Published(9.8e-2, "PINNacle, NTK weights"),
        1e-6,
        120,
        lambda: cells((0.0, 1.0, 50), (0.0, 1.0, 50)),
        partial(swung, overtone=4),
    ),
    _burgers("Burgers, nu = 0.01/pi", 0.01 / math.pi, Published(8e-9, "SSBroyden (Kiyani et al. 2025)"), 1e-7, 300),
    _burgers("Burgers, nu = 0.01", 0.01, Published(1.9e-12, "DSGNAR (Webb et al. 2026)", "an H100, 144 s"), 1e-11, 600),
    Case(
        "Burgers, all nu",
        "u_t + u u_x = nu u_xx on (0, 1) x (-1, 1) for nu in (0.005, 0.05), an input of the network; u = -sin(pi x) at "
        "t = 0, 0 at x = -1 and 1",
        "no table: one network for all viscosities; relative L2 against Cole-Hopf, 19 of them",
        burgers_of_viscosity,
        {"dense": dense(20, 20, 20, inputs=3, **_ALL), "psi": Discovered(6, hidden=3, **_ALL)},
        GAUSS_NEWTON,
        Published(None),
        1e-4,
        600,
        lambda: grid((0.0, 1.0, 41), (-1.0, 1.0, 257), (0.005, 0.05, 19)),
        with_its_viscosity,
        lambda: _ROUNDING,
        besides=(front, with_front_of_all, exact_ends),
    ),
)
