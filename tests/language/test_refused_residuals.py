"""What a residual function may not return or do is refused, with the term's name and what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from sympy.vector import CoordSys3D, divergence
from truth import N, Truth, residuals

import psinn_fast as pf

x, y = sp.symbols("x y")

REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "order 5": (lambda u: u.xxx.xx, r"u_xxx\.xx: derivative orders go up to 4"),
    "order 5, Laplacians": (lambda u: u.lap.lap.x, r"u_lap_lap\.x: derivative orders go up to 4"),
    "order 5, SymPy": (lambda u, x: sp.diff(u.xxxx * x, x), r"u_xxxx\.x: derivative orders go up to 4"),
    "order 5, helper": (lambda u: pf.lap(u.xxx), r"u_xxx\.lapxy: derivative orders go up to 4"),
    "no coordinate": (lambda u: u.x.z, r"u_x\.z: not a derivative; the coordinates are x, y"),
    "elsewhere": (lambda u, x: u.subs(x, 0), r"u\(0, y\): fields are taken at a condition's points"),
    "on the diagonal": (lambda u, x, y: (u.x * x).subs(x, y), r"u_x\(y, y\): fields are taken at a condition's points"),
    "limit": (lambda u, x: sp.limit(u * x, x, 0), "limits of fields are not supported"),
    "called": (lambda u, x, y: u(x, y), r"failed on symbols \(TypeError: .*not callable.*written without"),
    "integral": (lambda u, x: sp.Integral(u * x, (x, 0, 1)), "integrals of fields are not supported"),
    "integrated": (lambda u, x: sp.integrate(u * x, x), "integrals of fields are not supported"),
    # SymPy looks for its own Derivative and would find none in u.x.
    "Euler-Lagrange": (
        lambda u, x, y: sp.euler_equations(u.x**2 + u**2, u, [x, y]),
        "failed on symbols .TypeError: Function",
    ),
    "another coordinate": (lambda u: u.x + u.diff(sp.Symbol("z")), r"derivative by z: the coordinates are x, y"),
    "another coordinate in an expression": (
        lambda u, x: u.x + sp.diff(u**2 * x, sp.Symbol("t"), 2),
        "derivative by t: the coordinates are x, y",
    ),
    "another coordinate, unevaluated": (lambda u: sp.Derivative(u, x, sp.Symbol("z")), "derivative by z"),
    "another coordinate by name": (lambda u: u.diff("xx") + u, "derivative by xx"),
    "coordinates of SymPy's vectors": (
        lambda u: u.x + divergence(SPACE.i * u),
        r"derivative by SPACE.x: the coordinates are x, y",
    ),
    "order that is a symbol": (lambda u, x: sp.Derivative(u, (x, sp.Symbol("n"))), "cannot be carried out"),
    "a jump": (lambda u, x: sp.diff(sp.Heaviside(x) * u, x), r"DiracDelta\(x\), the derivative of a jump"),
    "a jump of a field": (lambda u, x: sp.sign(u).diff(x), r"DiracDelta\(u\), the derivative of a jump"),
    **{
        f"{name}, {style}": (function, "jump")
        for name, k in {
            "a case": lambda x, y: sp.Piecewise((1, x < 0.5), (10, True)),
            "a slight case": lambda x, y: sp.Piecewise((1, x < 0.5), (1 + 1e-6, True)),
            "a case in micrometres": lambda x, y: sp.Piecewise((1, x**2 + y**2 < 1e-12), (10, True)),
            "a disc": lambda x, y: sp.Piecewise((1, sp.sqrt(x**2 + y**2) <= 0.3), (2, True)),
            "three cases": lambda x, y: sp.Piecewise((x, x < 0), (-x, x < 0.5), (0, True)),
            "a strip": lambda x, y: sp.Piecewise((2, (x > 0.2) & (x < 0.4)), (1, True)),
            "outside of a strip": lambda x, y: sp.Piecewise((2, (x < -0.4) | (x > 0.2)), (1, True)),
            "a layer": lambda x, y: sp.Piecewise((2, sp.Abs(x - 0.5) < 0.1), (1, True)),
            "a line at an angle": lambda x, y: sp.Piecewise((y, x < y), (0, True)),
            "within": lambda x, y: sp.exp(sp.Piecewise((0, x > 0), (1, True))) + x,
            "cases of cases": lambda x, y: sp.Piecewise((sp.Piecewise((1, x < 1), (2, True)), y > 0), (3, True)),
            "sine": lambda x, y: sp.Piecewise((1, sp.sin(x) > 0), (0, True)),
        }.items()
        for style, function in {
            "flux": lambda u, x, y, k=k: sp.diff(k(x, y) * u.x, x),
            "helper": lambda u, x, y, k=k: pf.div(k(x, y) * pf.grad(u)),
            "method": lambda u, k=k: (k(*sp.symbols("x y")) * u + u**2).diff("x"),
            "not carried out": lambda u, x, y, k=k: sp.Derivative(k(x, y) * u, x) + u,
            "second": lambda u, x, y, k=k: u.x + sp.diff(k(x, y) * u, x, 2),
        }.items()
    },
    "a kink, twice": (
        lambda u, x: sp.diff(sp.Piecewise((0, x < 0.5), (x - 0.5, True)) * u, x, 2),
        r"jumps at x = 0\.5",
    ),
    "a kink, by two steps": (
        lambda u, x: sp.diff(sp.diff(sp.Piecewise((0, x < 0.5), (x - 0.5, True)) * u, x), x),
        "jumps at",
    ),
    "a jump that nobody finds": (
        lambda u, x: sp.diff(sp.Piecewise((1, x + sp.exp(sp.sin(x)) < 1.3), (2, True)) * u, x),
        "jump",
    ),
    "text": (lambda u: "u_x", "got str: 'u_x'"),
    "text that is code": (lambda u: "__import__('os').getpid()", "got str"),
    "texts": (lambda u: [u, "u"], "got str: 'u'"),
    "KeyError": (lambda u: u * {}["kappa"], r"failed on symbols \(KeyError: 'kappa'\)"),
    "ZeroDivisionError": (lambda u: u * (1 / 0), r"failed on symbols \(ZeroDivisionError"),
    "AssertionError": (lambda u: [][1], r"failed on symbols \(IndexError"),
    "endless": (lambda u: endless(u), r"failed on symbols \(RecursionError.*nested too deeply"),
    "attribute of an expression": (lambda u, x: (x * u.x).x, "only fields carry derivatives .* sympy.diff"),
    "comparison": (lambda u: u > 0, "got StrictGreaterThan"),
    "if": (lambda u: u if u > 0 else -u, r"truth value .*sympy\.Max"),
    "max": (lambda u: max(u, 0), r"truth value .*sympy\.Max"),
    "math": (lambda u: math.sin(u), r"use SymPy's functions, e.g. sympy\.sin"),
    "numpy": (lambda u: np.sin(u), r"use SymPy's functions, e.g. sympy\.sin"),
    "torch": (lambda u: torch.sin(u), r"use SymPy's functions, e.g. sympy\.sin"),
    "numbers per point": (lambda u: u * np.linspace(0, 1, N), r"a NumPy array of shape \(7,\)"),
    "tensor": (lambda u: u * torch.tensor(2.0), r"no torch tensors: .* float\(tensor\)"),
    "parameter": (lambda u: torch.nn.Parameter(torch.ones(())) * u, r"no torch tensors: .* unknown="),
    "tensor returned": (lambda u: torch.ones(3), "got Tensor|no torch tensors"),
    "cases of a field": (lambda u: sp.Piecewise((u.x, u < 0), (u.y, True)), "cases of a field .* sympy.Max"),
    "own function": (lambda: sp.Function("u")(x, y), r"u\(x, y\) is a function that is not known here"),
    "own field symbol": (lambda: sp.Symbol("u"), r"unknown symbols \['u'\].*coordinates \['x', 'y'\]"),
    "own symbol": (lambda u: u + sp.Symbol("w"), r"unknown symbols \['w'\]"),
    "dummy": (lambda u: u + sp.Dummy("x"), "unknown symbols"),
    "equation that holds": (lambda u: sp.Eq(u, u), "got True: a statement that always or never holds"),
    "equation that never holds": (lambda u: sp.Eq(u.x**2, -1), "got False: a statement that always or never holds"),
    "==": (lambda u: u.xx == u.y, r"u_xx == u_y: Python compares how .* write sympy\.Eq\(left, right\)"),
    "== a number": (lambda u: u.xx + (1 if u == 0 else 2), r"u == 0: .*sympy\.Eq.*sympy\.Max"),
    "!=": (lambda u: u.xx + (1 if u.x != u.y else 2), r"u_x != u_y: .*sympy\.Eq"),
    "== on the right": (lambda u: u.xx + (0.5 == u.x), r"u_x == 0\.5: .*sympy\.Eq"),  # noqa: SIM300  # it is
    "== of sums": (lambda u: u.xx + (1 if 2 * u + 1 == u.x else 2), r"2\*u \+ 1 == u_x: .*sympy\.Eq"),
    "!= of functions": (lambda u: u.xx + (1 if sp.sin(u) != 0 else 2), r"sin\(u\) != 0: .*sympy\.Eq"),
    "== after a coordinate": (lambda u, x: u.xx + (1 if x == u else 2), r"x == u: .*sympy\.Eq"),
    "== within cases": (lambda u: u.x + sp.Piecewise((1, u == 0), (2, True)), r"u == 0: .*sympy\.Eq"),
    "== within a list": (lambda u: u.x + ([u] == [0]), r"u == 0: .*sympy\.Eq"),
    "== in a function": (lambda u: u.x + is_zero(u), r"u == 0: .*sympy\.Eq"),
    "True": (lambda u: True, "got True: a statement"),
    "if of a field": (lambda u: u.xx + (1 if u else -1), r"u has no truth value, .*sympy\.Max"),
    "and": (lambda u: u.xx and u.y, r"and, .*u_xx has no truth value, .*list for several equations"),
    "or": (lambda u: u.xx or u.y, "u_xx has no truth value"),
    "not": (lambda u: u.xx + 5 * (not u), "u has no truth value"),
    "and of sums": (lambda u: (u.xx + 1) and u.y, r"u_xx \+ 1 has no truth value"),
    "or of products": (lambda u, x: x * u.xx or u.y, r"x\*u_xx has no truth value"),
    "any": (lambda u: u.xx + any([u, u.x]), "u has no truth value"),
    "filter": (lambda u: sum(filter(None, [u.x, u.y])), "u_x has no truth value"),
    "bool": (lambda u: u.xx * bool(sp.sin(u)), r"sin\(u\) has no truth value"),
    "set": (lambda u: {u.x, u.y}, "got set"),
    "function": (lambda u: u.diff, "got method"),
    "empty lists": (lambda u: [[], []], "returned nothing"),
    "grad of a list": (lambda u: pf.grad([u, u]), "grad: expected one expression|grad: expected an expression"),
    "grad of text": (lambda u: pf.grad("u"), "grad: expected an expression of fields and coordinates, got 'u'"),
    "grad by an unknown name": (lambda u: pf.grad(u, "z"), r"grad: coords: expected some of \['x', 'y'\], got 'z'"),
    "div of one": (lambda u: pf.div(u), "div: expected a list of expressions, one for each coordinate"),
    "div of too many": (lambda u: pf.div([u, u, u]), "div: expected 2 components, one for each of x, y, got 3"),
    "lap of a gradient": (lambda u: pf.lap(pf.grad(u)), "lap: expected one expression"),
    "no function of NumPy": (
        lambda u, x: u - sp.Ynm(1, 0, x, x),
        "source terms: neither NumPy nor SciPy has SymPy's Ynm",
    ),
}


SPACE = CoordSys3D("SPACE")


def is_zero(u: Any) -> bool:
    return u == 0


def endless(u: Any) -> Any:
    return endless(u + 1)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    function, message = REFUSED[name]
    with pytest.raises(pf.InputError, match=f"(?s)^(term 'residual'|residual): .*({message})"):
        residuals(pf.PDE("x y", "u", function), Truth("x y", "u"))


def test_an_exception_of_the_function_is_the_cause() -> None:
    with pytest.raises(pf.InputError) as caught:
        residuals(pf.PDE("x", "u", lambda u: u * {}["kappa"]), Truth("x", "u"))
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_interrupt_inside_the_function_is_none_of_its_faults() -> None:
    def interrupted(u: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        residuals(pf.PDE("x", "u", interrupted), Truth("x", "u"))


def test_helpers_belong_into_residual_functions() -> None:
    u = pf.PDE("t x y", "u", lambda u: u).field_symbol("u")
    for helper in (pf.grad, pf.lap, lambda u: pf.div([u, u])):
        with pytest.raises(pf.InputError, match=r"(grad|div|lap): the coordinates are only known inside a residual"):
            helper(u)
    with pytest.raises(pf.InputError, match="lap: there is no spatial coordinate, only t"):
        pf.PDE("t", "u", lambda u: pf.lap(u)).traced()
