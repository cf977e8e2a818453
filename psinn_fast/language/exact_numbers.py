"""Floats that are integers, as integers, which SymPy's rules are about.

From SymPy 1.13 on 0.0 == 0 is False, as is 1.0 x == x; x**2.0 is no square to any version, nor x**0.5 a root.
"""

from __future__ import annotations

import sympy as sp

# Above it floats have no digit for the unit.
_LARGEST = 2**53


def with_exact_numbers(expression: sp.Expr) -> sp.Expr:
    """An equal expression without floats that are integers, nor powers of floats that are halves of odd ones."""
    if not expression.has(sp.Float):
        return expression
    expression = expression.xreplace({own: sp.Integer(int(own)) for own in expression.atoms(sp.Float) if is_whole(own)})
    roots = [own for own in expression.atoms(sp.Pow) if own.exp.is_Float and is_whole(2 * own.exp)]
    if not roots:
        return expression
    return expression.replace(
        lambda e: isinstance(e, sp.Pow) and e.exp.is_Float and is_whole(2 * e.exp),
        lambda e: e.base ** sp.Rational(int(2 * e.exp), 2),
    )


def is_whole(number: sp.Float) -> bool:
    """Whether a float is an integer that it has all digits of."""
    value = float(number)  # of infinities and NaN none is an integer
    return value.is_integer() and abs(value) < _LARGEST and is_zero(number - int(value))


def is_zero(expression: sp.Expr) -> bool:
    """Whether it is written as 0 or 0.0."""
    return bool(expression.is_Number) and not expression
