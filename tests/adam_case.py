"""What tests of Adam train: a tied network, an equation with an unknown coefficient, and a condition."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from helpers import random_theta
from torch import Tensor

from psinn_fast.domains import Box
from psinn_fast.kernels.contract import AdamState, Term
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.published import burgers_odd
from psinn_fast.problem.conditions import Dirichlet, Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

STRUCTURE = burgers_odd().with_width(2)
PLAN = lower(STRUCTURE.layers)
BOX = Box(t=(0, 1), x=(-1, 1))
PDE_ = PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, unknown={"nu": 0.1})
CONDITIONS = [Residual(BOX.grid(6)), Dirichlet(BOX.face("t", "low", 9), u=lambda t, x: -x)]


def terms(dtype: torch.dtype = torch.float64) -> list[Term]:
    return Problem("p", PDE_, BOX, CONDITIONS).terms(dtype)


def state(dtype: torch.dtype = torch.float64, lr: float = 1e-2, milestones: tuple[int, ...] = ()) -> AdamState:
    theta = random_theta(STRUCTURE, 0, dtype)
    return AdamState(theta, torch.tensor([0.1], dtype=dtype), lr, milestones)


NAMES = ("theta", "coefficients", "first_moment", "second_moment")


def tensors(s: AdamState) -> Sequence[Tensor]:
    return [getattr(s, name).clone() for name in NAMES]


def poisoned(index: int) -> list[Term]:
    """Terms of which one has a NaN among its points (0) or its targets (1)."""
    bad = terms()
    term = bad[index]
    where = term.points if index == 0 else term.columns
    where.view(-1)[3] = torch.nan
    return bad


def spoil(what: str, value: float, own: AdamState, own_terms: list[Term], weights: Tensor) -> None:
    match what:
        case "points":
            own_terms[0].points[0, -1, 0] = value
        case "columns":
            own_terms[1].columns[2, 0] = value
        case "theta":
            own.theta[4] = value
        case "coefficients":
            own.coefficients[0] = value
        case "weight":
            weights[1] = value
        case "moment":
            own.second_moment[3] = value
