"""Very large or small numbers times exponentials, n exp(a): SymPy makes exp(-1e4) exp(1e4 x) of exp(1e4 (x - 1)).

The factors may not fit into float64 where the product does, so they are put together again before it is computed.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from .exact_numbers import is_zero

# Larger numbers, and smaller ones than one over this, are put into exponents.
_LARGE = 1e30


class WholeExp(sp.Function):  # type: ignore[misc]  # SymPy ships no types
    """exp(a), whose argument SymPy does not split."""

    is_real = True
    is_positive = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return self

    def _sympystr(self, printer: Any) -> str:
        return f"exp({printer._print(self.args[0])})"


def whole(expression: sp.Expr) -> sp.Expr:
    """With exp(a + log n) for n exp(a), where n is very large or small, and no sech or csch, which NumPy would have of
    exponentials that may overflow."""
    if expression.has(sp.sech, sp.csch):
        expression = expression.replace(sp.sech, lambda a: 1 / sp.cosh(a)).replace(sp.csch, lambda a: 1 / sp.sinh(a))
    if any(map(_is_far, expression.atoms(sp.Number))):
        return expression.replace(lambda e: isinstance(e, sp.Mul), _joined)
    return expression


def _joined(product: sp.Expr) -> sp.Expr:
    number, others = product.as_coeff_Mul()
    factors = list(sp.Mul.make_args(others))
    exponential = next((part for part in factors if isinstance(part, sp.exp)), None)
    if exponential is None or not _is_far(number):
        return product
    factors.remove(exponential)
    return sp.Mul(sp.sign(number), *factors, WholeExp(exponential.exp + sp.log(abs(number)).evalf()))


def _is_far(number: sp.Number) -> bool:
    return bool(number.is_finite and not is_zero(number) and not 1 / _LARGE <= abs(number) <= _LARGE)
