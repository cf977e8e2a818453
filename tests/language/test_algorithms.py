"""Algorithms of SymPy that would take a field for a constant are refused, and messages of residuals are one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp
import torch
from scipy.special import erfcinv, erfinv
from sympy.integrals.manualintegrate import manualintegrate

import psinn_fast as pf

X, e, s = sp.symbols("x e s")

INTEGRALS: dict[str, Callable[..., Any]] = {
    "over all": lambda u, x: u.x - sp.integrate(u, (x, 0, 1)),
    "indefinite": lambda u, x: sp.integrate(u**2, x),
    "weighted": lambda u, x: sp.integrate(u * sp.exp(-x), (x, 0, 1)),
    "a method": lambda u, x: (u * x).integrate(x),
    "a method of a field": lambda u, x: u.integrate((x, 0, 1)),
    "of a derivative": lambda u, x: sp.integrate(u.x * x, x),
    "unevaluated": lambda u, x: sp.Integral(u, (x, 0, 1)),
    "doit": lambda u, x: sp.Integral(u, (x, 0, 1)).doit(),
    "twice": lambda u, x: sp.integrate(u, (X, 0, 1), (x, 0, 1)),
    "by another variable": lambda u, x: sp.integrate(u, (s, 0, x)),
    "in a matrix": lambda u, x: sp.Matrix([u, u.x]).integrate(x),
    "by hand": lambda u, x: manualintegrate(u * x, x),
}
OTHERS: dict[str, tuple[Callable[..., Any], str]] = {
    "series": (lambda u, x: sp.series(u * sp.exp(x), x, 0, 2).removeO(), "series"),
    "a method": (lambda u, x: u.series(x, 0, 2), "series"),
    "nseries": (lambda u, x: (u * x).nseries(x, 0, 2), "series"),
    "leading term": (lambda u, x: (u * sp.exp(x)).as_leading_term(x), "series"),
    "order": (lambda u, x: u + sp.Order(u * x, x), "orders of magnitude"),
    "limit": (lambda u, x: sp.limit(u * x, x, 0), "limits"),
    "a limit's method": (lambda u, x: (u * x).limit(x, 0), "limits"),
    "a limit, unevaluated": (lambda u, x: sp.Limit(u * x, x, 0), "limits"),
    "Sum": (lambda u, x: sp.Sum(u, (x, 0, 3)), "sums"),
    "summation": (lambda u, x: sp.summation(u * x, (x, 0, 3)), "sums"),
    "Product": (lambda u, x: sp.Product(u, (x, 0, 3)), "products"),
    "Fourier": (lambda u, x: sp.fourier_transform(u * sp.exp(-(x**2)), x, s), "integral transforms"),
    "Laplace": (lambda u, x: sp.laplace_transform(u, x, s, noconds=True), "integral transforms"),
    "Laplace, the class": (lambda u, x: sp.LaplaceTransform(u, x, s), "integral transforms"),
    "Mellin": (lambda u, x: sp.mellin_transform(u, x, s)[0], "integral transforms"),
    "Lambda": (lambda u, x: sp.Lambda(x, x * u)(2), "functions by sympy.Lambda"),
    "Lambda, of two": (lambda u, x: sp.Lambda((s, x), x * u * s)(2, 3), "functions by sympy.Lambda"),
}  # fmt: skip


@pytest.mark.parametrize("name", INTEGRALS)
@pytest.mark.parametrize("own", [True, False])
def test_integrals_of_fields_are_refused(name: str, own: bool) -> None:
    function = INTEGRALS[name]
    with pytest.raises(pf.InputError, match=r"^residual: integrals of fields are not supported") as caught:
        pf.PDE("x", "u", (lambda u: function(u, X)) if own else function)
    assert "\n" not in str(caught.value)
    assert "sympy.integrate" not in str(caught.value)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("own", [True, False])
def test_other_algorithms_are_refused(name: str, own: bool) -> None:
    function, what = OTHERS[name]
    with pytest.raises(pf.InputError, match=rf"^residual: ({what}) of fields are not supported") as caught:
        pf.PDE("x", "u", (lambda u: function(u, X)) if own else function)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("own", [True, False])
def test_a_field_is_no_constant_for_equations(own: bool) -> None:
    for function in (
        lambda u, x: u.x - sp.roots(u * x - 1, x),
        lambda u, x: u.x - sp.fourier_series(u, (x, -1, 1)).truncate(2),
        lambda u, x: u.x - sp.lambdify(x, u * x)(2),
        lambda u, x: u.x - sp.Poly(u * x).integrate(x).as_expr(),
        lambda u, x: u.x - sp.Poly(u * x, x, u).diff(x).as_expr(),
        lambda u, x: u.x - next(iter(sp.solveset(u * x - 1, x, sp.S.Complexes))),
        lambda u, x: u.x - sp.nsolve(u * x - 1, x, 1),
        lambda u, x: u.x - sp.residue(u / x, x, 0),
        lambda u, x: u.x - sp.gruntz(u * x, x, 0),
    ):
        with pytest.raises(pf.InputError) as caught:
            pf.PDE("x", "u", (lambda u, f=function: f(u, X)) if own else function).traced()
        assert "\n" not in str(caught.value)


ALLOWED: dict[str, tuple[Callable[..., Any], str]] = {
    "a limit by another variable": (
        lambda u, v, x: sp.limit(((u + e * v) ** 2 - u**2) / e, e, 0),
        "2*u*v",
    ),
    "a series by another variable": (lambda u, v, x: ((u + e * v) ** 2).series(e, 0, 2).removeO(), "2*e*u*v + u**2"),
    "a sum over an index": (lambda u, v, x: sp.Sum(u**s * x, (s, 1, 2)).doit(), "x*u**2 + x*u"),
    "a Lambda of another variable": (lambda u, v, x: sp.Lambda(s, s * u)(v), "u*v"),
    "solved for a derivative": (lambda u, v, x: sp.solve(sp.Eq(2 * u.x, v), u.x)[0], "v/2"),
    "a series by a field": (lambda u, v, x: sp.series(v * x, v, 0, 3), "x*v"),
    "integrated up to a field": (lambda u, v, x: sp.integrate(2 * s, (s, 0, u)), "u**2"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_takes_no_field_for_a_constant_is_right(name: str) -> None:
    function, wanted = ALLOWED[name]
    found = []

    def residual(u: Any, v: Any, x: Any) -> Any:
        found.append(function(u, v, x))
        return u + v

    pf.PDE("x", "u v", residual)
    assert sp.sstr(sp.expand(found[0])) == wanted


def columns(residual: Callable[..., Any], place: float = 0.3, **settings: Any) -> float:
    """The only source or coefficient, at a place."""
    box = pf.Box(x=(0.1, 0.9))
    problem = pf.Problem("p", pf.PDE("x", "u", residual, **settings), box, [pf.Residual([[place]])])
    (term,) = problem.terms(torch.float64)
    return float(term.columns[0, 0])


REAL: dict[str, tuple[Callable[..., Any], float]] = {
    "cosine": (lambda u, x: u.xx + (sp.exp(sp.I * x) + sp.exp(-sp.I * x)) / 2, math.cos(0.3)),
    "cosine, own": (lambda u: u.xx + (sp.exp(sp.I * X) + sp.exp(-sp.I * X)) / 2, math.cos(0.3)),
    "sine": (lambda u, x: u.xx + (sp.exp(2 * sp.I * x) - sp.exp(-2 * sp.I * x)) / (2 * sp.I), math.sin(0.6)),
    "size": (lambda u, x: u.xx + sp.Abs(sp.exp(sp.I * x) + 1), 2 * math.cos(0.15)),
    "size, own": (lambda u: u.xx + abs(sp.exp(sp.I * X) + 1), 2 * math.cos(0.15)),
    "product": (lambda u, x: u.xx + sp.expand((x + sp.I * x) * (x - sp.I * x)), 0.18),
    "factored": (lambda u, x: u.xx + (x**2 + sp.I * x) * (x - sp.I), 0.027 + 0.3),
    "real part": (lambda u, x: u.xx + sp.re(sp.exp(sp.I * x) * (1 + sp.I)), math.cos(0.3) - math.sin(0.3)),
    "real part, own": (lambda u: u.xx + sp.re(sp.exp(sp.I * X) * (1 + sp.I)), math.cos(0.3) - math.sin(0.3)),
    "conjugate": (lambda u: u.xx + sp.exp(sp.I * X) * sp.conjugate(sp.exp(sp.I * X)) * X**2, 0.09),
    "K": (lambda u, x: u.xx + sp.elliptic_k(x), 1.7138894481787910),
    "E": (lambda u, x: u.xx + sp.elliptic_e(x), 1.4453630644126652),
    "E(z, m)": (lambda u, x: u.xx + sp.elliptic_e(x, sp.Rational(1, 2)), float(sp.elliptic_e(0.3, 0.5))),
    "F": (lambda u, x: u.xx + sp.elliptic_f(x, sp.Rational(1, 2)), float(sp.elliptic_f(0.3, 0.5))),
    "Pi": (lambda u, x: u.xx + sp.elliptic_pi(x, sp.Rational(1, 2)), float(sp.elliptic_pi(0.3, 0.5))),
    "E_2": (lambda u, x: u.xx + sp.expint(2, x), float(sp.expint(2, 0.3))),
    "E_1": (lambda u, x: u.xx + sp.E1(x), float(sp.E1(0.3))),
    "2F1": (lambda u, x: u.xx + sp.hyper([1, sp.Rational(1, 2)], [3], x), float(sp.hyper([1, 0.5], [3], 0.3))),
    "1F1": (lambda u, x: u.xx + sp.hyper([1], [sp.Rational(5, 2)], x), float(sp.hyper([1], [2.5], 0.3))),
    "0F1": (lambda u, x: u.xx + sp.hyper([], [sp.Rational(5, 2)], x), float(sp.hyper([], [2.5], 0.3))),
    "Shi": (lambda u, x: u.xx + sp.Shi(x), float(sp.Shi(0.3))),
    "Chi": (lambda u, x: u.xx + sp.Chi(x), float(sp.Chi(0.3))),
    "li": (lambda u, x: u.xx + sp.li(x), float(sp.li(0.3))),
    "Li": (lambda u, x: u.xx + sp.Li(x), float(sp.Li(0.3))),
    "dilogarithm": (lambda u, x: u.xx + sp.polylog(2, x), float(sp.polylog(2, 0.3))),
    "erf2": (lambda u, x: u.xx + sp.erf2(x, 2 * x), math.erf(0.6) - math.erf(0.3)),
    "inverse erfc": (lambda u, x: u.xx + sp.erfcinv(x), erfcinv(0.3)),
    "inverse erf2": (lambda u, x: u.xx + sp.erf2inv(x, x / 2), erfinv(0.15 + math.erf(0.3))),
    "eta": (lambda u, x: u.xx + sp.dirichlet_eta(x + 2), float(sp.dirichlet_eta(2.3))),
    "Product": (lambda u, x: u.xx + sp.Product(x + s, (s, 1, 3)), 1.3 * 2.3 * 3.3),
    "Product up to a coefficient": (lambda u, x, n: u.xx + sp.Product(x + s, (s, 1, n)), 1.3 * 2.3 * 3.3),
    "Sum up to a coefficient": (lambda u, x, n: u.xx + sp.Sum(sp.sin(s * x), (s, 1, n)), 1.6434895896838584),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_sources(name: str) -> None:
    residual, wanted = REAL[name]
    settings = {"coefficients": {"n": 3}} if "coefficient" in name else {}
    assert columns(residual, **settings) == pytest.approx(wanted, rel=1e-13)


def test_a_complex_expression_of_fields() -> None:
    pde = pf.PDE("x", "u", lambda u: u.x - (sp.exp(sp.I * u) + sp.exp(-sp.I * u)) / 2)
    assert str(pde.given.expressions[0]) == "u_x - cos(u)"


MESSAGES: dict[str, tuple[Callable[..., Any], str]] = {
    "complex": (lambda u, x: u.xx - sp.exp(sp.I * x), r"is not a finite real expression; write sympy\.re or sympy\.im"),
    "no function": (lambda u, x: u.xx - sp.mathieus(1, 2, x), "neither NumPy nor SciPy has SymPy's mathieus"),
    "no order": (lambda u, x: u.xx - sp.expint(0.7, x), r"expint\(n, z\) of integers"),
    "hyper of others": (lambda u, x: u.xx - sp.hyper([1, 2, 3], [4, 5], x), "SciPy has hyper of 2 and 1"),
    "Product": (lambda u, x: u.xx - sp.Product(x + s, (s, 1, e)), "unknown symbols|e"),
    "Integral": (lambda u, x: u.xx - sp.Integral(sp.exp(sp.sin(x)), (x, 0, 1)), "integrals that are not carried out"),
    "lambdify": (lambda u, x: u.xx - sp.lambdify(x, u * x)(2), "SymPy"),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_one_line(name: str) -> None:
    residual, message = MESSAGES[name]
    with pytest.raises(pf.InputError, match=message) as caught:
        columns(residual)
    assert "\n" not in str(caught.value)
    assert "strict" not in str(caught.value)


def test_a_pole_is_of_a_coefficient_or_of_a_source_term() -> None:
    box = pf.Box(r=(0, 1))
    for residual, what in (
        (lambda u, r: u.rr + u.r / r, "coefficient 1/r is NaN"),
        (lambda u, r: u.r / r, "coefficient 1/r is NaN"),
        (lambda u, r: u.rr + 1 / r, "source term 1/r is NaN"),
    ):
        with pytest.raises(pf.InputError, match=f"its {what}"):
            pf.Problem("p", pf.PDE("r", "u", residual), box, [pf.Residual(box.grid(5))]).terms()
