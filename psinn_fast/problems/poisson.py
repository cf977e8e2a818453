"""Poisson: u_xx + u_yy = f on [0, 1]^2, u = 0 on the boundary, four sine modes; symmetric under x <-> y."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from ..domains import Box
from ..networks.groups import SignedPermutation, Symmetry
from ..networks.published import poisson_swap
from ..problem.conditions import Dirichlet, Residual
from ..problem.pde import PDE
from ..problem.problem import Problem
from ..problem.recipe import Paper, Recipe

_MODES = range(1, 5)


def _source(x: sp.Symbol, y: sp.Symbol) -> sp.Expr:
    """f = sum_k (1/2) (-1)^(k+1) k^2 sin(k pi x) sin(k pi y)."""
    return sum(sp.Rational((-1) ** (k + 1) * k * k, 2) * sp.sin(k * sp.pi * x) * sp.sin(k * sp.pi * y) for k in _MODES)


def _equation(u: Any, x: sp.Symbol, y: sp.Symbol) -> Any:
    return u.xx + u.yy - _source(x, y)


def _exact(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """u* = -(1 / (4 pi^2)) sum_k (-1)^(k+1) sin(k pi x) sin(k pi y)."""
    x, y = points.T
    modes = sum((-1) ** (k + 1) * np.sin(k * math.pi * x) * np.sin(k * math.pi * y) for k in _MODES)
    return np.asarray(-modes / (4 * math.pi**2))[:, None]


def poisson() -> Problem:
    """Settings of the paper: 101 x 101 grid, 1,000 points per edge, layers 2-40-20-20-1, lr 1e-3, 30,000 steps."""
    box = Box(x=(0, 1), y=(0, 1))
    edges = [
        Dirichlet(box.face(coord, end, 1000), u=0.0, name=f"{coord}_{end}")
        for coord in box.coords
        for end in ("low", "high")
    ]
    return Problem(
        name="poisson",
        pde=PDE("x y", "u", _equation),
        domain=box,
        conditions=[Residual(box.grid(101)), *edges],
        exact=_exact,
        symmetries=[Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))],
        recipe=Recipe(
            structure=poisson_swap(),
            layers=(2, 40, 20, 20, 1),
            width=20,
            student=(16, 10, 10),
            lr=1e-3,
            steps=30_000,
            paper=Paper(lr=1e-3, steps=30_000, errors={"PINN": 2.633e-2, "PINN-post": 2.563e-2, "Psi-NN": 2.464e-2}),
        ),
    )
