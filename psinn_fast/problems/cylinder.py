"""Steady flow around a cylinder: Navier-Stokes on [0, 1.1] x [-0.2, 0.2] without a disk; u and p even, v odd in y."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from ..domains import Box, Disk, Domain
from ..flow_reference import PAPER, reference_flow
from ..kernels import checks
from ..kernels.errors import InputError
from ..networks.groups import SignedPermutation, Symmetry
from ..networks.published import flow_branches
from ..problem.conditions import Condition, Dirichlet, Residual
from ..problem.pde import PDE
from ..problem.problem import Problem
from ..problem.recipe import Paper, Recipe
from .flow_quantities import flow_quantities

Points = npt.NDArray[np.float64]

# A grid of about as many points as the paper's mesh has nodes, 20,486; points of each part.
_GRID = (241, 85)
_ON_PARTS = {"inlet": 101, "cylinder": 256, "walls": 402, "outlet": 101}
_WEIGHT = 2.0


def _channel() -> Domain:
    box = Box(x=(0, PAPER.length), y=(-PAPER.below, PAPER.above))
    names = {"x_low": "inlet", "x_high": "outlet", "y_low": "walls", "y_high": "walls", "rim": "cylinder"}
    return (box - Disk((PAPER.centre, 0.0), PAPER.radius)).renamed(names)


def _equations(u: Any, v: Any, p: Any, mu: sp.Symbol) -> dict[str, Any]:
    return {
        "momentum_x": u * u.x + v * u.y + p.x - mu * u.lap,
        "momentum_y": u * v.x + v * v.y + p.y - mu * v.lap,
        "continuity": u.x + v.y,
    }


def _inflow(x: Points, y: Points) -> Points:
    return PAPER.inflow(y)


def _pressure(x: Points, y: Points) -> Points:
    return reference_flow()(np.stack([x, y], 1))[:, 2]


def _exact(points: Points) -> Points:
    return reference_flow()(points)


def cylinder(pressure: float = 1, developed: float = 0, nodes: float = 0) -> Problem:
    """The paper's: rho = 1, mu = 0.02, layers 2-40-40-40-3, lr 1e-3 with drops; loss = three residual MSEs + 2 *
    (inlet u, v + cylinder u, v + cylinder p, from the reference + walls u, v + outlet p). See docs/cylinder.md.

    ``exact`` is the reference flow, computed by finite elements. Settings are 1 (yes) or 0 (no):

    Args:
        pressure: the cylinder's pressure is given, from the reference, as in the paper.
        developed: v = 0 at the outlet too, which with p = 0 is what the reference has there. The paper gives p alone,
            one condition where the equations need two.
        nodes: points are the reference's 20,328 nodes, dense at the cylinder, as the paper's are those of its mesh;
            else 20,125 of an even grid, which stand for the domain.

    Raises:
        InputError: a setting that is neither 1 nor 0.
    """
    given, is_developed, from_mesh = (
        _switch(name, value) for name, value in (("pressure", pressure), ("developed", developed), ("nodes", nodes))
    )
    domain = _channel()
    points: dict[str, npt.ArrayLike] = {part: domain.boundary(n, part) for part, n in _ON_PARTS.items()}
    inside: npt.ArrayLike = domain.grid(_GRID)
    if from_mesh:
        flow = reference_flow()
        points = {part: flow.on(part) for part in _ON_PARTS}
        inside = flow.nodes
    conditions: list[Condition] = [
        Residual(inside),
        Dirichlet(points["inlet"], u=_inflow, v=0.0, weight=_WEIGHT, name="inlet"),
        Dirichlet(points["cylinder"], u=0.0, v=0.0, weight=_WEIGHT, name="cylinder"),
        Dirichlet(points["walls"], u=0.0, v=0.0, weight=_WEIGHT, name="walls"),
        Dirichlet(points["outlet"], p=0.0, weight=_WEIGHT, name="outlet"),
    ]
    if given:
        conditions.append(Dirichlet(points["cylinder"], p=_pressure, weight=_WEIGHT, name="pressure"))
    if is_developed:
        conditions.append(Dirichlet(points["outlet"], v=0.0, weight=_WEIGHT, name="developed"))
    return Problem(
        name="cylinder",
        pde=PDE("x y", "u v p", _equations, coefficients={"mu": PAPER.mu}),
        domain=domain,
        conditions=conditions,
        exact=_exact,
        symmetries=[Symmetry(SignedPermutation.flip(2, 1), (1, -1, 1))],
        recipe=Recipe(
            structure=flow_branches(),
            layers=(2, 40, 40, 40, 3),
            width=20,
            student=(12, 12, 12),
            lr=1e-3,
            steps=20_000,
            paper=Paper(
                lr=1e-3,
                steps=200_000,
                milestones=(50_000, 150_000),
                errors={"PINN": {"p": 1.5e-3}, "Psi-NN": {"p": 7.838e-4, "u": 1.854e-4, "v": 1.765e-5}},
            ),
            quantities=flow_quantities(),
        ),
    )


def _switch(name: str, value: object) -> bool:
    number = checks.number(name, value) if not isinstance(value, (bool, np.bool_)) else float(value)
    if number not in (0, 1):
        raise InputError(f"{name}: expected 1 (yes) or 0 (no), got {value}")
    return bool(number)
