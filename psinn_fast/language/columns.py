"""Numbers per point that depend on the coordinates alone: source terms and coefficients that vary in space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp

from ..kernels.errors import InputError
from .exponentials import WholeExp
from .special import FUNCTIONS

Points = npt.NDArray[np.float64]


class Columns:
    """Expressions of the coordinates, computed in float64: points (N, d), one array per site -> (N, n)."""

    def __init__(self, expressions: Sequence[sp.Expr], symbols: Sequence[sp.Symbol], where: str) -> None:
        """
        Args:
            expressions: of the coordinates.
            symbols: the coordinates, those of the second site behind those of the first.
            where: names the term in error messages.

        Raises:
            InputError: functions that neither NumPy nor SciPy has.
        """
        self.expressions, self.symbols, self.where = tuple(expressions), tuple(symbols), where
        self._values([np.full(1, 0.5)] * len(self.symbols))

    def __getstate__(self) -> dict[str, Any]:
        # Compiled code cannot be pickled.
        return {"expressions": self.expressions, "symbols": self.symbols, "where": self.where}

    @cached_property
    def _function(self) -> Callable[..., list[Any]]:
        # SciPy's special functions too: a source term may use what a residual may not.
        function: Callable[..., list[Any]] = sp.lambdify(
            self.symbols, list(self.expressions), [{WholeExp.__name__: np.exp, **FUNCTIONS}, "scipy", "numpy"]
        )
        return function

    def _values(self, coordinates: Sequence[Points]) -> list[Any]:
        if not self.expressions:  # most conditions have none, and compiling takes milliseconds
            return []
        try:
            with np.errstate(all="ignore"):  # poles are found, and reported with the term's name, by the caller
                return self._function(*coordinates)
        except Exception as error:  # of any function that SymPy can name
            raise InputError(f"{self.where}: source terms: {_advice(error)}") from error

    def __call__(self, x: Sequence[Points]) -> Points:
        """
        Raises:
            InputError: values that are not real.
        """
        result = np.empty((len(x[0]), len(self.expressions)))
        values = self._values([coordinate for site in x for coordinate in site.T])
        for i, (value, expression) in enumerate(zip(values, self.expressions, strict=True)):
            if np.iscomplexobj(value) and np.abs(np.imag(value)).max() > 0:
                raise InputError(f"{self.where}: the source term {expression} is complex at some points")
            result[:, i] = np.real(value)
        return result


def _advice(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, NameError):
        return f"neither NumPy nor SciPy has SymPy's {error.name}; write another function of the coordinates"
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"NumPy and SciPy cannot compute them ({reason})"
