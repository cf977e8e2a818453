"""Problems that u = 0 solves say so; problems that it does not solve, by however little, do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from small import optimizers

import psinn_fast as pf
from psinn_fast.problem.checks.trivial_solution import trivial_solution

LINE, SQUARE = pf.Box(x=(0, 1)), pf.Box(x=(0, 1), y=(0, 1))


def problem(residual: Callable[..., Any], value: Any = 0.0, box: pf.Box = LINE, **unknown: float) -> pf.Problem:
    pde = pf.PDE(box.coords, "u", residual, unknown=unknown)
    return pf.Problem("p", pde, box, [pf.Residual(box.grid(11)), pf.Dirichlet(box.boundary(11), u=value)])


TRIVIAL = {
    "resonance": problem(lambda u: u.xx + sp.pi**2 * u),
    "eigenvalue": problem(lambda u, lam: u.xx + lam * u, lam=8.0),
    "bifurcation": problem(lambda u: u.xx + 20 * sp.sin(u)),
    "cavity": problem(lambda u: u.lap + 2 * sp.pi**2 * u, lambda x, y: np.sin(np.pi * x) * np.sin(np.pi * y), SQUARE),
}  # fmt: skip
OTHERS = {
    "source": problem(lambda u: u.xx + u + 1),
    "value": problem(lambda u: u.xx + u, 1e-6),
    "at one end": problem(lambda u: u.xx + u, lambda x: x),
    "constant solution": problem(lambda u: u.xx + sp.pi**2 * (u - 1), 1.0),
    "source of the unknown": problem(lambda u, lam: u.xx + lam, lam=8.0),
}


@pytest.mark.parametrize("name", TRIVIAL)
def test_u_0_solves_it(name: str) -> None:
    (text,) = trivial_solution(TRIVIAL[name])
    assert text.startswith("u = 0 solves all of it")


@pytest.mark.parametrize("name", OTHERS)
def test_u_0_does_not_solve_it(name: str) -> None:
    assert trivial_solution(OTHERS[name]) == ()


def test_a_field_of_two_may_be_zero() -> None:
    pde = pf.PDE("x", "u v", lambda u, v: [u.xx - v, v.xx])

    def pair(u: float) -> pf.Problem:
        ends = pf.Dirichlet(LINE.boundary(1), u=u, v=0.0)
        return pf.Problem("pair", pde, LINE, [pf.Residual(LINE.grid(11)), ends])

    assert trivial_solution(pair(1.0)) == ()
    assert trivial_solution(pair(0.0))[0].startswith("u = v = 0 solves all of it")


@pytest.mark.parametrize("optimizer", ["adam", "gauss-newton"])
def test_results_warn(optimizer: str) -> None:
    solution = pf.solve(TRIVIAL["eigenvalue"], pf.Network(layers=[1, 6, 1]), optimizers(optimizer, 20))
    assert any("u = 0 solves all of it" in warning for warning in solution.warnings)
    # A condition that excludes it.
    pde = pf.PDE("x", "u", lambda u, lam: u.xx + lam * u, unknown={"lam": 8.0})
    conditions = [*TRIVIAL["eigenvalue"].conditions, pf.Dirichlet([[0.5]], u=1.0, name="size")]
    unique = pf.solve(pf.Problem("p", pde, LINE, conditions), pf.Network(layers=[1, 6, 1]), optimizers(optimizer, 20))
    assert not any("solves all of it" in warning for warning in unique.warnings)
