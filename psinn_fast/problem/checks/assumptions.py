"""What a user's own symbols are declared to be, against what they stand for: SymPy simplifies by it before we see it.

``abs(x)`` of a positive x is x, and ``sin(pi x)`` of an integer x is 0: on a domain with other numbers, something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from ...kernels.errors import InputError
from ...language.names import normal
from ...language.own_symbols import symbols_in
from ..bounds import Interval
from ..conditions import EQUATION

if TYPE_CHECKING:  # it imports this module
    from ..problem import Problem

_SIGNS = ("positive", "negative", "nonnegative", "nonpositive", "nonzero")
# Of no interval's numbers, or only of exceptional ones; of all.
_NEVER = (
    "zero", "integer", "even", "odd", "prime", "composite", "rational", "algebraic", "imaginary", "antihermitian",
    "infinite",
)  # fmt: skip
_ALWAYS = ("real", "complex", "finite", "hermitian", "commutative")


def refuse_false_assumptions(problem: Problem) -> None:
    """
    Raises:
        InputError: a symbol in a residual, or in the code of its function, has the name of a coordinate or coefficient
            and is declared to be what that is not: positive on (-1, 1).
    """
    pde = problem.pde
    for condition, traced in zip(problem.conditions, problem.traced, strict=True):
        intervals: dict[str, Interval] = {name: problem.unknowns.interval(name) for name in pde.unknown}
        intervals |= {name: (value, value) for name, value in pde.coefficients.items()}
        for axis, name in enumerate(pde.coords):
            ends = [problem.domain.low[axis], problem.domain.high[axis]]
            if condition.outside:
                ends += [end for site in condition.sites for end in (site[:, axis].min(), site[:, axis].max())]
            intervals[name] = float(min(ends)), float(max(ends))
        function = pde.residual if condition.kind == EQUATION else condition.own_function()
        for symbol in (*traced.symbols, *sorted(symbols_in(function), key=str)):
            name = normal(symbol.name)
            if name not in intervals:
                continue
            fact = _false(symbol, *intervals[name])
            if fact is not None:
                low, high = intervals[name]
                where = f"is {low:g}" if low == high else f"is between {low:g} and {high:g}"
                advice = "the residual function's parameter, or a symbol with real=True alone"
                if name in pde.unknown:
                    advice += f", or give it bounds={{{name!r}: ...}}"
                raise InputError(
                    f"term {condition.name!r}: sympy.Symbol({symbol.name!r}, {fact}) says what {name} is not, it "
                    f"{where}, and SymPy simplifies by it (abs(x) to x, if x is positive); use {advice}"
                )


def _false(symbol: sp.Symbol, low: float, high: float) -> str | None:
    """What a symbol is declared to be and numbers from low to high are not."""
    facts = symbol.assumptions0
    for name in (*_SIGNS, *_NEVER, *_ALWAYS):
        for fact in (name, f"extended_{name}"):
            if fact in facts and _is_false(name, facts[fact], low, high):
                return f"{fact}={facts[fact]}"
    return None


def _is_false(name: str, declared: bool, low: float, high: float) -> bool:
    if low == high:
        number = sp.Integer(int(low)) if low.is_integer() else sp.Float(low)
        return getattr(number, f"is_{name}") not in (None, declared)
    if name == "nonzero":
        return low < 0 < high or not declared
    if name in ("positive", "nonnegative"):
        return low < 0 if declared else high > 0
    if name in ("negative", "nonpositive"):
        return high > 0 if declared else low < 0
    return declared if name in _NEVER else not declared
