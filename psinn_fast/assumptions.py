"""What a user's own symbols are declared to be, against what they stand for: SymPy simplifies by it before we see it.

``abs(x)`` of a positive x is x, and ``sin(pi x)`` of an integer x is 0: on a domain with other numbers, something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import sympy as sp

from .bounds import Interval
from .conditions import EQUATION
from .kernels.errors import InputError
from .names import normal

if TYPE_CHECKING:  # it imports this module
    from .problem import Problem

_SIGNS = ("positive", "negative", "nonnegative", "nonpositive", "nonzero")
# Of no interval's numbers, or only of exceptional ones; of all.
_NEVER = (
    "zero", "integer", "even", "odd", "prime", "composite", "rational", "algebraic", "imaginary", "antihermitian",
    "infinite",
)  # fmt: skip
_ALWAYS = ("real", "complex", "finite", "hermitian", "commutative")
# How far from a residual function its helpers are searched for symbols; those of these packages are not.
_DEPTH, _FOREIGN = 3, ("sympy", "numpy", "scipy", "torch", "mpmath", "math", "psinn_fast")


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
        for symbol in (*traced.symbols, *symbols_in(function)):
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


def symbols_in(function: object, depth: int = _DEPTH) -> Iterator[sp.Symbol]:
    """Symbols that a function names, itself or through other functions: they may have vanished from what it gives."""
    if isinstance(function, partial):
        for part in (function.func, *function.args, *function.keywords.values()):
            yield from _symbols_of(part, depth)
    elif isinstance(function, MethodType):
        yield from symbols_in(function.__func__, depth)
    elif isinstance(function, FunctionType) and (function.__module__ or "").split(".")[0] not in _FOREIGN:
        cells = [cell for cell in function.__closure__ or () if _is_filled(cell)]
        named = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        for value in (*(cell.cell_contents for cell in cells), *named.values(), *defaults):
            yield from _symbols_of(value, depth)


def _symbols_of(value: Any, depth: int) -> Iterator[sp.Symbol]:
    if isinstance(value, (sp.Basic, sp.MatrixBase)):
        yield from (s for s in value.free_symbols if isinstance(s, sp.Symbol) and not isinstance(s, sp.Dummy))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _symbols_of(item, 0)
    elif depth > 0 and isinstance(value, Callable):  # type: ignore[arg-type]  # mypy takes it for a form alone
        yield from symbols_in(value, depth - 1)


def _names(code: CodeType) -> set[str]:
    """Of globals, and attributes, that a function and those within it read."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
