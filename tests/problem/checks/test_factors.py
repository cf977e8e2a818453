"""Unknown coefficients whose zero solves an equation for any field are refused, such fields are told; no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import sympy as sp

from psinn_fast import PDE, Box, Condition, Data, Dirichlet, GaussNewton, InputError, Network, Problem, Residual, solve
from psinn_fast.problem.checks.factors import fields_as_factors

BOX = Box(t=(0, 1), x=(0, 1))
INSIDE, WALL = BOX.random(100, seed=0), BOX.boundary(9, "x_low")
READ = np.array(BOX.random(20, seed=1))
START = [[0.0, 0.0]]
Bounds = Mapping[str, tuple[float | None, float | None]]


def problem(
    residual: Callable[..., object], unknown: str, more: Sequence[Condition] = (), bounds: Bounds | None = None
) -> Problem:
    pde = PDE("t x", "u v", residual, unknown=dict.fromkeys(unknown.split(), 1.0))
    given = Data(READ, u=READ[:, 0], v=READ[:, 1])
    return Problem("rod", pde, BOX, [Residual(INSIDE), given, *more], bounds=bounds or {})


def heat(u: sp.Expr, rho: sp.Expr, k: sp.Expr) -> sp.Expr:
    return rho * u.t - k * u.xx


def behind(u: sp.Expr, k: sp.Expr) -> sp.Expr:
    return k * (u.t - 0.3 * u.xx)


BOTH = "rho = k = 0 solves the residual -k.u_xx . rho.u_t of term 'residual' for any u, v; only k/rho can be found; "


@pytest.mark.parametrize(
    ("residual", "unknown", "bounds", "text"),
    [
        (heat, "rho k", {}, BOTH + "divide by one of them, that is, give rho a value, coefficients={'rho': 1}"),
        (heat, "rho k", {"rho": (0, None), "k": (0, None)}, BOTH),
        (heat, "rho k", {"rho": (0.1, 10)}, "a common factor of rho, k cannot be found: .*; only k/rho can be found"),
        (behind, "k", {}, "k = 0 solves the residual .* for any u, v; divide by k, that is, give k a value"),
        (behind, "k", {"k": (0.1, 10)}, "k cannot be found: no solution of the residual .* depends on it; divide by k"),
        (lambda u, a, b: a**2 * u.t - b * u.xx, "a b", {}, "a = b = 0 solves .* for any u, v; divide by one of them"),
        (lambda u, k: sp.sqrt(k) * u.t - k * u.xx, "k", {}, "k = 0 solves"),
        (lambda u, a, b: a * u.t / b - a * u.xx, "a b", {}, "unknown: a = 0 solves"),
        (lambda u, k, D: k * (u.t - D * u.xx), "k D", {}, "unknown: k = 0 solves"),
        (lambda u, k: k * (u.t - sp.exp(u)), "k", {}, "k = 0 solves"),
        (lambda u, v, a, b: [a * u.t - b * v.x, v.t - u.x], "a b", {}, "a = b = 0 solves .*; only b/a can be found"),
        (lambda u, a, b, c: a * u.t - b * u.xx + c * u, "a b c", {}, "only b/a, c/a can be found"),
        (lambda u, v, a, b: [u.t - a * u.xx, b * v.t - b * v.x], "a b", {}, "unknown: b = 0 solves"),
    ],
)
def test_factors_of_whole_equations_are_refused(
    residual: Callable[..., object], unknown: str, bounds: Bounds, text: str
) -> None:
    with pytest.raises(InputError, match=text.replace("coefficients={'rho': 1}", "coefficients=.'rho': 1.$")):
        problem(residual, unknown, bounds=bounds)


def test_factors_of_conditions_are_refused() -> None:
    wall = Residual(WALL, lambda u, c: c * (u.x - 1), name="wall")
    with pytest.raises(InputError, match=r"c = 0 solves the residual .* of term 'wall'"):
        problem(lambda u: u.t - u.xx, "c", [wall])
    at_zero = Residual(START, lambda rho: rho, name="small")
    with pytest.raises(InputError, match="rho = k = 0 solves"):
        problem(heat, "rho k", [at_zero])


@pytest.mark.parametrize(
    ("residual", "unknown"),
    [
        (lambda u, D: u.t - D * u.xx, "D"),
        (lambda u, D, A: u.t - D * u.xx - A, "D A"),
        (lambda u, a, b: u.t - a * b, "a b"),
        (lambda u, x, rho, k: rho * u.t - k * u.xx - sp.sin(x), "rho k"),
        (lambda u, x, k: k * u.xx - sp.exp(-(((x - 0.5) / 0.05) ** 2)), "k"),
        (lambda u, v, a, b: [a * u.t - b * v.x, v.t - b * u.x - a * v, u.x - b * v.t - 1], "a b"),
        (lambda u, v, k: [k * (u.t - u.xx), v.t - k * v.xx], "k"),
        (lambda u, k: u.t - u.xx / k, "k"),
        (lambda u, v, a: [u.t - v.x, a + 0 * u.t], "a"),
    ],
)
def test_equations_with_a_term_free_of_them_are_not(residual: Callable[..., object], unknown: str) -> None:
    assert problem(residual, unknown).pde.unknown


def test_a_condition_that_fixes_one_of_them_is_enough() -> None:
    assert problem(heat, "rho k", [Residual(START, lambda rho: rho - 1, name="known")])
    assert problem(lambda u: u.t - u.xx, "c", [Residual(WALL, lambda u, c: u.x + c * u, name="wall")])


def of_fields(
    residual: Callable[..., object], conditions: Sequence[Condition] = (), unknown: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    pde = PDE("t x", "u v", residual, unknown=unknown)
    return fields_as_factors(Problem("rod", pde, BOX, [Residual(INSIDE), Data(READ, u=READ[:, 1]), *conditions]))


def test_fields_that_multiply_every_equation_are_told() -> None:
    (text,) = of_fields(lambda u, v: v.x * u.x + v * u.xx)
    assert text == "v = 0 solves the equations for any u: a condition has to exclude that solution"
    (text,) = of_fields(lambda u, v, rho: rho * u.t - v.x * u.x - v * u.xx, unknown={"rho": 1.0})
    assert text.startswith("rho = v = 0 solves the equations for any u: ")
    assert of_fields(lambda u, v: v * u.xx, [Dirichlet(WALL, v=0.0)])


@pytest.mark.parametrize(
    "residual",
    [
        lambda u, v: v.x * u.x + v * u.xx + 1,
        lambda u, v: u.t - v.x * u.x - v * u.xx,
        lambda u, v: [v * u.xx, u.t - u.xx],
        lambda u, v: [u.t - u.xx, v.t - v.xx],
        lambda u, v: [u.t - u.xx - v, v.t],
    ],
)
def test_fields_of_other_equations_are_not(residual: Callable[..., object]) -> None:
    assert not of_fields(residual)


def test_fields_that_a_condition_gives_are_not() -> None:
    assert not of_fields(lambda u, v: v * u.xx, [Dirichlet(WALL, v=1.0)])
    assert not fields_as_factors(Problem("one", PDE("t x", "u", lambda u: u.t - u.xx), BOX, [Residual(INSIDE)]))


def test_training_tells_of_such_fields() -> None:
    pde = PDE("t x", "u v", lambda u, v: v.x * u.x + v * u.xx)
    rod = Problem("rod", pde, BOX, [Residual(INSIDE), Data(READ, u=READ[:, 1])])
    solution = solve(rod, Network(layers=[2, 4, 2]), GaussNewton(1))
    assert any(warning.startswith("v = 0 solves the equations for any u") for warning in solution.warnings)
