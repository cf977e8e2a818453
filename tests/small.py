"""Small problems and networks, for tests of what surrounds the numerics."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import torch

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Condition,
    Data,
    Dirichlet,
    GaussNewton,
    Network,
    Problem,
    Recipe,
    Residual,
    SignedPermutation,
    Solution,
    Symmetry,
    Tuning,
)
from psinn_fast.networks.published import laplace_even


def small_laplace(n: int = 11) -> Problem:
    box = Box(x=(-1, 1), y=(-1, 1))
    return Problem(
        "small",
        PDE("x y", "u", lambda u: u.xx + u.yy),
        box,
        [Residual(box.grid(n)), Dirichlet(box.boundary(n), u=lambda x, y: x**3 - 3 * x * y**2)],
        exact=lambda points: (points[:, 0] ** 3 - 3 * points[:, 0] * points[:, 1] ** 2)[:, None],
        symmetries=[Symmetry(SignedPermutation.flip(2, 1), (1,))],
        recipe=Recipe(structure=laplace_even(), layers=(2, 6, 6, 1), width=3, student=(4, 4), lr=3e-3, steps=200),
    )


def network(seed: int = 1) -> MLP:
    return MLP([2, 8, 8, 1], seed=seed, dtype=torch.float64)


def decay(start: float = 0.5, **settings: Any) -> Problem:
    """u' = -k u, k = ln 2, from measurements of u."""
    box = Box(t=(0, 1))
    t = box.grid(21)
    pde = PDE("t", "u", lambda u, k: u.t + k * u, unknown={"k": start})
    return Problem("decay", pde, box, [Residual(t), Data(t, u=lambda t: 2 ** (-t))], **settings)


def line(low: float, high: float, a: float, b: float, name: str = "line") -> Problem:
    """u'' = 0, u = a and b at the ends."""
    box = Box(x=(low, high))
    conditions = [Residual(box.grid(41)), at(low, u=a), at(high, u=b)]
    pde = PDE("x", "u", lambda u: u.xx)
    return Problem(name, pde, box, conditions, exact=lambda p: a + (b - a) * (p - low) / (high - low))


def at(x: float, **targets: float) -> Condition:
    return Dirichlet([[x]], **targets)


def error(solution: Solution) -> float:
    value = solution.metrics["relative_l2"]
    return float(max(v or 0.0 for v in value.values()) if isinstance(value, dict) else value or math.nan)


# Enough for a field on a line.
SMALL = Network(layers=[1, 10, 10, 1]), GaussNewton(80)


def optimizers(name: str, steps: int, warmup: int = 2) -> list[Adam | GaussNewton]:
    """Optimisers by the command line's name, of few steps."""
    kinds = {"adam": Adam, "gauss-newton": GaussNewton}
    *first, last = name.split("+")
    return [*(kinds[kind](warmup) for kind in first), kinds[last](steps)]


def newton(**settings: Any) -> GaussNewton:
    """`GaussNewton`, with what belongs to its `Tuning` by the same names."""
    inner = {field.name: settings.pop(field.name) for field in fields(Tuning) if field.name in settings}
    return GaussNewton(tuning=Tuning(**inner), **settings)
