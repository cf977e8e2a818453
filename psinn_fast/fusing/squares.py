"""A recorded loss as weighted sums of squares over points, which is what the kernels and Gauss-Newton take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sympy as sp

from ..kernels.errors import InputError
from ..language.expressions import short
from ..language.fields import SymbolicField
from .given import Shape
from .recorded import number
from .symbols import Symbols

_ADVICE = "a fused loss is a sum over points of squares, e.g. (residual**2).mean(), with weights that are not negative"


@dataclass(frozen=True)
class SquareTerm:
    """weight * mean over points of the sum of residuals^2.

    ``calls``: of the network, one site of the term each.
    """

    name: str
    weight: float
    shape: Shape
    residuals: tuple[sp.Expr, ...]
    calls: tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """The sum of an expression over n points."""

    expression: sp.Expr
    n: int

    def value(self, symbols: Symbols) -> float:
        return float(symbols.evaluated([self.expression], self.n).sum())


class Place(NamedTuple):
    """How many points, and which calls of the network give their fields."""

    shape: Shape
    calls: tuple[int, ...]


@dataclass(frozen=True)
class Squares:
    """``constants``: what is added to the terms, and no training changes."""

    terms: tuple[SquareTerm, ...]
    constants: tuple[Constant, ...]


def as_squares(symbols: Symbols, losses: dict[str, sp.Expr]) -> Squares:
    """
    Args:
        losses: by name; their sum is the loss. One that is called "" is named by the number of its terms.

    Raises:
        InputError: a loss is no sum of squares over points.
    """
    terms: list[SquareTerm] = []
    constants: list[Constant] = []
    for name, loss in losses.items():
        terms += _terms_of(symbols, loss, name, constants)
    if not any(term.calls for term in terms):
        raise InputError("loss_fn: the loss does not depend on the network")
    return Squares(tuple(terms), tuple(constants))


def _terms_of(symbols: Symbols, loss: sp.Expr, name: str, constants: list[Constant]) -> list[SquareTerm]:
    """``constants``: takes those of this loss."""
    sums = symbols.sums_in(loss)
    counts = [symbols.calls[call].n for call in _calls(loss)]
    counts += [symbols.n_of(s) for s in loss.free_symbols if symbols.is_of_points(s)]
    if any(n != 1 for n in counts):
        raise InputError("loss_fn: the loss has a number for each point; take its mean or sum")
    slopes = {s: sp.diff(loss, s) for s in sums}
    for s, slope in slopes.items():
        if symbols.sums_in(slope):
            inner = symbols.sum_of(s)
            assert inner is not None
            raise InputError(
                f"loss_fn: the sum over points of {short(inner.expression)} is not added to the loss as it is, but by "
                f"a root, product or other function; {_ADVICE}"
            )
    groups: dict[Place, list[tuple[float, sp.Expr]]] = {}

    def add(whole: sp.Expr, factor: float, shape: Shape) -> None:
        """factor * sum over the points of ``whole``."""
        n = _count(shape)
        if any(symbols.calls[call].n != n for call in _calls(whole)):
            raise InputError(
                f"loss_fn: the residual {short(whole)} holds values of the network at other points than its own; a "
                "condition at one point is a square of its own"
            )
        for part in sp.Add.make_args(whole):
            if not symbols.is_trained(part):
                constants.append(Constant(factor * part, n))
                continue
            weight, root = _root(symbols, part, n)
            if weight * factor < 0 or not math.isfinite(weight * factor):
                raise InputError(f"loss_fn: the square of {short(root)} has the weight {weight * factor:g}; {_ADVICE}")
            if weight * factor:
                groups.setdefault(Place(shape, _calls(root)), []).append((weight * factor * n, root))

    for s, slope in slopes.items():
        inner = symbols.sum_of(s)
        assert inner is not None
        if symbols.sums_in(inner.expression):
            raise InputError(
                f"loss_fn: the residual {short(inner.expression)} holds a sum over points, by which every point "
                "depends on all"
            )
        if slope.free_symbols:  # it has a root of its own
            for part in sp.Add.make_args(slope):
                for own in sp.Add.make_args(inner.expression):
                    add(part * own, 1.0, inner.shape)
        else:
            add(inner.expression, float(slope), inner.shape)
    add(loss.xreplace(dict.fromkeys(sums, sp.S.Zero)), 1.0, ())
    return _merged(groups, name)


def _count(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _calls(expression: sp.Expr) -> tuple[int, ...]:
    return tuple(sorted({field.site for field in expression.atoms(SymbolicField)}))


def _merged(groups: Mapping[Place, list[tuple[float, sp.Expr]]], name: str) -> list[SquareTerm]:
    """Squares at the same points are one term, so that the network is computed there once."""
    owners: dict[Place, Place] = {}
    for key in sorted(groups, key=lambda place: -len(place.calls)):
        same = (own for own in owners.values() if own.shape == key.shape and {*key.calls} <= {*own.calls})
        owners[key] = next(same, key) if key.calls else key
    merged: dict[Place, list[tuple[float, sp.Expr]]] = {}
    for key, squares in groups.items():
        merged.setdefault(owners[key], []).extend(squares)
    terms = []
    for i, (place, squares) in enumerate(merged.items()):
        weight = max(factor for factor, _ in squares)
        residuals = tuple(
            root if factor == weight else number(math.sqrt(factor / weight)) * root for factor, root in squares
        )
        own_name = name if name and len(merged) == 1 else f"{name or 'term'}{i + 1}"
        terms.append(SquareTerm(own_name, weight, place.shape, residuals, place.calls))
    return terms


def _root(symbols: Symbols, part: sp.Expr, n: int) -> tuple[float, sp.Expr]:
    """(factor, root) with part = factor * root^2."""
    factor, rest = part.as_coeff_Mul()
    return float(factor), sp.Mul(*(_root_of(symbols, one, n, part) for one in sp.Mul.make_args(rest)))


def _root_of(symbols: Symbols, factor: sp.Expr, n: int, whole: sp.Expr) -> sp.Expr:
    """The square root of a factor that is never negative."""
    if factor.is_number:
        if factor < 0:
            raise InputError(f"loss_fn: {short(whole)} is negative; {_ADVICE}")
        return sp.sqrt(factor)
    if not symbols.is_trained(factor) and bool((symbols.evaluated([factor], n) >= 0).all()):
        return sp.sqrt(factor)
    if isinstance(factor, sp.Pow) and factor.exp.is_Integer and factor.exp % 2 == 0:
        return factor.base ** (factor.exp // 2)
    if isinstance(factor, sp.exp):
        return sp.exp(factor.args[0] / 2)
    raise InputError(f"loss_fn: {short(whole)} is no square; {_ADVICE}")
