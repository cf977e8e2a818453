"""A problem whose parts can be replaced one by one, and what a checkpoint knows of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import sympy

from psinn_fast import (
    MLP,
    PDE,
    Box,
    Data,
    Dirichlet,
    Problem,
    Residual,
)
from psinn_fast.training.identity import run_identity

BOX = Box(t=(0, 1), x=(-1, 1))


GIVEN: dict[str, Any] = {
    "points": np.array(BOX.grid(5)), "weight": 1.0, "source": lambda t, x: sympy.exp(-t) * sympy.sin(3 * x), "a": 0.1,
    "walls": np.linspace(0, 1, 5), "start": 0.5, "box": BOX, "where": np.array(BOX.face("x", "low", 5)),
}  # fmt: skip


def problem(**changes: Any) -> Problem:
    """Heat with a source, one wall and measurements; parts replaced as asked, the name always the same."""
    given = {**GIVEN, **changes}
    pde = PDE(
        "t x", "u", lambda u, t, x, a, k: u.t - a * u.xx - k * given["source"](t, x),
        coefficients={"a": given["a"]}, unknown={"k": given["start"]},
    )  # fmt: skip
    return Problem(
        "heat", pde, given["box"],
        [
            Residual(given["points"], weight=given["weight"]),
            Dirichlet(given["where"], u=given["walls"], name="walls"),
            Data(np.array([[0.5, 0.5]]), u=1.0),
        ],
    )  # fmt: skip


def identity(problem: Problem, net: MLP | None = None, **options: Any) -> dict[str, Any]:
    return json.loads(json.dumps(run_identity(problem, net or MLP([2, 3, 1]), options)))
