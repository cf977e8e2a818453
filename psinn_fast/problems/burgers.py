"""Viscous Burgers: u_t + u u_x = nu u_xx on [0, 1] x [-1, 1], u(0, x) = -sin(pi x), u(t, +-1) = 0; odd in x."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..domains import Box
from ..kernels import checks
from ..networks.groups import SignedPermutation, Symmetry
from ..networks.published import burgers_odd
from ..problem.conditions import Data, Dirichlet, Residual
from ..problem.pde import PDE
from ..problem.problem import Problem
from ..problem.recipe import Paper, Recipe

Points = npt.NDArray[np.float64]

_ODD = Symmetry(SignedPermutation.flip(2, 1), (-1,))
# What the paper finds of the viscosity, as pi nu, by the true pi nu; one number of its table cannot be read.
_PAPER = {
    0.01: {"PINN": 0.02820, "PINN-post": 0.01898, "Psi-NN": 0.01465},
    0.04: {"PINN": 0.06625, "PINN-post": 0.04960, "Psi-NN": 0.04084},
    0.08: {"PINN": 0.09705, "Psi-NN": 0.06673},
}
# The trapezoid rule's step in s; halving it changes nothing between nu = 0.001 and 10.
_STEP = 0.05
_CHUNK = 2048


def cole_hopf(points: Points, nu: float) -> Points:
    """Exact solution by the Cole-Hopf transform, (N, 2) points (t, x) -> (N, 1), float64.

    u = -Int sin(pi (x - eta)) f(x - eta) G d eta / Int f(x - eta) G d eta with f(y) = exp(-cos(pi y) / (2 pi nu)) and
    G = exp(-eta^2 / (4 nu t)), by the trapezoid rule in s = eta / sqrt(4 nu t) (Cole 1951, Hopf 1950). For smooth
    integrands that decay this fast it converges exponentially, and unlike Gauss-Hermite also for large nu.
    """
    nu = _viscosity(nu)
    # f varies by exp(1 / (pi nu)), so the mass may lie as far out as s^2 = 1 / (pi nu); exp(-64) is below rounding.
    reach = 8 + math.sqrt(1 / (math.pi * nu))
    s = _STEP * np.arange(-math.ceil(reach / _STEP), math.ceil(reach / _STEP) + 1)
    u = np.empty((len(points), 1))
    for start in range(0, len(points), _CHUNK):
        t, x = points[start : start + _CHUNK, :1], points[start : start + _CHUNK, 1:]
        y = x - np.sqrt(4 * nu * np.maximum(t, 0.0)) * s
        exponent = -np.cos(math.pi * y) / (2 * math.pi * nu) - s**2
        # The largest exponent cancels between numerator and denominator; e^50 would still fit, e^5000 would not.
        kernel = np.exp(exponent - exponent.max(1, keepdims=True))
        u[start : start + _CHUNK, 0] = -(np.sin(math.pi * y) * kernel).sum(1) / kernel.sum(1)
    return u


def _equation(u: Any, nu: Any) -> Any:
    return u.t + u * u.x - nu * u.xx


def _initial(t: Points, x: Points) -> Points:
    return -np.sin(math.pi * x)


def burgers(nu: float = 0.01 / math.pi) -> Problem:
    """Forward problem: nu known, initial and boundary conditions given."""
    nu = _viscosity(nu)
    box = Box(t=(0, 1), x=(-1, 1))
    return Problem(
        name="burgers",
        pde=PDE("t x", "u", _equation, coefficients={"nu": nu}),
        domain=box,
        conditions=[
            Residual(box.grid(101)),
            Dirichlet(box.face("t", "low", 101), u=_initial, name="initial"),
            Dirichlet(box.face("x", "low", 101), u=0.0, name="x_low"),
            Dirichlet(box.face("x", "high", 101), u=0.0, name="x_high"),
        ],
        exact=partial(cole_hopf, nu=nu),
        symmetries=[_ODD],
        recipe=Recipe(
            structure=burgers_odd(), layers=(2, 10, 10, 20, 1), width=10, student=(10, 10, 10), lr=1e-3, steps=30_000
        ),
    )


def burgers_inverse(nu: float = 0.01 / math.pi) -> Problem:
    """Inverse problem of the paper: nu is unknown and starts at 0; 10 data points at t = 0.25 and 10 at t = 0.75.

    The loss is the data's mean square plus the residual's; there is no boundary and no initial condition. The paper
    does not say where the points lie; here they are evenly spaced over [-1, 1], ends included. ``nu``: true value.
    """
    nu = _viscosity(nu)
    box = Box(t=(0, 1), x=(-1, 1))
    x = np.linspace(-1, 1, 10)
    sensors = np.concatenate([np.stack([np.full_like(x, t), x], 1) for t in (0.25, 0.75)])
    return Problem(
        name="burgers-inverse",
        pde=PDE("t x", "u", _equation, unknown={"nu": 0.0}),
        domain=box,
        conditions=[Residual(box.grid(101)), Data(sensors, u=cole_hopf(sensors, nu)[:, 0])],
        exact=partial(cole_hopf, nu=nu),
        true_coefficients={"nu": nu},
        guess={"nu": 0.1},
        symmetries=[_ODD],
        recipe=Recipe(
            structure=burgers_odd(),
            layers=(2, 10, 10, 20, 1),
            width=10,
            student=(10, 10, 10),
            lr=1e-3,
            steps=30_000,
            paper=Paper(lr=1e-4, steps=100_000, coefficients=_found_by_the_paper(nu)),
        ),
    )


def _found_by_the_paper(nu: float) -> dict[str, dict[str, float]]:
    """Of one of its three viscosities."""
    for true, found in _PAPER.items():
        if math.isclose(math.pi * nu, true, rel_tol=1e-9):
            return {"nu": {method: value / math.pi for method, value in found.items()}}
    return {}


def _viscosity(nu: object) -> float:
    return checks.number("nu: viscosity", nu, above=0)
