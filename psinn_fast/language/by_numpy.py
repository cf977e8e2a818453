"""Functions written for NumPy arrays, as expressions: each is called once with a symbol for every array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp
import torch

from ..kernels.errors import InputError
from .closed_forms import closed_form
from .fields import coordinate_symbols

Points = npt.NDArray[np.float64]
# Of the function's largest value: rounding errors of another order of operations.
_ROUNDING = 1e-12
_UNARY: dict[str, Callable[[Any], Any]] = {
    "negative": lambda a: -a, "positive": lambda a: a, "square": lambda a: a**2, "reciprocal": lambda a: 1 / a,
    "absolute": sp.Abs, "fabs": sp.Abs, "sign": sp.sign, "exp": sp.exp, "log": sp.log, "sqrt": sp.sqrt, "sin": sp.sin,
    "cos": sp.cos, "tan": sp.tan, "arctan": sp.atan, "sinh": sp.sinh, "cosh": sp.cosh, "tanh": sp.tanh,
}  # fmt: skip
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b, "power": lambda a, b: a**b, "float_power": lambda a, b: a**b, "maximum": sp.Max,
    "minimum": sp.Min,
}  # fmt: skip


def expression_of(function: Callable[..., Any], coords: tuple[str, ...], points: Points) -> sp.Expr | None:
    """A function of one array for each coordinate, as an expression in the coordinates' symbols; None: it has none.

    Args:
        points: (N, d), at which both give the same numbers, to rounding.
    """
    try:
        found = _plain(function(*(_Traced(symbol) for symbol in coordinate_symbols(coords))))
        form = closed_form([found], coords, "function")
        expected = np.broadcast_to(np.asarray(function(*np.array(points).T), np.float64), (len(points),))
    except Exception:  # of a function that asks for lengths, compares, or calls what knows arrays alone
        return None
    with np.errstate(all="ignore"):
        given = form.values(torch.from_numpy(np.array(points))).numpy()[:, 0]
        is_same = np.abs(given - expected).max(initial=0.0) <= _ROUNDING * max(
            np.abs(expected).max(initial=0.0), 1e-300
        )
    return found if bool(is_same) else None


def _plain(value: Any) -> sp.Expr:
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value.item()
    if isinstance(value, _Traced):
        return value.expression
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise InputError(f"expected a number or an expression, got {type(value).__name__}")
    number = float(value)
    return sp.Integer(int(number)) if number.is_integer() and abs(number) < 2**53 else sp.Float(number, 17)


class _Traced:
    """A symbol in an array's place: NumPy's functions and operators of it are expressions."""

    def __init__(self, expression: sp.Expr) -> None:
        self.expression = expression

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *given: Any, **options: Any) -> _Traced:
        if method != "__call__" or options:
            raise TypeError(f"{ufunc.__name__} of a symbol")
        return self._called(ufunc.__name__, given)

    def _called(self, name: str, given: Sequence[Any]) -> _Traced:
        known: dict[str, Callable[..., Any]] = _UNARY if len(given) == 1 else _BINARY
        if name not in known:
            raise TypeError(f"{name} of a symbol")
        return _Traced(known[name](*map(_plain, given)))

    def __getattr__(self, name: str) -> Callable[[], _Traced]:
        # NumPy calls these of what is in arrays of objects.
        if name not in _UNARY:
            raise AttributeError(name)
        return lambda: self._called(name, (self,))

    def __bool__(self) -> bool:
        raise TypeError("a symbol is neither true nor false")

    def __neg__(self) -> _Traced:
        return self._called("negative", (self,))

    def __abs__(self) -> _Traced:
        return self._called("absolute", (self,))

    def __add__(self, other: Any) -> _Traced:
        return self._called("add", (self, other))

    def __radd__(self, other: Any) -> _Traced:
        return self._called("add", (other, self))

    def __sub__(self, other: Any) -> _Traced:
        return self._called("subtract", (self, other))

    def __rsub__(self, other: Any) -> _Traced:
        return self._called("subtract", (other, self))

    def __mul__(self, other: Any) -> _Traced:
        return self._called("multiply", (self, other))

    def __rmul__(self, other: Any) -> _Traced:
        return self._called("multiply", (other, self))

    def __truediv__(self, other: Any) -> _Traced:
        return self._called("divide", (self, other))

    def __rtruediv__(self, other: Any) -> _Traced:
        return self._called("divide", (other, self))

    def __pow__(self, other: Any) -> _Traced:
        return self._called("power", (self, other))

    def __rpow__(self, other: Any) -> _Traced:
        return self._called("power", (other, self))
