"""Programs of residuals and unknown coefficients in other units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from cases import some_weights
from helpers import CPU_BACKENDS, relative_error

from psinn_fast import MLP, PDE, Box, Problem, Residual
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.language.program import in_units

BOX = Box(x=(-1, 1), y=(-1, 1))
FACTORS, UNITS = (1e-3, 2.0, 50.0), (1e3, 0.25)
each_backend = pytest.mark.parametrize("backend", CPU_BACKENDS)


def terms(*residuals: Callable[..., object]) -> list[Term]:
    """One term of these residuals, in u and unknown a, b."""
    names = ("u", "x", "a", "b")

    def together(u: object, x: object, a: object, b: object) -> list[object]:
        given = dict(zip(names, (u, x, a, b), strict=True))
        return [residual(given["u"], given["x"], given["a"], given["b"]) for residual in residuals]

    pde = PDE("x y", "u", together, unknown={"a": 0.5, "b": -1.0})
    others = Residual(BOX.grid(2), lambda a, b: a - b, name="others")
    return Problem("units", pde, BOX, [Residual(BOX.grid(5)), others]).terms(torch.float64)[:1]


RESIDUALS: Sequence[Callable[..., object]] = (
    lambda u, x, a, b: a * u.xx + u.y * u - x,
    lambda u, x, a, b: u.lap * b**2 + a * x + 1,
    lambda u, x, a, b: u + 0 * a,
)
NET = MLP([2, 6, 5, 1], seed=0, dtype=torch.float64)
C = torch.tensor([0.5, -1.0], dtype=torch.float64)


@each_backend
def test_losses_and_gradients(backend: str) -> None:
    """Those of f r and c = u z are sums of those of each r alone."""
    engine, theta = get_backend(backend), NET.theta.detach()
    (whole,) = terms(*RESIDUALS)
    scaled = replace(whole, program=in_units(whole.program, FACTORS, UNITS))
    z = C / torch.tensor(UNITS, dtype=torch.float64)
    found = engine.loss_and_gradient(NET.plan, theta, z, [scaled], some_weights([scaled]))
    loss, by_theta, by_z = torch.zeros(1), torch.zeros_like(theta), torch.zeros_like(z)
    for factor, residual in zip(FACTORS, RESIDUALS, strict=True):
        own = engine.loss_and_gradient(NET.plan, theta, C, terms(residual), some_weights(terms(residual)))
        loss = loss + factor**2 * own.losses
        by_theta += factor**2 * own.theta
        by_z += factor**2 * own.coefficients * torch.tensor(UNITS)
    assert relative_error(found.losses, loss) < 1e-13
    assert relative_error(found.theta, by_theta) < 1e-13
    assert relative_error(found.coefficients, by_z) < 1e-13


@each_backend
def test_jacobian(backend: str) -> None:
    engine, theta = get_backend(backend), NET.theta.detach()
    (whole,) = terms(*RESIDUALS)
    scaled = replace(whole, program=in_units(whole.program, FACTORS, UNITS))
    r, jacobian = engine.residual_jacobian(NET.plan, theta, C, whole)
    z = C / torch.tensor(UNITS, dtype=torch.float64)
    r_found, jacobian_found = engine.residual_jacobian(NET.plan, theta, z, scaled)
    factors = torch.tensor(FACTORS, dtype=torch.float64)
    by_column = torch.cat([torch.ones_like(theta), torch.tensor(UNITS, dtype=torch.float64)])
    torch.testing.assert_close(r_found, r * factors, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(jacobian_found, jacobian * factors[:, None] * by_column, rtol=1e-12, atol=1e-12)


def test_units_of_one_change_no_coefficient() -> None:
    (whole,) = terms(*RESIDUALS)
    assert in_units(whole.program, FACTORS) == in_units(whole.program, FACTORS, (1.0, 1.0))
    plain, scaled = whole.program, in_units(whole.program, FACTORS, (1.0, 4.0))
    assert scaled.inputs == plain.inputs
    assert len(scaled.instructions) > len(in_units(plain, FACTORS).instructions)
