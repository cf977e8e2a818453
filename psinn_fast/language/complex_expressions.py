"""Real expressions of complex parts, (exp(i x) + exp(-i x))/2 or |exp(i x) + 1|, without the imaginary unit."""

from __future__ import annotations

import sympy as sp

from .exact_numbers import is_zero

# Of more operations SymPy's simplification takes minutes.
_LARGE = 200


def real_form(expression: sp.Expr) -> sp.Expr | None:
    """An equal expression without i; None if SymPy cannot show that it is real."""
    if expression.has(sp.nan, sp.oo, -sp.oo, sp.zoo):
        return None
    return _real(expression.replace(_is_complex_size, _size).replace(_is_of_complex, _of_real))


def _is_complex_size(e: sp.Basic) -> bool:
    return isinstance(e, sp.Abs) and bool(e.has(sp.I))


def _size(size: sp.Abs) -> sp.Expr:
    """|a + i b| = sqrt(a^2 + b^2)"""
    real, imaginary = size.args[0].as_real_imag()
    return sp.sqrt(real**2 + imaginary**2)


def _is_of_complex(e: sp.Basic) -> bool:
    return isinstance(e, (sp.Pow, sp.Function)) and bool(e.has(sp.I))


def _of_real(e: sp.Expr) -> sp.Expr:
    """Roots and functions of what is real though its parts are not."""
    return e.func(*(arg if (real := _real(arg)) is None else real for arg in e.args))


def _real(e: sp.Expr) -> sp.Expr | None:
    if not e.has(sp.I):
        return e
    real, imaginary = e.as_real_imag()
    if not _vanishes(imaginary):
        real, imaginary = sp.expand(e, complex=True).as_real_imag()
    return real if _vanishes(imaginary) and not real.has(sp.I, sp.re, sp.im) else None


def _vanishes(e: sp.Expr) -> bool:
    return is_zero(e) or is_zero(sp.expand(e)) or (sp.count_ops(e) <= _LARGE and is_zero(sp.simplify(e)))
