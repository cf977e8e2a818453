"""psinn_fast, by Adam and by its default, Gauss-Newton."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy

import psinn_fast as pf

from .posed import Given

LIBRARY = "psinn_fast"


def laplace(u: Any) -> Any:
    return u.lap


def poisson(u: Any, x: Any, y: Any) -> Any:
    modes = [(k, sympy.sin(k * sympy.pi * x) * sympy.sin(k * sympy.pi * y)) for k in range(1, 5)]
    return u.lap - sum((-1) ** (k + 1) * k**2 * mode / 2 for k, mode in modes)


def burgers(u: Any) -> Any:
    return u.t + u * u.x - 0.01 / np.pi * u.xx


def helmholtz(u: Any, x: Any, y: Any) -> Any:
    k = 2 * sympy.pi
    return u.lap + k**2 * (u + sympy.sin(k * x) * sympy.sin(k * y))


EQUATIONS = {"laplace": laplace, "poisson": poisson, "burgers": burgers, "helmholtz": helmholtz}


def solve(given: Given, equation: Any) -> Any:
    pde = pf.PDE(" ".join(given.posed.coordinates), "u", equation)
    box = pf.Box(**dict(zip(given.posed.coordinates, given.posed.box, strict=True)))
    conditions = [pf.Residual(given.points), pf.Dirichlet(given.edge, u=given.values[:, 0], name="edge")]
    problem = pf.Problem(given.posed.name, pde, box, conditions)
    optimizer = pf.Adam(given.steps, lr=1e-3) if given.optimiser == "adam" else "auto"
    network = pf.Network(layers=given.posed.layers)
    return pf.solve(problem, network, optimizer, options=pf.Options(callbacks=recorded(given)))


def recorded(given: Given) -> Any:
    return lambda progress: given.record(progress.step, progress.net.predict, always=True)
