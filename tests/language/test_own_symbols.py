"""A user's own symbols are the coordinates for every algorithm of SymPy, in residual functions as outside."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import sympy as sp

import psinn_fast as pf

x, y, k = sp.symbols("x y k")
f = sp.exp(x) * (1 + x)

# What sources are by SymPy, outside of any residual function. The first parameter is the user's symbol.
SOURCES: dict[str, Callable[[Any], Any]] = {
    "a value of a derivative": lambda x: (sp.exp(x) * (1 + x)).diff(x).subs(x, 0) * x,
    "an integral": lambda x: sp.integrate(x * sp.sin(x), x),
    "an integral of a derivative": lambda x: sp.integrate(sp.diff(x * sp.exp(-x), x), x),
    "a definite integral": lambda x: sp.integrate(x * sp.exp(-x), (x, 0, 1)) * x,
    "an error function": lambda x: sp.integrate(sp.exp(-(x**2)), x),
    "a circle": lambda x: sp.integrate(sp.sqrt(1 - x**2), x),
    "a hyperbola": lambda x: sp.integrate(sp.sqrt(1 + x**2), x),
    "tanh": lambda x: sp.integrate(sp.tanh(x), x),
    "x^2 exp(-x^2)": lambda x: sp.integrate(x**2 * sp.exp(-(x**2)), x),
    "exp sin": lambda x: sp.integrate(sp.exp(x) * sp.sin(x), x),
    "Fresnel": lambda x: sp.integrate(sp.cos(x**2), x),
    "an inner derivative": lambda x: sp.integrate(sp.exp(sp.sin(x)) * sp.cos(x), x),
    "a coefficient of a derivative": lambda x: sp.diff(x**3 + x**2 * 5, x).coeff(x, 2) * x,
    "replace": lambda x: sp.diff(x**3, x).replace(x, 2 * x),
    "xreplace": lambda x: sp.diff(x**3, x).xreplace({x: 2 * x}),
    "evalf": lambda x: sp.diff(x**3, x).evalf(subs={x: 2}) * x,
    "a Taylor sum": lambda x: sp.series(sp.exp(x) * sp.cos(x), x, 0, 5).removeO(),
    "a Taylor sum of a derivative": lambda x: sp.series(sp.diff(sp.sin(x) ** 2, x), x, 0, 5).removeO(),
    "a Taylor sum by hand": lambda x: sum(sp.sin(x).diff(x, n).subs(x, 0) * x**n / sp.factorial(n) for n in range(5)),
    "solve": lambda x: sp.solve(sp.diff(x**2 - 4 * x, x), x)[0] * x,
    "solveset": lambda x: next(iter(sp.solveset(sp.diff(x**2 - 4 * x, x), x))) * x,
    "nsolve": lambda x: sp.nsolve(sp.diff(sp.cos(x) + x / 2, x), x, 0.5) * x,
    "dsolve": lambda x: sp.dsolve(G(x).diff(x) - G(x), G(x), ics={G(0): 1}).rhs,
    "a limit": lambda x: sp.limit(sp.diff(sp.sin(x), x) / (1 + x), x, 0) * x,
    "Lambda": lambda x: sp.Lambda(x, sp.diff(x**3, x))(2) * x,
    "Subs": lambda x: sp.Subs(sp.diff(x**3, x), x, 2).doit() * x,
    "a polynomial": lambda x: sp.Poly(sp.diff(x**4 + x**2, x), x).all_coeffs()[0] * x,
    "free symbols": lambda x: len(sp.diff(x**3, x).free_symbols - {x}) * x + x,
    "as_independent": lambda x: sp.diff(3 * x**2, x).as_independent(x)[0] * x,
    "a kink": lambda x: sp.diff(sp.Abs(x) ** 3, x),
    "fields in limits": lambda x: sp.integrate(sp.sin(G0), (G0, 0, x)),
}  # fmt: skip
G, G0 = sp.Function("G"), sp.Symbol("s")
REAL = sp.Symbol("x", real=True)


EVERY_STYLE = ("a value of a derivative", "an integral", "replace", "a Taylor sum of a derivative", "solve")


def source_of(pde: pf.PDE) -> sp.Expr:
    """The residual is u_xx - source: the source, of a real x."""
    (residual,) = pde.given.expressions
    return pde.field_symbol("u").xx - residual


def is_same(one: sp.Expr, other: sp.Expr) -> bool:
    """Their values, at some places."""
    return all(abs(complex((one - other).xreplace({REAL: sp.Float(place)}).evalf())) < 1e-12 for place in (0.3, 0.7))


WRITTEN: dict[str, Callable[[Callable[[Any], Any]], Callable[..., Any]]] = {
    "a global": lambda g: lambda u: u.xx - g(x),
    "a closure, real": lambda g: (lambda s: lambda u: u.xx - g(s))(sp.Symbol("x", real=True)),
    "positive": lambda g: (lambda s: lambda u: u.xx - g(s))(sp.Symbol("x", positive=True)),
    "made inside": lambda g: lambda u: u.xx - g(sp.Symbol("x")),
    "made inside, real": lambda g: lambda u: u.xx - g(sp.Symbol("x", real=True)),
    "an attribute": lambda g: (lambda own: lambda u: u.xx - g(own.x))(SimpleNamespace(x=sp.Symbol("x", finite=True))),
    "the parameter": lambda g: lambda u, x: u.xx - g(x),
    "a parameter of another function": lambda g: lambda u: u.xx - (lambda x: g(x))(x),
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_are_what_they_are_outside(name: str) -> None:
    wanted = sp.sympify(SOURCES[name](REAL)).doit()
    for style in WRITTEN if name in EVERY_STYLE else ("a global", "the parameter"):
        found = source_of(pf.PDE("x", "u", WRITTEN[style](SOURCES[name])))
        assert is_same(found, wanted), (style, found, wanted)


def given(residual: Callable[..., Any], coords: str = "x", **settings: Any) -> tuple[str, ...]:
    return tuple(map(str, pf.PDE(coords, "u", residual, **settings).given.expressions))


RIGHT: dict[str, tuple[Callable[..., Any], str]] = {
    "a value": (lambda u: u.xx - f.diff(x).subs(x, 0), "u_xx - 2"),
    "a value, with the parameter": (lambda u, x: u.xx - f.diff(x).subs(x, 0), "u_xx - 2"),
    "a value of a global, with the parameter": (lambda u, x: u.xx - f.subs(x, 0), "u_xx - 1"),
    "a value of a real one, with the parameter": (lambda u, x: u.xx - (F_REAL + f).subs(x, 0), "u_xx - 2"),
    "an integral of a global, with the parameter": (lambda u, x: u.xx - sp.integrate(SQUARE, (x, 0, 3)), "u_xx - 9"),
    "two symbols": (lambda u, x: u.xx - sp.diff(x * SQUARE, x).subs(x, 2), "u_xx - 12"),
    "two symbols, integrated": (lambda u: u.xx - sp.integrate(x * REAL, (x, 0, 3)), "u_xx - 9"),
    "two symbols, integrated by the other": (lambda u: u.xx - sp.integrate(x * REAL, (REAL, 0, 3)), "u_xx - 9"),
    "two symbols, at a place": (lambda u: u.xx - (x * REAL).subs(x, 3), "u_xx - 9"),
    "two symbols, xreplace": (lambda u: u.xx - (x * REAL).xreplace({REAL: sp.Integer(3)}), "u_xx - 9"),
    "two symbols, coeff": (lambda u: u.xx - (5 * x * REAL + x).coeff(x, 2), "u_xx - 5"),
    "two symbols, Lambda": (lambda u: u.xx - sp.Lambda(x, x * REAL)(3), "u_xx - 9"),
    "two symbols, a limit": (lambda u: u.xx - sp.limit(x * REAL + 2, x, 1), "u_xx - 3"),
    "two symbols, a sum": (lambda u: u.xx - sp.summation(x * REAL, (x, 1, 3)), "u_xx - 14"),
    "a value of a derivative, not carried out": (lambda u: u.xx - sp.Derivative(f, x).subs(x, 0), "u_xx - 2"),
    "Lambda of a field": (lambda u: u.xx - sp.Lambda(x, sp.diff(x**3, x))(u), "u_xx - 3*u**2"),
    "a mixed derivative": (lambda u: sp.diff(x**2 * u.x, x), "x**2*u_xx + 2*x*u_x"),
    "coefficients of a mixed derivative": (lambda u: sp.expand(sp.diff(x**2 * u.x, x)).coeff(x, 2), "u_xx"),
    "its factor": (lambda u: sp.diff(x**2 * u.x, x).coeff(u.x).subs(x, 3) * u, "6*u"),
    "two in one derivative": (lambda u, x: sp.diff(x * SQUARE * u, REAL), "x**3*u_x + 3*x**2*u"),
    "of a real one": (lambda u: sp.diff(u**2, REAL).subs(u, x * u), "2*x*(x*u_x + u)*u"),
    "in cases": (lambda u: u.xx - sp.Piecewise((x, x < 1), (1, True)).subs(x, 3), "u_xx - 1"),
}  # fmt: skip
SQUARE, F_REAL = x**2, sp.cos(REAL)


@pytest.mark.parametrize("name", RIGHT)
def test_right(name: str) -> None:
    residual, wanted = RIGHT[name]
    assert given(residual) == (wanted,)


def test_in_conditions() -> None:
    box = pf.Box(x=(0, 1), y=(0, 1))
    face = pf.Residual(box.face("y", "high", 5), lambda u: u.y - sp.diff(x * y**2 + y, y).subs(y, 1))
    problem = pf.Problem("p", pf.PDE("x y", "u", lambda u: u.lap), box, [pf.Residual(box.grid(3)), face])
    assert problem.traced[1].texts() == ["-2*x + u_y - 1"]


def test_at_places_fields_are_refused_by_every_name() -> None:
    places: dict[str, Callable[..., Any]] = {
        "subs": lambda u: (u * x).subs(x, 0),
        "subs, real": lambda u: (u * x).subs(REAL, 0),
        "replace": lambda u: (u * x).replace(x, 2 * x),
        "replace, real": lambda u: (u * x).replace(REAL, 2 * REAL),
        "xreplace": lambda u: (u * x).xreplace({x: 2 * x}),
        "xreplace, real": lambda u: (u * x).xreplace({REAL: sp.Integer(2)}),
        "of a derivative": lambda u: sp.diff(u**2, x).subs(x, 1),
        "of a derivative, real": lambda u: sp.diff(u**2, REAL).replace(REAL, 1),
        "Subs": lambda u: u + sp.Subs(u, x, 1).doit(),
    }
    for name, residual in places.items():
        with pytest.raises(pf.InputError, match=r"fields are taken at a condition's points") as caught:
            pf.PDE("x", "u", residual)
        assert "\n" not in str(caught.value), name


def test_names_after_nfkc() -> None:
    micro, mu = sp.Symbol("\N{MICRO SIGN}"), sp.Symbol("\N{GREEK SMALL LETTER MU}", real=True)
    for residual in (
        lambda u: u.diff(micro) - sp.diff(micro**3, micro).subs(micro, 2),
        lambda u: u.diff(mu) - sp.diff(micro**3, mu).subs(micro, 2),
        lambda u, μ: u.diff(μ) - sp.diff(micro**3, μ).subs(mu, 2),
    ):
        assert given(residual, "μ") == ("u_μ - 12",)


def test_coefficients() -> None:
    own = sp.Symbol("k")
    assert given(lambda u: u.x - sp.diff(sp.exp(own * x), x).subs(x, 0), coefficients={"k": 0.5}) == ("u_x - 0.5",)
    assert given(lambda u: u.x - sp.diff(own**2 * x, own), unknown={"k": 1.0}) == ("-2*k*x + u_x",)
    assert given(lambda u, k: u.x - sp.diff(own**2 * k, k).subs(k, 1), unknown={"k": 1.0}) == ("u_x - 3",)
    for residual in (lambda u: u.x - sp.diff(sp.sin(own * x), own), lambda u, k: u.x - sp.diff(sp.sin(k * x), k)):
        with pytest.raises(pf.InputError, match=r"^residual: derivative by (k|5\.5).*known") as caught:
            given(residual, coefficients={"k": 5.5})
        assert "\n" not in str(caught.value)


def test_integral_coefficients_are_integers() -> None:
    s = sp.Symbol("s")
    n = sp.Symbol("n", integer=True)
    wanted = ("u_xx - sin(x) - sin(2*x) - sin(3*x)",)
    for residual in (
        lambda u, x, n: u.xx - sp.Sum(sp.sin(s * x), (s, 1, n)).doit(),
        lambda u, x: u.xx - sum(sp.sin(i * x) for i in range(1, 4)),
        lambda u, x, n: u.xx - sum(sp.sin(i * x) for i in range(1, n + 1)),
        lambda u, x: u.xx - sp.Sum(sp.sin(s * x), (s, 1, n)),
        lambda u, x, n: u.xx - sp.Sum(sp.sin(s * x), (s, 1, n)),
    ):
        pde = pf.PDE("x", "u", residual, coefficients={"n": 3})
        assert tuple(str(e.doit()) for e in pde.given.expressions) == wanted
        pde.traced()
    assert given(lambda u, n: u.x - sp.factorial(n), coefficients={"n": 3.0}) == ("u_x - 6",)
    with pytest.raises(pf.InputError, match=r"limits of sums and products are integers, got 2\.5"):
        given(lambda u, x, n: u.xx - sp.Sum(sp.sin(s * x), (s, 1, n)), coefficients={"n": 2.5})
