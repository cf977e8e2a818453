"""Matrices of linear forms.

A block of a rewritten layer is a linear form in the layer's symbols, such as A + B. `Forms` numbers them: entries of a
matrix are signed numbers, k for form k, -k for its opposite, 0 for zero. So "equal up to sign" is "equal in absolute
value", at every stage, and nothing here depends on what the symbols' values are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..symbols import IntArray

FloatArray = npt.NDArray[np.float64]


class Forms:
    """Linear forms sum_s c_s Theta_s, numbered from 1 (the symbols first). A form's first coefficient is positive."""

    def __init__(self, n_symbols: int) -> None:
        self.terms: list[tuple[tuple[int, float], ...]] = [(), *(((s, 1.0),) for s in range(1, n_symbols + 1))]
        self._numbers = {terms: number for number, terms in enumerate(self.terms)}
        self._sums: dict[tuple[int, int, float], int] = {}

    def add(self, a: IntArray, b: IntArray, scale: float = 1.0) -> IntArray:
        """scale * (a + b), entry by entry."""
        pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
        return np.array([self._sum(x, y, scale) for x, y in pairs], dtype=np.int64).reshape(a.shape)

    def table(self) -> tuple[IntArray, IntArray, FloatArray]:
        """(first, symbol, coefficient): form k has the terms first[k] to first[k + 1]."""
        first = np.cumsum([0, *(len(terms) for terms in self.terms)])
        flat = [term for terms in self.terms for term in terms]
        return first, np.array([s for s, _ in flat], dtype=np.int64), np.array([c for _, c in flat], dtype=np.float64)

    def _sum(self, a: int, b: int, scale: float) -> int:
        key = (a, b, scale)
        if key not in self._sums:
            total: dict[int, float] = {}
            for number in (a, b):
                for symbol, coefficient in self.terms[abs(number)]:
                    total[symbol] = total.get(symbol, 0.0) + (scale if number > 0 else -scale) * coefficient
            self._sums[key] = self._number(total)
        return self._sums[key]

    def _number(self, total: dict[int, float]) -> int:
        terms = sorted((symbol, coefficient) for symbol, coefficient in total.items() if coefficient)
        sign = -1 if terms and terms[0][1] < 0 else 1
        key = tuple((symbol, sign * coefficient) for symbol, coefficient in terms)
        if key not in self._numbers:
            self._numbers[key] = len(self.terms)
            self.terms.append(key)
        return sign * self._numbers[key]
