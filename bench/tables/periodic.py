"""Allen-Cahn, Korteweg-de Vries and Kuramoto-Sivashinsky on periodic intervals, as jaxpi and PirateNets pose them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

import psinn_fast as pf

from .case import JAXPI, Case, Marched, Published, dense, relative
from .spectral import Equation, at_points
from .stored import stored

Points = npt.NDArray[np.float64]
_SMALL = 2e-3
# Shorter at first, where the kink diffuses.
_WINDOWS = (0, 1e-3, 3e-3, 6e-3, 0.01, 0.02, 0.04, 0.07, *(k / 20 for k in range(2, 21)))


@dataclass(frozen=True)
class Solved:
    """An equation with how finely it is solved: Fourier modes, steps; times and places that are kept of it."""

    equation: Equation
    modes: int
    steps: int
    levels: int
    kept: int

    def table(self, finer: int = 1) -> dict[str, Points]:
        modes, steps = finer * self.modes, finer * self.steps
        return {"u": self.equation.solved(modes, steps, self.levels, self.kept)}


SOLVED = {
    "Allen-Cahn": Solved(
        Equation(
            -1.0, 2.0, lambda k: 5 - 1e-4 * k**2, lambda u: -5 * u**3, False, lambda x: x**2 * np.cos(math.pi * x)
        ),
        modes=2048, steps=4000, levels=1000, kept=2048,
    ),
    "Korteweg-de Vries": Solved(
        Equation(-1.0, 2.0, lambda k: 1j * 0.022**2 * k**3, lambda u: -(u**2) / 2, True, lambda x: np.cos(math.pi * x)),
        modes=1024, steps=20_000, levels=1000, kept=1024,
    ),
    "Kuramoto-Sivashinsky": Solved(
        Equation(
            0.0, 2 * math.pi, lambda k: 100 / 16**2 * k**2 - 100 / 16**4 * k**4, lambda u: -100 / 32 * u**2, True,
            lambda x: np.cos(x) * (1 + np.sin(x)),
        ),
        modes=512, steps=20_000, levels=1000, kept=512,
    ),
}  # fmt: skip


def table_of(name: str, finer: int = 1) -> dict[str, Points]:
    return SOLVED[name].table(finer)


def reference(points: Points, name: str, finer: int = 1) -> Points:
    """u at points (N, 2) of (t, x)."""
    equation = SOLVED[name].equation
    return at_points(stored(table_of, name, finer)["u"], equation.low, equation.length, points)


def floor(name: str, points: Points) -> float:
    """How far the reference is from one of twice as many modes and steps."""
    return relative(reference(points, name), reference(points, name, 2))


def allen_cahn() -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(-1, 1))
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.face("t", "low", 201), u=smoothed, name="initial"),
    ]
    pde = pf.PDE("t x", "u", lambda u: u.t - 1e-4 * u.xx - 5 * (u - u**3))
    return pf.Problem("allen-cahn", pde, box, conditions, exact=partial(reference, name="Allen-Cahn"))


def smoothed(t: Points, x: Points) -> Points:
    """x^2 cos(pi x), whose kink at x = +-1 is replaced within a small length, with the same values there and the same
    mean. What diffuses in a time of 1e-2 is no different; the reference has the kink."""
    wave = np.cos(np.pi * x / 2)
    bent = np.tanh(wave / _SMALL)
    return np.asarray(
        x**2 * np.cos(np.pi * x) + 4 / np.pi * (wave * (bent - 1) + np.pi**2 / 8 * _SMALL * bent**2 * (1 - bent**2))
    )


def near_the_ends() -> pf.Embedding:
    """Even and periodic coordinates, one of which resolves all lengths from 1 to the small one at x = +-1."""

    def features(t: sympy.Expr, x: sympy.Expr) -> tuple[sympy.Expr, ...]:
        squared = (1 + sympy.cos(sympy.pi * x)) / 2
        near = 2 * sympy.log(1 + squared / _SMALL**2) / math.log(1 + 1 / _SMALL**2) - 1
        return t, *(sympy.cos(k * sympy.pi * x) for k in (1, 2, 3)), near

    return pf.Embedding(features)


def kdv() -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(-1, 1))
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.face("t", "low", 401), u=lambda t, x: np.cos(np.pi * x), name="initial"),
    ]
    pde = pf.PDE("t x", "u", lambda u: u.t + u * u.x + 0.022**2 * u.xxx)
    return pf.Problem("kdv", pde, box, conditions, exact=partial(reference, name="Korteweg-de Vries"))


def kuramoto_sivashinsky() -> pf.Problem:
    box = pf.Box(t=(0, 1), x=(0, 2 * math.pi))
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.face("t", "low", 401), u=lambda t, x: np.cos(x) * (1 + np.sin(x)), name="initial"),
    ]
    pde = pf.PDE("t x", "u", lambda u: u.t + 100 / 16 * u * u.x + 100 / 16**2 * u.xx + 100 / 16**4 * u.xxxx)
    return pf.Problem("ks", pde, box, conditions, exact=partial(reference, name="Kuramoto-Sivashinsky"))


def _case(name: str, statement: str, problem: Callable[[], pf.Problem], network: pf.Network, **others: Any) -> Case:
    """Scored at the places and times that jaxpi's references have."""
    equation, levels = SOLVED[name].equation, 201 if name == "Allen-Cahn" else 251
    x = (equation.low, equation.low + equation.length, 513 if name == "Kuramoto-Sivashinsky" else 257)
    points = partial(_without_end, levels, x)
    return Case(
        name,
        statement,
        JAXPI,
        problem,
        {"dense": network},
        points=points,
        reference=partial(reference, name=name),
        floor=lambda: floor(name, points()),
        **others,
    )


