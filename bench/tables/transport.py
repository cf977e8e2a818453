"""Convection, a reaction, waves and Burgers' equation in one dimension."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import numpy.typing as npt

import psinn_fast as pf
from psinn_fast.problems.burgers import cole_hopf

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
    box = pf.Box(t=(0, 1), x=(-1, 1))
    conditions = [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.face("t", "low", 201), u=lambda t, x: -np.sin(np.pi * x), name="initial"),
        pf.Dirichlet(box.face("x", "low", 101), u=0.0, name="left"),
        pf.Dirichlet(box.face("x", "high", 101), u=0.0, name="right"),
    ]
    pde = pf.PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, {"nu": nu})
    return pf.Problem("burgers", pde, box, conditions, exact=partial(cole_hopf, nu=nu))
