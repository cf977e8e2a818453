"""Symbols that are declared to be what the coordinates are not are refused: SymPy has simplified by it already."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sympy as sp

import psinn_fast as pf

WIDE, RIGHT, LEFT = pf.Box(x=(-1, 1)), pf.Box(x=(0, 1)), pf.Box(x=(-2, -1))


def rod(residual: Any, box: pf.Box = WIDE, points: Any = None, **settings: Any) -> pf.Problem:
    coefficients = settings.pop("coefficients", {})
    unknown = settings.pop("unknown", {})
    conditions = [pf.Residual(box.grid(9)), *([] if points is None else [points])]
    return pf.Problem("p", pf.PDE("x", "u", residual, coefficients, unknown), box, conditions, **settings)


def x(**facts: Any) -> sp.Symbol:
    return sp.Symbol("x", **facts)


positive = x(positive=True)


def step(s: Any) -> Any:
    return sp.Heaviside(s)


def vanished(u: Any) -> Any:
    return u.xx - sp.Heaviside(positive)


def by_helper(u: Any) -> Any:
    return u.xx - constant()


def constant() -> Any:
    return step(positive)


def by_argument(u: Any, s: Any = positive) -> Any:
    return u.xx - sp.Heaviside(s)


SEEN: dict[str, Callable[..., Any]] = {
    "in the residual": lambda u: u.xx - abs(positive),
    "by which it is differentiated": lambda u: u.diff(positive) - 1,
    "gone": vanished,
    "gone in a helper": by_helper,
    "gone from a default": by_argument,
    "gone from a partial": partial(by_argument, s=x(positive=True)),
    "gone from a lambda within": lambda u: u.xx - (lambda: sp.Heaviside(positive))(),
    "gone from a closure": (lambda own: lambda u: u.xx - sp.Heaviside(own))(x(positive=True)),
    "gone, of no module": eval(  # as in a notebook or a document
        "lambda u: u.xx - Heaviside(positive)", {"positive": positive, "Heaviside": sp.Heaviside, "__name__": None}
    ),
    "gone from a list": (lambda own: lambda u: u.xx - sp.Heaviside(own[0]))([x(positive=True)]),
}


@pytest.mark.parametrize("name", SEEN)
def test_where_symbols_are_seen(name: str) -> None:
    message = r"term 'residual': sympy.Symbol\('x', positive=True\) says what x is not, it is between -1 and 1"
    with pytest.raises(pf.InputError, match=message):
        rod(SEEN[name])
    with pytest.raises(pf.InputError, match="term 'own'"):
        rod(lambda u: u.xx, points=pf.Residual([[0.5]], SEEN[name], name="own"))
    rod(SEEN[name], RIGHT)
    if name == "in the residual":
        (term,) = rod(SEEN[name], RIGHT).terms()
        assert term.columns[:, 0].tolist() == [-i / 8 for i in range(9)]


FALSE = [
    (WIDE, {"positive": True}),
    (WIDE, {"negative": True}),
    (WIDE, {"nonnegative": True}),
    (WIDE, {"nonpositive": True}),
    (WIDE, {"nonzero": True}),
    (WIDE, {"integer": True}),
    (RIGHT, {"integer": True}),
    (RIGHT, {"even": True}),
    (RIGHT, {"odd": True}),
    (RIGHT, {"prime": True}),
    (RIGHT, {"rational": True}),
    (RIGHT, {"zero": True}),
    (RIGHT, {"negative": True}),
    (RIGHT, {"nonpositive": True}),
    (LEFT, {"positive": True}),
    (RIGHT, {"positive": False}),
    (LEFT, {"extended_positive": True}),
    (WIDE, {"imaginary": True}),
    (WIDE, {"real": False}),
    (WIDE, {"finite": False}),
    (LEFT, {"integer": True, "negative": True}),
    (WIDE, {"extended_nonzero": True}),
    (WIDE, {"commutative": False}),
]
TRUE = [
    (WIDE, {}),
    (WIDE, {"real": True}),
    (WIDE, {"finite": True}),
    (WIDE, {"complex": True}),
    (WIDE, {"extended_real": True}),
    (RIGHT, {"positive": True}),
    (RIGHT, {"nonnegative": True}),
    (RIGHT, {"nonzero": True}),
    (LEFT, {"negative": True}),
    (LEFT, {"nonpositive": True}),
    (LEFT, {"nonzero": True}),
    (LEFT, {"positive": False}),
    (RIGHT, {"negative": False}),
    (WIDE, {"integer": False}),
    (WIDE, {"infinite": False}),
]


@pytest.mark.parametrize(("box", "facts"), FALSE, ids=str)
def test_false(box: pf.Box, facts: dict[str, bool]) -> None:
    own = x(**facts)
    with pytest.raises(pf.InputError, match=r"sympy.Symbol\('x', .*\) says what x is not"):
        rod(lambda u: u.xx - own, box)


@pytest.mark.parametrize(("box", "facts"), TRUE, ids=str)
def test_true(box: pf.Box, facts: dict[str, bool]) -> None:
    own = x(**facts)
    rod(lambda u: u.xx - sp.sin(own), box)


def test_points_outside_and_coefficients() -> None:
    away = pf.Residual([[-1.0]], lambda u: u.x - abs(positive), outside=True)
    with pytest.raises(pf.InputError, match="between -1 and 1"):
        rod(lambda u: u.xx, RIGHT, away)
    a = sp.Symbol("a", positive=True)
    with pytest.raises(pf.InputError, match=r"'a', positive=True\) says what a is not, it is -2,"):
        rod(lambda u: u.xx - sp.sqrt(a**2), coefficients={"a": -2})
    rod(lambda u: u.xx - sp.sqrt(a**2), coefficients={"a": 2})
    n = sp.Symbol("n", integer=True)
    rod(lambda u, x: u.xx - sp.sin(n * sp.pi * x), coefficients={"n": 3})
    with pytest.raises(pf.InputError, match=r"'n', integer=True\) says what n is not, it is 0.5"):
        rod(lambda u, x: u.xx - sp.sin(n * sp.pi * x), coefficients={"n": 0.5})
    with pytest.raises(pf.InputError, match=r"between -inf and inf.* or give it bounds=\{'a': ...\}"):
        rod(lambda u: u.xx - sp.sqrt(a**2), unknown={"a": 2})
    rod(lambda u: u.xx - sp.sqrt(a**2), unknown={"a": 2}, bounds={"a": (0, None)})


def test_other_names_mean_nothing() -> None:
    """A function may name symbols that are no coordinates here, as one of a summation."""
    i = sp.Symbol("i", integer=True)
    rod(lambda u, x: u.xx - sp.Sum(sp.sin(i * x), (i, 1, 3)))
