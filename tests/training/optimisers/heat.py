"""Heat in a rod, from an initial state, as tests of marching train it."""

from __future__ import annotations

from typing import Any

import numpy as np

from psinn_fast import (
    PDE,
    Box,
    Dirichlet,
    Problem,
    Residual,
)
from psinn_fast.problem.conditions import Condition

box = Box(t=(1, 3), x=(0, 1))


heat = PDE("t x", "u", lambda u: u.t - 0.1 * u.xx)


def sine(t: Any, x: Any) -> Any:
    return np.sin(np.pi * x) * np.exp(-0.1 * np.pi**2 * (t - 1))


INITIAL = Dirichlet(box.face("t", "low", 9), u=sine, name="initial")


WALLS = [Dirichlet(box.face("x", end, 9), u=0.0, name=end) for end in ("low", "high")]


def problem(*more: Condition, pde: PDE = heat, domain: Box = box) -> Problem:
    return Problem("heat", pde, domain, [Residual(box.grid(9)), *more], exact=lambda x: sine(x[:, 0], x[:, 1]))
