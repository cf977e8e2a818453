"""Where an expression may have a peak that no sampling meets: functions whose minima lie there, by how it is written.

exp(-((t - 3)/1e-6)**2) is 0 in float64 nearly everywhere, but the argument of exp leads to its peak from anywhere. So
does what decides a `Piecewise`, or the argument of Heaviside, cosh, or a negative power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sympy as sp

from ...language.exponentials import WholeExp
from ...language.steps import in_steps

Points = npt.NDArray[np.float64]
# Functions that are nowhere much larger than elsewhere, but for what is in them.
_EVEN = (sp.sin, sp.cos, sp.Abs, sp.log, sp.re, sp.im, sp.conjugate)
_EXPONENTIALS = (sp.exp, WholeExp)
# Those that change while their argument does by about 1.
_SCALED = (*_EXPONENTIALS, sp.tanh, sp.sinh, sp.cosh, sp.coth, sp.erf, sp.erfc, sp.atan)
# Powers from this one on are peaks: cos(x)**200.
_STEEP = 8
_MOST = 500
# Where exp(-a), or 1/a, is at least a tenth, or half, of the largest.
_TENTH, _HALF = 2.3, 2.0
# By which one goes on inside of what holds.
_INWARDS = 1e-3
# Of two numbers; SymPy's own are slow to make, and NumPy has them of equal shapes only.
_larger, _smaller = sp.Function("_larger"), sp.Function("_smaller")
_MODULES = [{"_larger": np.maximum, "_smaller": np.minimum, WholeExp.__name__: np.exp}, "scipy", "numpy"]


class Guide(NamedTuple):
    """A function of the coordinates; near its least value m, up to m + ``margin`` or ``times`` m, what it stands for is
    still large. Without either, that is not known."""

    expression: sp.Expr
    margin: float = 0.0
    times: float = 1.0


def guides(expression: sp.Expr, coords: Sequence[sp.Symbol]) -> list[Guide]:
    """What leads to places worth looking at; nothing where an expression is smooth by how it is written.

    Args:
        expression: of the ``coords`` alone. Of very long ones the first guides are given.
    """
    places = set(coords)
    found = dict.fromkeys(islice(_of(expression), _MOST))
    return [guide for guide in found if guide.expression.free_symbols & places]


def compiled(expression: sp.Expr, coords: Sequence[sp.Symbol]) -> Callable[[Points], Points]:
    """Points (N, d) -> (N,), not finite where there is no real number."""
    function = sp.lambdify(tuple(coords), expression, _MODULES, cse=_definitions)

    def values(points: Points) -> Points:
        with np.errstate(all="ignore"):
            found = np.asarray(function(*points.T))
        if np.iscomplexobj(found):
            found = np.where(found.imag == 0, found.real, np.nan)
        return np.array(np.broadcast_to(found, len(points)), dtype=np.float64)

    return values


def _definitions(expression: sp.Expr) -> tuple[list[tuple[sp.Symbol, sp.Expr]], sp.Expr]:
    """What is nested deeper than Python reads is written in steps."""
    steps, (last,) = in_steps([expression], ())
    return steps, last


def _of(expression: sp.Basic) -> Iterator[Guide]:
    if isinstance(expression, sp.Mul):
        yield from _of_product(expression)
        return
    if isinstance(expression, sp.Piecewise):
        yield from _of_cases(expression)
    elif isinstance(expression, sp.Pow):
        base, exponent = expression.args
        if not exponent.is_number:  # b^a = exp(a log b)
            yield Guide(-exponent * sp.log(base), _TENTH)
        elif exponent.is_negative:
            yield Guide(sp.Abs(base), times=_HALF)
        elif exponent.is_integer and exponent >= _STEEP:
            yield Guide(-sp.Abs(base))
    elif isinstance(expression, (sp.Max, sp.Min)):
        yield from (Guide(-part if isinstance(expression, sp.Max) else part) for part in expression.args)
    elif isinstance(expression, sp.Function) and not isinstance(expression, _EVEN):
        margin = _TENTH if isinstance(expression, _SCALED) else 0.0
        for part in expression.args:
            if not isinstance(part, sp.Expr):  # tuples of numbers, of hypergeometric functions
                continue
            yield Guide(-part if isinstance(expression, _EXPONENTIALS) else sp.Abs(part), margin)
    for part in expression.args:
        yield from _of(part)


def _of_product(product: sp.Mul) -> Iterator[Guide]:
    """Those of each factor, and one for all of them together: a product is large where all factors are."""
    parts = []
    for factor in product.args:
        own = list(_of(factor))
        if isinstance(factor, sp.Heaviside):
            parts.append(-factor.args[0])
        elif own:
            parts.append(reduce(_smaller, [guide.expression for guide in own]))
        yield from own
    if len(parts) > 1:
        yield Guide(_all_of(parts))


def _of_cases(cases: sp.Piecewise) -> Iterator[Guide]:
    """Each case as far inside of its condition, and outside of those before it, as can be."""
    before: list[sp.Expr] = []
    for value, condition in cases.args:
        beyond = _beyond(condition)
        own = [*before, *([] if beyond is None else [beyond])]
        if value != 0 and own:
            yield Guide(_all_of(own))
        before += [] if beyond is None else [-beyond]


def _beyond(condition: sp.Basic) -> sp.Expr | None:
    """Negative where a condition holds, the more the farther inside; None where that is not known."""
    if isinstance(condition, (sp.StrictLessThan, sp.LessThan)):
        return condition.lhs - condition.rhs
    if isinstance(condition, (sp.StrictGreaterThan, sp.GreaterThan)):
        return condition.rhs - condition.lhs
    if isinstance(condition, sp.Not):
        inner = _beyond(condition.args[0])
        return None if inner is None else -inner
    if isinstance(condition, (sp.And, sp.Or)):
        parts = [part for own in condition.args if (part := _beyond(own)) is not None]
        if parts:
            return _all_of(parts) if isinstance(condition, sp.And) else reduce(_smaller, parts)
    return None


def _all_of(parts: Sequence[sp.Expr]) -> sp.Expr:
    """Small where all parts are: a sum, down which one can go axis by axis, and once inside of all of them farther."""
    if len(parts) == 1:
        return parts[0]
    return sp.Add(*(_larger(part, 0) for part in parts), _INWARDS * reduce(_larger, parts))