def _without_end(levels: int, x: tuple[float, float, int]) -> Points:
    low, high, n = x
    places = low + (high - low) * np.arange(n - 1) / (n - 1)
    t, where = np.meshgrid(np.linspace(0, 1, levels), places, indexing="ij")
    return np.stack([t.ravel(), where.ravel()], 1)


CASES = (
    _case(
        "Allen-Cahn",
        "u_t = 1e-4 u_xx + 5 (u - u^3) on (0, 1) x (-1, 1), u = x^2 cos(pi x) at t = 0, periodic in x",
        allen_cahn,
        dense(24, 24, embedding=near_the_ends()),
        optimizer=pf.GaussNewton(500),
        published=Published(1.2e-5, "PirateNet in PaddleScience"),
        wanted=1e-6,
        seconds=600,
        train=Marched(2e-6, _WINDOWS),
        besides=(smoothed, near_the_ends),
    ),
    _case(
        "Korteweg-de Vries",
        "u_t + u u_x + 0.022^2 u_xxx = 0 on (0, 1) x (-1, 1), u = cos(pi x) at t = 0, periodic in x",
        kdv,
        dense(24, 24, embedding=pf.Embedding.periodic(x=2.0, harmonics=4)),
        optimizer=pf.GaussNewton(150),
        published=Published(4.3e-4, "PirateNets"),
        wanted=1e-5,
        seconds=600,
        train=Marched(3e-5),
    ),
    _case(
        "Kuramoto-Sivashinsky",
        "u_t + 100/16 u u_x + 100/16^2 u_xx + 100/16^4 u_xxxx = 0 on (0, 1) x (0, 2 pi), u = cos x (1 + sin x) at "
        "t = 0, periodic in x",
        kuramoto_sivashinsky,
        dense(48, embedding=pf.Embedding.periodic(x=2 * math.pi, harmonics=8)),
        optimizer=pf.GaussNewton(500),
        published=Published(1.6e-1, "jaxpi"),
        wanted=1e-2,
        seconds=1800,
        train=Marched(1e-5, 100),
    ),
)
