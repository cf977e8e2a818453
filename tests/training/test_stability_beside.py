"""Errors that residuals allow beside a trained network: what it is too small to reach is a solution, too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

from psinn_fast import (
    PDE,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    Network,
    Problem,
    Residual,
    SignedPermutation,
    Symmetry,
    solve,
    structure_from_group,
)

pytestmark = pytest.mark.verdict

line = Box(x=(0, 1))
RESONANCE = PDE("x", "u", lambda u: u.xx + sp.pi**2 * (u - 1))


PLATE = Box(x=(0, 1), y=(0, 1))


def resonance() -> Problem:
    """Solved by 1 + C sin(pi x) with any C."""
    return Problem("resonance", RESONANCE, line, [Residual(line.grid(101)), Dirichlet([[0.0], [1.0]], u=1.0)])


def transport() -> Problem:
    """Without an inflow: solved by f(x - t) with any f below 0."""
    start = Dirichlet(PLATE.face("x", "low", 31), u=lambda x, y: np.sin(np.pi * y))
    pde = PDE("x y", "u", lambda u: u.x + u.y)
    return Problem("transport", pde, PLATE, [Residual(PLATE.grid(31)), start])


def three_walls() -> Problem:
    walls = [Dirichlet(PLATE.face("x", "low", 31), u=0.0), Dirichlet(PLATE.face("y", "low", 31), u=0.0)]
    top = Dirichlet(PLATE.face("x", "high", 31), u=lambda x, y: np.sin(np.pi * y))
    return Problem("Laplace", PDE("x y", "u", lambda u: u.lap), PLATE, [Residual(PLATE.grid(31)), *walls, top])


@pytest.mark.trajectory
@pytest.mark.parametrize(
    ("make", "layers"), [(resonance, [1, 8, 8, 1]), (transport, [2, 6, 1]), (three_walls, [2, 6, 1])]
)
def test_what_a_small_network_cannot_reach_is_a_solution_too(make: Callable[[], Problem], layers: list[int]) -> None:
    for seed in range(2):
        solution = solve(make(), Network(layers=layers), GaussNewton(150, seed=seed), seed=seed)
        assert any("its residuals " in warning for warning in solution.warnings), solution.status
        assert solution.possible_errors["u"] > 0.1


@pytest.mark.trajectory
def test_beside_the_network_nothing_else_is_free_where_a_solution_is_unique() -> None:
    problem = Problem(
        "near resonance", PDE("x", "u", lambda u: u.xx + 9.0 * (u - 1)), line,
        [Residual(line.grid(101)), Dirichlet([[0.0], [1.0]], u=1.0)],
    )  # fmt: skip
    solution = solve(problem, Network(layers=[1, 8, 8, 1]), GaussNewton(150))
    assert not solution.warnings
    assert solution.possible_errors["u"] < 1e-4


@pytest.mark.trajectory
def test_symmetric_networks_leave_out_what_they_cannot_be() -> None:
    """u' = given at both ends leaves a constant free, which an odd network has not."""
    odd = structure_from_group([Symmetry(SignedPermutation.flip(1, 0), (-1,))], [4, 4])
    box = Box(x=(-1, 1))
    ends = [Residual([[x]], lambda u: u.x - 1, name=f"end {x}") for x in (-1.0, 1.0)]
    problem = Problem("rod", PDE("x", "u", lambda u: u.xx), box, [Residual(box.grid(50)), *ends])
    free = solve(problem, Network(layers=[1, 6, 1]), GaussNewton(50))
    assert any("do not determine u" in warning for warning in free.warnings)
    unique = solve(problem, Network("psi", structure=odd), GaussNewton(50))
    assert not unique.warnings


@pytest.mark.trajectory
def test_networks_without_hidden_layers_and_systems_have_networks_beside_them() -> None:
    conditions = [Residual(line.grid(9)), Dirichlet([[0.0]], u=0.0)]
    straight = Problem("line", PDE("x", "u", lambda u: u.x - 1), line, conditions)
    linear = solve(straight, Network(layers=[1, 1]), GaussNewton(20))
    assert linear.possible_errors["u"] < 1e-6
    pde = PDE("x", "u v", lambda u, v, a: [u.x - v, v.x + a * u], unknown={"a": 2.0})
    x = np.linspace(0, 1, 9)[:, None]
    given = [
        Data(x, u=np.sin(x[:, 0]), v=np.cos(x[:, 0])),
        Residual([[0.0]], lambda a: a - 1, weight=0.1, name="guess"),
    ]
    pair = solve(
        Problem("oscillator", pde, line, [Residual(line.grid(40)), *given]), Network(layers=[1, 6, 2]), GaussNewton(50)
    )
    assert pair.possible_errors.keys() == {"u", "v", "a"}
    assert max(pair.possible_errors.values()) < 1e-4
    assert not pair.warnings
