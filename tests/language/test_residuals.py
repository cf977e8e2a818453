"""Residuals mean what they say: every way to write one, through the traced program, against nested autograd."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import random_points, relative_error
from torch import Tensor
from truth import Truth, check, residuals

import psinn_fast as pf

x, y = sp.symbols("x y")
real_x, other_x = sp.Symbol("x", real=True), sp.Symbol("x", finite=True)
k = 1 + x**2


CHAINED: dict[str, tuple[Callable[[Any], Any], Callable[[Truth], Any]]] = {
    "x.x": (lambda u: u.x.x, lambda d: d("u", "xx")),
    "x.y": (lambda u: u.x.y, lambda d: d("u", "xy")),
    "y.x": (lambda u: u.y.x, lambda d: d("u", "xy")),
    "x.x.y.y": (lambda u: u.x.x.y.y, lambda d: d("u", "xxyy")),
    "xx.yy": (lambda u: u.xx.yy, lambda d: d("u", "xxyy")),
    "xxx.y": (lambda u: u.xxx.y, lambda d: d("u", "xxxy")),
    "lap": (lambda u: u.lap, lambda d: d.lap("u", "xy")),
    "lap.x": (lambda u: u.lap.x, lambda d: d.lap("u", "xy", "x")),
    "x.lap": (lambda u: u.x.lap, lambda d: d.lap("u", "xy", "x")),
    "lap.xy": (lambda u: u.lap.xy, lambda d: d.lap("u", "xy", "xy")),
    "lap.x.y": (lambda u: u.lap.x.y, lambda d: d.lap("u", "xy", "xy")),
    "lap.lap": (lambda u: u.lap.lap, lambda d: d("u", "xxxx") + 2 * d("u", "xxyy") + d("u", "yyyy")),
    "lapx.lapy": (lambda u: u.lapx.lapy, lambda d: d("u", "xxyy")),
    "lap.lapx": (lambda u: u.lap.lapx, lambda d: d("u", "xxxx") + d("u", "xxyy")),
    "with others": (
        lambda u: u.lap.lap + u * u.lap - u.lap.x**2,
        lambda d: (
            d("u", "xxxx")
            + 2 * d("u", "xxyy")
            + d("u", "yyyy")
            + d("u") * d.lap("u", "xy")
            - d.lap("u", "xy", "x") ** 2
        ),
    ),
}


@pytest.mark.parametrize("name", CHAINED)
def test_chained_attributes(name: str) -> None:
    check("x y", "u", *CHAINED[name])


def test_a_chain_of_one_coordinate() -> None:
    """u'' = f written u.x.x; the last attribute once replaced the others."""
    check("x", "u", lambda u, x: u.x.x - sp.sin(x), lambda d: d("u", "xx") - d.x.sin())
    check("x", "u", lambda u: [u.lap, u.lap.lap], lambda d: [d("u", "xx"), d("u", "xxxx")])


SYMPY: dict[str, tuple[Callable[..., Any], Callable[[Truth], Any]]] = {
    "method": (lambda u, x: u.diff(x), lambda d: d("u", "x")),
    "method, twice": (lambda u, x, y: u.diff(x, 2) + u.diff(x).diff(y), lambda d: d("u", "xx") + d("u", "xy")),
    "of a derivative": (lambda u, x, y: u.x.diff(x) * u.lap.diff(y), lambda d: d("u", "xx") * d.lap("u", "xy", "y")),
    "of several": (lambda u, x, y: sp.diff(u * x, x, 2, y), lambda d: 2 * d("u", "xy") + d.x * d("u", "xxy")),
    "order 4": (lambda u, x, y: u.diff(x, y, x, y), lambda d: d("u", "xxyy")),
    "square": (lambda u, x: sp.diff(u**2, x), lambda d: 2 * d("u") * d("u", "x")),
    "function": (
        lambda u, x: sp.diff(sp.sin(u) * x, x),
        lambda d: d("u").sin() + d.x * d("u").cos() * d("u", "x"),
    ),
    "nested functions": (
        lambda u, x, y: sp.diff(sp.exp(-(u.y**2) * x), x),
        lambda d: torch.exp(-(d("u", "y") ** 2) * d.x) * (-(d("u", "y") ** 2) - 2 * d.x * d("u", "y") * d("u", "xy")),
    ),
    "conservation": (
        lambda u, x, y: sp.diff((1 + x * y) * u.x, x) + sp.diff((1 + x * y) * u.y, y),
        lambda d: (1 + d.x * d.y) * d.lap("u", "xy") + d.y * d("u", "x") + d.x * d("u", "y"),
    ),
    "porous medium": (
        lambda u, x: sp.diff(u**3, x, 2),
        lambda d: 6 * d("u") * d("u", "x") ** 2 + 3 * d("u") ** 2 * d("u", "xx"),
    ),
    "quotient": (
        lambda u, x: sp.diff(u.x / (2 + sp.cos(u)), x),
        lambda d: d("u", "xx") / (2 + d("u").cos()) + d("u", "x") ** 2 * d("u").sin() / (2 + d("u").cos()) ** 2,
    ),
    "unevaluated": (lambda u, x: sp.Derivative(u, x) - x, lambda d: d("u", "x") - d.x),
    "unevaluated, nested": (
        lambda u, x: sp.Derivative(x**2 * sp.Derivative(u, x), x),
        lambda d: 2 * d.x * d("u", "x") + d.x**2 * d("u", "xx"),
    ),
    "unevaluated, in a function": (
        lambda u, x: sp.diff(sp.sin(x + sp.Derivative(u, x)), x),
        lambda d: (1 + d("u", "xx")) * (d.x + d("u", "x")).cos(),
    ),
    "of the coordinates": (lambda u, x, y: u - sp.diff(x**2 * y, x), lambda d: d("u") - 2 * d.x * d.y),
    "by a field": (lambda u, x: sp.diff(u**3 * x + u.x, u), lambda d: 3 * d("u") ** 2 * d.x),
    "by a derivative": (lambda u: sp.diff(u * u.x**3, u.x), lambda d: 3 * d("u") * d("u", "x") ** 2),
    "cube of an absolute value, twice": (
        lambda u, x: sp.diff(abs(u - 0.3) ** 3, x, 2) - 1,
        lambda d: (
            3 * (d("u") - 0.3) * (d("u") - 0.3).abs() * d("u", "xx") + 6 * (d("u") - 0.3).abs() * d("u", "x") ** 2 - 1
        ),
    ),
    "square of a positive part, twice": (
        lambda u, x: sp.diff(sp.Max(x - 0.1, 0) ** 2 * u, x, 2),
        lambda d: (
            (d.x - 0.1).relu() ** 2 * d("u", "xx") + 4 * (d.x - 0.1).relu() * d("u", "x") + 2 * (d.x > 0.1) * d("u")
        ),
    ),
    "absolute value": (lambda u, x: sp.Abs(u - 3).diff(x) + abs(u.x), lambda d: d("u", "x").abs() - d("u", "x")),
    "Max": (lambda u, x: sp.Max(u, -9).diff(x), lambda d: d("u", "x")),
    "matrix": (
        lambda u, x, y: sp.Matrix([u * u.x, u.y]).diff(x),
        lambda d: [d("u", "x") ** 2 + d("u") * d("u", "xx"), d("u", "xy")],
    ),
    "jacobian": (
        lambda u, x, y: sp.Matrix([u**2]).jacobian([x, y]),
        lambda d: [2 * d("u") * d("u", "x"), 2 * d("u") * d("u", "y")],
    ),
    "simplified": (
        lambda u, x: sp.simplify(sp.sin(u.x) ** 2 + sp.cos(u.x) ** 2 + u.x * x + u),
        lambda d: 1 + d("u", "x") * d.x + d("u"),
    ),
    "solved": (lambda u, x: sp.solve(sp.Eq(u.x * (2 + x) + u, 3), u.x)[0], lambda d: (3 - d("u")) / (2 + d.x)),
    "expanded": (lambda u, x: sp.expand((u.x + x) ** 2), lambda d: (d("u", "x") + d.x) ** 2),
    "sum over a field": (
        lambda u, x: sp.Sum(u ** sp.Symbol("n") * x, (sp.Symbol("n"), 1, 3)),
        lambda d: d.x * (d("u") + d("u") ** 2 + d("u") ** 3),
    ),
}


@pytest.mark.parametrize("name", SYMPY)
def test_sympys_differentiation(name: str) -> None:
    check("x y", "u", *SYMPY[name])


OWN: dict[str, tuple[Callable[..., Any], Callable[[Truth], Any]]] = {
    "source": (lambda u: u.x - x * sp.sin(y), lambda d: d("u", "x") - d.x * d.y.sin()),
    "real": (lambda u: u * real_x, lambda d: d("u") * d.x),
    "diff": (lambda u: u.diff(x, 2) + u.diff(y, y), lambda d: d.lap("u", "xy")),
    "diff, other assumptions": (
        lambda u: sp.diff(u**2, other_x) + u.diff(real_x, x), lambda d: 2 * d("u") * d("u", "x") + d("u", "xx"),
    ),
    "diff by name": (lambda u: u.diff("x") + u.diff("x", 2, "y"), lambda d: d("u", "x") + d("u", "xxy")),
    "own factor, given coordinate": (
        lambda u, x: sp.diff(k * u.x, x), lambda d: 2 * d.x * d("u", "x") + (1 + d.x**2) * d("u", "xx"),
    ),
    "no field in it": (lambda u, x: u * sp.diff(k, x), lambda d: 2 * d.x * d("u")),
    "given factor, own coordinate": (lambda u, x: u * sp.diff(x**3, other_x), lambda d: 3 * d.x**2 * d("u")),
    "unevaluated": (lambda u: sp.Derivative(k * sp.Derivative(u, x), real_x),
                    lambda d: 2 * d.x * d("u", "x") + (1 + d.x**2) * d("u", "xx")),
    "both": (lambda u, x: u.x - x - real_x - other_x, lambda d: d("u", "x") - 3 * d.x),
    "coefficients": (
        lambda u, a: u * sp.Symbol("a") + a + sp.Symbol("b", real=True), lambda d: 2.5 * d("u") + 2.5 + 0.5,
    ),
    "a summation index": (
        lambda u: u - sp.Sum(sp.sin(real_x * sp.Symbol("b")), (sp.Symbol("b"), 1, 2)),
        lambda d: d("u") - d.x.sin() - (2 * d.x).sin(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_own_symbols_are_bound_by_name(name: str) -> None:
    residual, expected = OWN[name]
    known = {"a": 2.5} if name == "coefficients" else {}  # one that is not used is refused
    check("x y", "u", residual, expected, coefficients=known, unknown={"b": 0.5})


CONTINUOUS: dict[str, Any] = {
    "a kink": (lambda x, y: sp.Piecewise((x, x < 0.5), (0.5, True)), 1),
    "a smooth step": (lambda x, y: sp.Piecewise((0, x < 0), (x**2, True)), 2),
    "a smoother step": (lambda x, y: sp.Piecewise((0, x < 0), (x**3, True)), 2),
    "a hat": (lambda x, y: sp.Piecewise((1 + x, (x > -1) & (x < 0)), (1 - x, (x >= 0) & (x < 1)), (0, True)), 1),
    "a cone": (lambda x, y: sp.Piecewise((1 - 2 * (x**2 + y**2), x**2 + y**2 < 0.5), (0, True)), 1),
    "one place": (lambda x, y: sp.Piecewise((1, sp.Eq(x, 0)), (sp.sin(x) / x, True)), 2),
    "of another coordinate": (lambda x, y: sp.Piecewise((1, y < 0.1), (10, True)), 2),
    "times what vanishes there": (lambda x, y: sp.Piecewise((1, x < 0.5), (10, True)) * (x - 0.5), 1),
    "a kink in micrometres": (lambda x, y: sp.Piecewise((x * 1e6, x < 1e-6), (1, True)), 1),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_derivatives_of_cases_that_do_not_jump(name: str) -> None:
    """k u differentiated once or twice by the product rule, with k's own derivatives by central differences."""
    k, order = CONTINUOUS[name]
    x, y = sp.symbols("x y")
    value = sp.lambdify((x, y), k(x, y))

    def expected(d: Truth) -> Tensor:
        h = 1e-3
        at = [np.array([float(value(a + s * h, b)) for a, b in d.points.tolist()]) for s in (-1, 0, 1)]
        low, middle, high = map(torch.from_numpy, at)
        first, second = (high - low) / (2 * h), (high - 2 * middle + low) / h**2
        if order == 1:
            return first * d("u") + middle * d("u", "x")
        return second * d("u") + 2 * first * d("u", "x") + middle * d("u", "xx")

    truth = Truth("x y", "u")
    found = residuals(pf.PDE("x y", "u", lambda u, x, y: sp.diff(k(x, y) * u, x, order)), truth)[:, 0]
    assert relative_error(found, expected(truth)) < 1e-5  # of differences


