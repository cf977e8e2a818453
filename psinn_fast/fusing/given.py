"""What symbols of recorded expressions stand for.

All of them say ``n_points``, of how many points they have numbers, 1 where these are the same at all; and ``reads``,
the symbols that they are computed from.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy as sp
import torch
from torch import Tensor

from ..kernels.errors import InputError

# Relative differences that the order of operations makes.
_NEAR = 1e-12
Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Shape = tuple[int, ...]
Reads = frozenset[sp.Symbol]


def _symbols(expressions: Iterable[sp.Expr]) -> Reads:
    return frozenset().union(*(expression.free_symbols for expression in expressions))


@dataclass(frozen=True, eq=False)
class Entry:
    """One component of a tensor (N..., E...) at every point."""

    tensor: Tensor
    n_points: int
    component: int
    reads: Reads = frozenset()

    def numbers(self) -> Numbers:
        """(N,), in float64, as the tensor is now."""
        values = self.tensor.detach().reshape(self.n_points, -1)[:, self.component]
        return np.asarray(values.to("cpu", torch.float64).numpy(), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Opaque(Entry):
    """Given numbers that came out of an operation which is not known: for the given points alone."""

    operation: str = ""


@dataclass(frozen=True, eq=False)
class Scalar:
    """One number of a tensor that is the same at all points, and may change."""

    tensor: Tensor
    component: int
    n_points: int = 1
    reads: Reads = frozenset()


@dataclass(frozen=True, eq=False)
class Taken:
    """Rows of another symbol's numbers."""

    base: sp.Symbol
    rows: Rows

    @property
    def n_points(self) -> int:
        return len(self.rows)

    @property
    def reads(self) -> Reads:
        return frozenset({self.base})


@dataclass(frozen=True, eq=False)
class Joined:
    """The numbers of several expressions, one behind the other."""

    parts: tuple[tuple[sp.Expr, int], ...]

    @property
    def n_points(self) -> int:
        return sum(n for _, n in self.parts)

    @property
    def reads(self) -> Reads:
        return _symbols(part for part, _ in self.parts)


@dataclass(frozen=True, eq=False)
class Inner:
    """An input of the network that is computed from other symbols."""

    definition: sp.Expr
    n_points: int

    @property
    def reads(self) -> Reads:
        return _symbols([self.definition])


@dataclass(frozen=True, eq=False)
class Total:
    """The sum of given numbers over ``n`` points."""

    expression: sp.Expr
    n: int
    n_points: int = 1

    @property
    def reads(self) -> Reads:
        return _symbols([self.expression])


@dataclass(frozen=True, eq=False)
class Truth:
    """Whether a comparison holds at each point, as it was ``found`` for these ``values`` (N, 2)."""

    comparison: str
    operands: tuple[sp.Expr, sp.Expr]
    values: Numbers
    found: npt.NDArray[np.bool_]

    @property
    def n_points(self) -> int:
        return len(self.found)

    @property
    def reads(self) -> Reads:
        return _symbols(self.operands)

    def at(self, values: Numbers) -> Numbers:
        """
        Raises:
            InputError: numbers are so near each other that rounding decides, which is another one here than in torch.
        """
        if np.array_equal(values, self.values, equal_nan=True):
            return self.found.astype(np.float64)
        left, right = values.T
        is_computed = not all(own.is_Symbol or own.is_number for own in self.operands)
        if is_computed and bool((np.abs(left - right) <= _NEAR * (np.abs(left) + np.abs(right) + 1)).any()):
            raise InputError(
                f"fused loss: points have changed to where rounding decides on {self.operands[0]} {self.comparison} "
                f"{self.operands[1]}; fuse the loss anew"
            )
        return np.asarray(getattr(operator, self.comparison)(left, right), dtype=np.float64)


Given = Entry | Scalar | Taken | Joined | Inner | Total | Truth


@dataclass(frozen=True, eq=False)
class PointSum:
    """The sum of an expression over its points, of which there are ``shape``."""

    shape: Shape
    expression: sp.Expr
    n_points: int = 1

    @property
    def reads(self) -> Reads:
        return _symbols([self.expression])


@dataclass(frozen=True, eq=False)
class Call:
    """A call of the network: its inputs, one symbol each, and how many points they have."""

    inputs: tuple[sp.Symbol, ...]
    n: int
