"""Expressions by cases that jump: SymPy differentiates case by case, and the derivative of the jump is lost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import sympy as sp
from sympy.core.relational import Relational

from ..kernels.errors import InputError
from .fields import SymbolicField
from .steps import readable

# Draws of the other variables, over so many orders of magnitude; relative to a breakpoint, how far its two sides are,
# and a difference that is more than rounding.
_DRAWS, _ORDERS = 60, (-9.0, 4.0)
_STEP, _FAR, _ROUNDING, _NEAR = 1e-6, 1e4, 1e-9, 1e-3


def refuse_jumps(expression: sp.Expr, variable: sp.Symbol) -> None:
    """
    Raises:
        InputError: an expression with cases whose values differ on both sides of a breakpoint along ``variable``, or
            whose breakpoints are not found.
    """
    cases = [piece for piece in expression.atoms(sp.Piecewise) if any(c.has(variable) for _, c in piece.args)]
    conditions = [c for piece in cases for _, c in piece.args if c.has(variable)]
    if not conditions or any(c.has(SymbolicField) for c in conditions):  # cases of a field are refused anyway
        return
    known = {field: sp.Dummy(real=True) for field in expression.atoms(SymbolicField)}
    plain = expression.xreplace(known)
    others = sorted(plain.free_symbols - {variable}, key=str)
    breakpoints = _breakpoints(conditions, variable)
    if breakpoints is None:
        raise InputError(
            f"derivative by {variable} of {readable(cases[0], 200)}: it cannot be decided whether this jumps between "
            "its cases; write the derivative of each case"
        )
    for values in _draws(others):
        places = [p for p in (_number(b.xreplace(values)) for b in breakpoints) if p is not None]
        for place in places:
            if _jumps(plain.xreplace(values), variable, place, places):
                raise InputError(
                    f"derivative by {variable} of {readable(cases[0], 200)}, which jumps at {variable} = {place:.6g}: "
                    "the derivative of the jump is not seen at points; give each side an equation of its own and "
                    "conditions between them, or smooth the jump over many points, e.g. with tanh"
                )


def _breakpoints(conditions: Sequence[sp.Basic], variable: sp.Symbol) -> list[sp.Expr] | None:
    """Where the variable passes from one case to another, as expressions of the others; None if that is not known."""
    found: dict[sp.Expr, None] = {}
    for condition in conditions:
        relations = condition.atoms(Relational)
        if condition.xreplace(dict.fromkeys(relations, sp.true)).has(variable):
            return None
        for relation in relations:
            if not relation.has(variable):
                continue
            try:
                solutions = sp.solve(relation.lhs - relation.rhs, variable)
            except NotImplementedError:
                return None
            found.update(dict.fromkeys(solutions))
    return list(found)


def _draws(others: Sequence[sp.Symbol]) -> Iterator[Mapping[sp.Symbol, sp.Float]]:
    rng = np.random.default_rng(0)
    for _ in range(_DRAWS if others else 1):
        size = 10 ** rng.uniform(*_ORDERS)
        yield {s: sp.Float(size * rng.uniform(-1, 1)) for s in others}


def _jumps(expression: sp.Expr, variable: sp.Symbol, place: float, places: Sequence[float]) -> bool:
    """Whether the two cases that meet differ, at the breakpoint itself, or near it where they have no value there."""
    gaps = [abs(other - place) for other in places if other != place]
    step = min([_STEP * (abs(place) or 1.0), *(_NEAR * gap for gap in gaps)])
    sides = [_case(expression, variable, place + sign * step) for sign in (-1, 1)]

    def values(steps: float) -> list[float]:
        found = (_number(side.subs(variable, place + s * steps)) for side, s in zip(sides, (-1, 1), strict=True))
        return [value for value in found if value is not None]

    # Values at some distance say what is small.
    at, near, size = values(0.0), values(step), max(map(abs, values(_FAR * step)), default=0.0)
    left_and_right, tolerance = (at, _ROUNDING) if len(at) == 2 else (near, _NEAR)
    if len(left_and_right) < 2:
        return False
    return abs(left_and_right[0] - left_and_right[1]) > tolerance * max(size, *map(abs, left_and_right))


def _case(expression: sp.Expr, variable: sp.Symbol, place: float) -> sp.Expr:
    """The expression as it is around a place, without cases."""

    def chosen(piece: sp.Piecewise) -> sp.Expr:
        for value, condition in piece.args:
            if condition.subs(variable, place) == True:  # noqa: E712  # SymPy's
                return value
        return sp.nan

    return expression.replace(lambda e: isinstance(e, sp.Piecewise), chosen)


def _number(expression: sp.Expr) -> float | None:
    """A finite real number, or None."""
    try:
        value = complex(expression)
    except (TypeError, ValueError, OverflowError):
        return None
    is_real = abs(value.imag) <= _ROUNDING * abs(value.real)
    return value.real if is_real and math.isfinite(value.real) else None