def test_own_symbols_mean_nothing_outside_of_a_residual_function() -> None:
    """SymPy by itself is as it was."""
    other = sp.Symbol("x", real=True)
    assert sp.diff(x**2, other) == 0
    assert sp.diff(x**2, x) == 2 * x
    assert sp.sympify(torch.tensor(2.0)) == 2.0


def vector_field(u: Any, v: Any) -> sp.Matrix:
    return sp.Matrix([u * v, u - v])


HELPERS: dict[str, tuple[Callable[..., Any], Callable[[Truth], Any]]] = {
    "grad": (lambda u: pf.grad(u), lambda d: [d("u", "x"), d("u", "y")]),
    "grad of an expression": (lambda u, x: pf.grad(u * x)[0], lambda d: d("u") + d.x * d("u", "x")),
    "div grad": (lambda u: pf.div(pf.grad(u)), lambda d: d.lap("u", "xy")),
    "div k grad": (
        lambda u, x, y: pf.div(sp.exp(x) * pf.grad(u)), lambda d: d.x.exp() * (d.lap("u", "xy") + d("u", "x")),
    ),
    "anisotropic": (
        lambda u: pf.div(sp.Matrix([[2, 1], [1, 3]]) * pf.grad(u)),
        lambda d: 2 * d("u", "xx") + 2 * d("u", "xy") + 3 * d("u", "yy"),
    ),
    "div of a list": (lambda u, v: pf.div([u, v]), lambda d: d("u", "x") + d("v", "y")),
    "div of a tensor": (
        lambda u, v: pf.div(sp.Matrix([[u, v], [v, u]])),
        lambda d: [d("u", "x") + d("v", "y"), d("v", "x") + d("u", "y")],
    ),
    "lap": (lambda u: pf.lap(u), lambda d: d.lap("u", "xy")),
    "lap of names": (lambda u: pf.lap(u, "y"), lambda d: d("u", "yy")),
    "lap of symbols": (lambda u, x: pf.lap(u, [x]), lambda d: d("u", "xx")),
    "lap of an expression": (
        lambda u, x: pf.lap(u * x), lambda d: d.x * d.lap("u", "xy") + 2 * d("u", "x"),
    ),
    "lap lap": (lambda u: pf.lap(pf.lap(u)), lambda d: d("u", "xxxx") + 2 * d("u", "xxyy") + d("u", "yyyy")),
    "own coordinates": (lambda u: pf.div(k * pf.grad(u)),
                        lambda d: (1 + d.x**2) * d.lap("u", "xy") + 2 * d.x * d("u", "x")),
    "no field": (lambda u: u - pf.lap(k * y**2), lambda d: d("u") - 2 * d.y**2 - 2 * (1 + d.x**2)),
    "convection": (
        lambda u, v: sp.Matrix([u, v]).dot(pf.grad(u)), lambda d: d("u") * d("u", "x") + d("v") * d("u", "y"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HELPERS)
def test_helpers(name: str) -> None:
    check("x y", "u v", *HELPERS[name])


def test_time_is_no_direction_of_space() -> None:
    for options in ({}, {"time": "t"}):
        check(
            "t x y", "u",
            lambda u: [u.t - u.lap, u.lap.t, u.lap.lap, pf.lap(u), *pf.grad(u), pf.div([u, u.x]), pf.lap(u, "t x")],
            lambda d: [
                d("u", "t") - d.lap("u", "xy"), d.lap("u", "xy", "t"),
                d("u", "xxxx") + 2 * d("u", "xxyy") + d("u", "yyyy"), d.lap("u", "xy"), d("u", "x"), d("u", "y"),
                d("u", "x") + d("u", "xy"), d.lap("u", "tx"),
            ],
            **options,
        )  # fmt: skip
    check("t x", "u", lambda u: [u.lap, *pf.grad(u)], lambda d: [d.lap("u", "tx"), d("u", "t"), d("u", "x")], time=None)


RETURNED: dict[str, tuple[Callable[..., Any], Callable[[Truth], Any]]] = {
    "Eq": (lambda u, x: sp.Eq(u.x, x), lambda d: d("u", "x") - d.x),
    "Eqs": (lambda u, v: [sp.Eq(u.x, v), v.y], lambda d: [d("u", "x") - d("v"), d("v", "y")]),
    "Eq of matrices": (
        lambda u, v: sp.Eq(sp.Matrix([u, v]), sp.Matrix([1, v.x])), lambda d: [d("u") - 1, d("v") - d("v", "x")],
    ),
    "Matrix": (lambda u, v: vector_field(u, v), lambda d: [d("u") * d("v"), d("u") - d("v")]),
    "lists of lists": (lambda u, v: [[u, v], (u.x,)], lambda d: [d("u"), d("v"), d("u", "x")]),
    "Array": (lambda u, v: sp.Array([[u, v]]), lambda d: [d("u"), d("v")]),
    "NumPy scalars": (lambda u: np.float64(2.5) * u + u.x * np.int64(3), lambda d: 2.5 * d("u") + 3 * d("u", "x")),
    "fraction": (lambda u: u / 3 + 1, lambda d: d("u") / 3 + 1),
    "source by cases": (
        lambda u, x: u - sp.Piecewise((1, x < 0.2), (x, True)),
        lambda d: d("u") - torch.where(d.x < 0.2, torch.ones_like(d.x), d.x),
    ),
    "coefficient by cases": (
        lambda u, x: sp.Piecewise((2, x < 0), (3, True)) * pf.div(pf.grad(u)),
        lambda d: torch.where(d.x < 0, 2.0, 3.0) * d.lap("u", "xy"),
    ),
    "residual by cases": (
        lambda u, v, x: sp.Piecewise((u.x - v, x < -0.2), (u, x < 0.3), (v, True)),
        lambda d: torch.where(d.x < -0.2, d("u", "x") - d("v"), torch.where(d.x < 0.3, d("u"), d("v"))),
    ),
    "own cases": (
        lambda u: u - sp.Piecewise((1, x < 0.2), (0, True)), lambda d: d("u") - torch.where(d.x < 0.2, 1.0, 0.0),
    ),
    "special function of a coordinate": (
        lambda u, x: u - sp.LambertW(2 + x), lambda d: d("u") - torch.from_numpy(lambert(2 + d.x.numpy())),
    ),
}  # fmt: skip


def lambert(z: np.ndarray) -> np.ndarray:
    from scipy.special import lambertw

    return np.asarray(lambertw(z).real)


@pytest.mark.parametrize("name", RETURNED)
def test_what_a_function_may_return(name: str) -> None:
    check("x y", "u v", *RETURNED[name])


def test_coordinates_named_like_constants_of_sympy() -> None:
    check(
        "E S N", "u", lambda u, E: u.E + u.diff("S", 2) + pf.lap(u, "N") * E + sp.diff(u, sp.Symbol("N"), "E"),
        lambda d: d("u", "E") + d("u", "SS") + d("u", "NN") * d.E + d("u", "EN"),
    )  # fmt: skip


def test_parameters_with_defaults() -> None:
    """As functions are written in loops."""
    pde = pf.PDE("x", "u", lambda u, a: a * u, coefficients={"a": 2.0})
    truth = Truth("x", "u")
    for k in (1, 2):
        assert relative_error(residuals(pde, truth, lambda u, k=k: k * u.x)[:, 0], k * truth("u", "x")) < 1e-12
    assert relative_error(residuals(pde, truth, partial(lambda u, k: k * u.x, k=3))[:, 0], 3 * truth("u", "x")) < 1e-12
    for function in (lambda u, a=3: a * u.x, partial(lambda u, a: a * u.x, a=3)):
        with pytest.raises(pf.InputError, match="its parameter 'a' has a default and is declared as well"):
            residuals(pde, truth, function)


def test_what_may_be_asked_of_fields_in_a_residual_function() -> None:
    """Identity, membership, dictionaries, the truth of what holds no field, all that SymPy asks."""

    def residual(u: Any, v: Any, x: Any) -> Any:
        known = {u: 1, v: 2, u.x: 3}
        parts = [known[field] * field for field in {u, v, u.x}]
        source = x and (x or 1)
        assert u in (v, u)
        assert v is not u
        assert x != 0
        assert [u, v].index(v) == len({u, v, u.x, u.x}) - 2
        sums = sp.Add(*parts).subs(u, u).replace(lambda e: e == u, lambda e: e)
        return sp.collect(sp.simplify(sums), u) + source if u is not None else 0

    check("x", "u v", residual, lambda d: d("u") + 2 * d("v") + 3 * d("u", "x") + d.x)
    one, other = (pf.PDE("x", "u", lambda u: u.x).field_symbol("u") for _ in range(2))
    assert one == other  # outside of residual functions SymPy answers as ever
    assert one != 0
    assert bool(one)


def test_traced_residuals_can_be_copied_and_sent() -> None:
    pde = pf.PDE("t x y", "u", lambda u, x: u.t - x * u.lap.x - sp.sin(x))
    one = pf.Residual(np.zeros((3, 3))).traced(pde)
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other.program == one.program
        assert other.residuals == one.residuals
        points = [random_points(5, 3).numpy()]
        np.testing.assert_array_equal(other.columns(points), one.columns(points))
    u = pde.field_symbol("u").lap.x
    assert pickle.loads(pickle.dumps(u)) == copy.deepcopy(u) == u
