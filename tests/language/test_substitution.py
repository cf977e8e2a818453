"""Substitutions in residuals mean what they mean for SymPy's functions: derivatives of a field follow the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp
from sympy.core.function import AppliedUndef
from truth import Truth, check

import psinn_fast as pf
from psinn_fast.language.fields import SymbolicField

e, placeholder = sp.Symbol("e"), sp.Dummy("e")

# Written by SymPy's diff alone, so that they hold for its functions u(x, y), too.
CASES: dict[str, Callable[..., Any]] = {
    "a product": lambda u, v, x, y: sp.diff(u**2, x).subs(u, v),
    "linearisation": lambda u, v, x, y: sp.diff((u * u.diff(x)).subs(u, u + e * v), e).subs(e, 0),
    "linearisation, order 3": lambda u, v, x, y: sp.diff(u.diff(x, y, y).subs(u, u + e * u * v), e).subs(e, 0),
    "linearisation by a dummy": lambda u, v, x, y: (
        (u.diff(x) ** 2 * u).subs(u, u + placeholder * v).diff(placeholder).subs(placeholder, 0)
    ),
    "twice": lambda u, v, x, y: u.diff(x).subs(u, 2 * u),
    "twice, xreplace": lambda u, v, x, y: (u.diff(x, 2) * u).xreplace({u: 2 * u}),
    "xreplace of both": lambda u, v, x, y: (u.diff(x) * u).xreplace({u: v, u.diff(x): x * u}),
    "xreplace of a derivative": lambda u, v, x, y: (u.diff(x, 2) * u.diff(x)).xreplace({u.diff(x): v}),
    "an ansatz": lambda u, v, x, y: (u.diff(x, 2) + u.diff(y, 2) + u).subs(u, sp.sin(x) * y * v + x**3),
    "exponential": lambda u, v, x, y: (u.diff(x) / u).subs(u, sp.exp(v)),
    "a function of coordinates": lambda u, v, x, y: v + u.diff(x, y).subs(u, sp.sin(x * y)),
    "a number": lambda u, v, x, y: v + (u * u.diff(x) + 3 * u).subs(u, 2),
    "its own derivative": lambda u, v, x, y: (u * u.diff(y)).subs(u, u + u.diff(x)),
    "exchanged": lambda u, v, x, y: (u.diff(x) - v * v.diff(y, y) + 3 * u).subs({u: v, v: u}, simultaneous=True),
    "turned": lambda u, v, x, y: (u.diff(x) - v * v.diff(y)).subs([(u, -v), (v, u + x)], simultaneous=True),
    "one after the other": lambda u, v, x, y: (u.diff(x) - v * v.diff(y)).subs([(u, v), (v, x * u)]),
    "field and derivative": lambda u, v, x, y: (u + u.diff(x) + u.diff(x, y)).subs({u: v, u.diff(x): x * v}),
    "field, then derivative": lambda u, v, x, y: (u + u.diff(x)).subs([(u, v), (u.diff(x), x)]),
    "a derivative": lambda u, v, x, y: (u + u.diff(x) * u.diff(x, x) + u.diff(y)).subs(u.diff(x), v**2),
    "a mixed derivative": lambda u, v, x, y: (u.diff(x, 2, y) + u.diff(x)).subs(u.diff(x, y), v * y),
    "Subs": lambda u, v, x, y: sp.Subs(u * u.diff(x), u, x * v).doit(),
    "only where it is": lambda u, v, x, y: (u.diff(x) * v.diff(y) + v).subs(u, x * v),
    # By a field as a variable, its derivatives are others; Euler-Lagrange equations are made of these.
    "by a field": lambda u, v, x, y: sp.diff(u * u.diff(x) * v, u),
    "by a field, twice": lambda u, v, x, y: sp.diff(u**3 * u.diff(x, y) + v, u, 2),
    "by a derivative": lambda u, v, x, y: sp.diff(u * u.diff(x) ** 2 * u.diff(x, x), u.diff(x)),
    "Euler-Lagrange": lambda u, v, x, y: (
        (u.diff(x) ** 2 / 2 + u**2 * u.diff(y) + v * u).diff(u)
        - (u.diff(x) ** 2 / 2 + u**2 * u.diff(y)).diff(u.diff(x)).diff(x)
        - (u.diff(x) ** 2 / 2 + u**2 * u.diff(y)).diff(u.diff(y)).diff(y)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_as_for_functions_of_sympy(name: str) -> None:
    x, y = sp.symbols("x y", real=True)
    wanted = sp.sympify(CASES[name](sp.Function("u")(x, y), sp.Function("v")(x, y), x, y)).doit()

    def difference(u: Any, v: Any, x: Any, y: Any) -> Any:
        fields = {"u": u, "v": v}
        plain = wanted.replace(sp.Derivative, lambda f, *by: sp.Derivative(fields[f.func.__name__], *by).doit())
        own = plain.replace(lambda f: isinstance(f, AppliedUndef), lambda f: fields[f.func.__name__])
        found.append((CASES[name](u, v, x, y), own))
        return u + v

    found: list[tuple[sp.Expr, sp.Expr]] = []
    pf.PDE("x y", "u v", difference).traced()
    ours, theirs = found[0]
    assert sp.expand(ours - theirs) == 0
    assert ours.atoms(SymbolicField)


LAPLACIANS: dict[str, tuple[Callable[..., Any], Callable[[Truth], Any]]] = {
    "of a field": (lambda u, v: u.lap.subs(u, v), lambda d: d.lap("v", "xy")),
    "its derivative": (lambda u, v: u.lap.x.subs(u, 2 * v), lambda d: 2 * d.lap("v", "xy", "x")),
    "of an expression": (
        lambda u, v, x: u.lap.subs(u, x * v),
        lambda d: d.x * d.lap("v", "xy") + 2 * d("v", "x"),
    ),
    "for a Laplacian": (lambda u, v: (u.lap.lap + u.xx).subs(u.lap, v), lambda d: d.lap("v", "xy") + d("u", "xx")),
    "of one of its terms": (lambda u, v: u.lap.subs(u.xx, v), lambda d: d("v") + d("u", "yy")),
    "of what its terms are derivatives of": (
        lambda u, v: u.lap.x.subs(u.x, v),
        lambda d: d.lap("v", "xy"),
    ),
    "of what it holds not": (lambda u, v: u.lap.subs(u.xy, v), lambda d: d.lap("u", "xy")),
    "exchanged": (
        lambda u, v: (u.lap - 2 * v.lap).subs({u: v, v: u}, simultaneous=True),
        lambda d: d.lap("v", "xy") - 2 * d.lap("u", "xy"),
    ),
}


@pytest.mark.parametrize("name", LAPLACIANS)
def test_laplacians(name: str) -> None:
    check("x y", "u v", *LAPLACIANS[name])


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "a coordinate": (lambda u, v, x: (u.x * x).subs(x, 2 * x), r"u_x\(2\*x, y\): fields are taken at"),
    "a coordinate by a number": (lambda u, v, x: (u * x).subs(x, 0.5), r"u\(0.50*, y\): fields are taken"),
    "a symbol of one's own": (lambda u, v: (u.x * u).subs(sp.Symbol("x"), 2), r"u(_x)?\(2, y\): fields are taken"),
    "a coordinate's name": (lambda u, v: u.subs("x", "y"), r"u\(y, y\): fields are taken"),
    "among others": (lambda u, v, x: u.x.subs({u: v, x: 2 * x}, simultaneous=True), "fields are taken"),
    "a field's name": (lambda u, v: (u.x * u).subs("u", v), "subs: the symbol u is not the field u"),
    "replace": (lambda u, v: (u.x * u).replace(u, v), "replace: u is in u_x too; use subs"),
    "replace of a derivative": (lambda u, v: (u.xx + u.x).replace(u.x, v), "replace: u_x is in u_xx too; use subs"),
    "beyond order 4": (lambda u, v: u.xxx.subs(u, v.xx), r"v_xxxx\.x: derivative orders go up to 4"),
    "a Laplacian beyond order 4": (lambda u, v: u.lap.lap.subs(u, v.x), "derivative orders go up to 4"),
    "a placeholder that stays": (lambda u, v: u.x.subs(u, placeholder * v), "unknown symbols"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    function, message = REFUSED[name]
    with pytest.raises(pf.InputError, match=message):
        pf.PDE("x y", "u v", function).traced()


def test_replace_where_it_is_all() -> None:
    check("x y", "u v", lambda u, v: (u.x * v + v**2).replace(u.x, v).replace(v, u), lambda d: 2 * d("u") ** 2)


def test_the_derivative_by_a_field_of_what_was_substituted() -> None:
    check(
        "x y",
        "u v",
        lambda u, v: sp.diff((u * u.x).subs(u, u * v), u),
        lambda d: d("v") ** 2 * d("u", "x") + 2 * d("u") * d("v") * d("v", "x"),
    )
