"""Allen-Cahn, Korteweg-de Vries and Kuramoto-Sivashinsky on periodic intervals, as jaxpi and PirateNets pose them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .spectral import Equation, at_points
from .stored import stored

Points = npt.NDArray[np.float64]


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
    "allen-cahn": Solved(
        Equation(
            -1.0, 2.0, lambda k: 5 - 1e-4 * k**2, lambda u: -5 * u**3, False, lambda x: x**2 * np.cos(math.pi * x)
        ),
        modes=2048, steps=4000, levels=1000, kept=2048,
    ),
    "kdv": Solved(
        Equation(-1.0, 2.0, lambda k: 1j * 0.022**2 * k**3, lambda u: -(u**2) / 2, True, lambda x: np.cos(math.pi * x)),
        modes=1024, steps=20_000, levels=1000, kept=1024,
    ),
    "kuramoto-sivashinsky": Solved(
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
