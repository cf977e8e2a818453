"""Fields and coefficients that nothing depends on are refused."""

from __future__ import annotations

import pytest
import sympy as sp

from psinn_fast import PDE, Box, Data, Dirichlet, InputError, Periodic, Problem, Residual

LINE = Box(x=(0, 1))
ENDS = LINE.boundary(2)
UNUSED = {
    "field": (("x", "u v", lambda u: u.xx), [Residual(LINE.grid(9)), Dirichlet(ENDS, u=0.0)], "fields:'v'"),
    "fields": (("x", "u v w", lambda v: v.xx), [Residual(LINE.grid(9))], "fields:'u' and 'w'"),
    "field of a term that weighs nothing": (
        ("x", "u v", lambda u, v: [u.xx, v.x - u]),
        [Residual(LINE.grid(9), weight=0), Dirichlet(ENDS, u=0.0), Dirichlet(ENDS, v=0.0, weight=0)],
        "fields:'v'",
    ),
    "field that cancels": (
        ("x", "u v", lambda u, v: u.xx + v.x - sp.diff(v + u, "x")),
        [Residual(LINE.grid(9))],
        "fields:'v'",
    ),
    "field times zero": (("x", "u v", lambda u, v, c: u.x + c * v, {"c": 0}), [Residual(LINE.grid(9))], "fields:'v'"),
    "field without its equation": (("x", "u v", lambda u, v: u.x + v), [Data(ENDS, u=0.0)], "fields:'v'"),
    "coefficient": (("x", "u", lambda u: u.xx + 1, {}, {"a": 0.5}), [Residual(LINE.grid(9))], "unknown:'a'"),
    "coefficient without its equation": (
        ("x", "u", lambda u, a: u.xx + a, {}, {"a": 0.5}),
        [Residual(LINE.grid(9), weight=0), Data(ENDS, u=0.0)],
        "unknown:'a'",
    ),
    "coefficients": (
        ("x", "u", lambda u, b: u.xx * b, {}, {"a": 1, "b": 1, "c": 1}),
        [Residual(ENDS)],
        "unknown:'a' and 'c'",
    ),
}


@pytest.mark.parametrize("name", UNUSED)
def test_what_no_term_depends_on(name: str) -> None:
    """It would stay at random, and look like a part of the solution."""
    pde, conditions, unused = UNUSED[name]
    what, names = unused.split(":")
    with pytest.raises(InputError, match=f"pde: {what}: no term of positive weight depends on {names}"):
        Problem("p", PDE(*pde), LINE, conditions)


def test_what_some_term_depends_on() -> None:
    pde = PDE("x", "u v", lambda u: u.xx, unknown={"a": 0.5})
    Problem("p", pde, LINE, [Residual(LINE.grid(9)), Residual(ENDS, lambda v, a: v.x - a, weight=1e-9)])
    Problem("p", pde, LINE, [Residual(LINE.grid(9)), Data(ENDS, v=0.0), Residual(ENDS, lambda a: a - 1)])
    Problem("p", PDE("x", "u v", lambda u: u.xx), LINE, [Residual(ENDS), Periodic(ENDS[:1], ENDS[1:], "v_x")])


def test_known_coefficients_that_no_residual_has() -> None:
    """They are mostly misspelt: the residual function reads something else instead."""
    b, c = sp.symbols("b c")
    for function, unused in (
        (lambda u: u.xx + 1, "'a' or 'b' or 'c'"),
        (lambda u, a: u.xx + a, "'b' or 'c'"),
        (lambda u: u.xx + b, "'a' or 'c'"),
    ):
        pde = PDE("x", "u", function, {"a": 1, "b": 2, "c": 3})
        with pytest.raises(InputError, match=f"^pde: coefficients: no residual has {unused} as a parameter; leave it"):
            Problem("p", pde, LINE, [Residual(LINE.grid(9))])
        own = Residual(ENDS, lambda u, a, b, c: a * u + b - c, weight=0)
        Problem("p", pde, LINE, [Residual(LINE.grid(9)), own])
    everything = PDE("x", "u", lambda u, a: u.xx + a + b * u - c, {"a": 1, "b": 2, "c": 3})
    Problem("p", everything, LINE, [Residual(LINE.grid(9))])
    Problem("p", everything, LINE, [Data(ENDS, u=0.0)])
