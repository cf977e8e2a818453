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
from .recorded import number
from .symbols import Shape, Symbols

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


class Place(NamedTuple):
    """How many points, and which calls of the network give their fields."""

    shape: Shape
    calls: tuple[int, ...]


@dataclass(frozen=True)
class Squares:
    """``offset``: an expression without fields and trained numbers that is added to the terms."""

    terms: tuple[SquareTerm, ...]
    offset: float


def as_squares(symbols: Symbols, losses: dict[str, sp.Expr]) -> Squares:
    """
    Args:
        losses: by name; their sum is the loss. One that is called "" is named by the number of its terms.

    Raises:
        InputError: a loss is no sum of squares over points.
    """
    terms: list[SquareTerm] = []
    offset = 0.0
    for name, loss in losses.items():
        found, constant = _terms_of(symbols, loss, name)
        terms += found
        offset += constant
    if not any(term.calls for term in terms):
        raise InputError("loss_fn: the loss does not depend on the network")
    return Squares(tuple(terms), offset)


def _terms_of(symbols: Symbols, loss: sp.Expr, name: str) -> tuple[list[SquareTerm], float]:
    sums = symbols.sums_in(loss)
    if loss.has(SymbolicField) or any(symbols.is_of_points(s) for s in loss.free_symbols):
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
    offset = 0.0

    def add(factor: float, root: sp.Expr, shape: Shape) -> float:
        """The square's part of the loss that nothing trained changes."""
        n = _count(shape)
        if not symbols.is_trained(root):
            return factor * float((symbols.evaluated([root], n)[:, 0] ** 2).sum())
        if factor < 0 or not math.isfinite(factor):
            raise InputError(f"loss_fn: the square of {short(root)} has the weight {factor:g}; {_ADVICE}")
        if factor:
            groups.setdefault(Place(shape, _calls(root)), []).append((factor * n, root))
        return 0.0

    for s, slope in slopes.items():
        inner = symbols.sum_of(s)
        assert inner is not None
        # A trained factor has a root of its own.
        factor, whole = (1.0, slope * inner.expression) if slope.free_symbols else (float(slope), inner.expression)
        for own, root in _roots(symbols, sp.expand_mul(whole) if slope.free_symbols else whole, _count(inner.shape)):
            offset += add(own * factor, root, inner.shape)
    for factor, root in _roots(symbols, loss.xreplace(dict.fromkeys(sums, sp.S.Zero)), 1):
        offset += add(factor, root, ())
    return _merged(groups, name), offset


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


def _roots(symbols: Symbols, expression: sp.Expr, n: int) -> list[tuple[float, sp.Expr]]:
    """(factor, root) with expression = sum of factor * root^2."""
    if symbols.sums_in(expression):
        raise InputError(
            f"loss_fn: the residual {short(expression)} holds a sum over points, by which every point depends on all"
        )
    found = []
    for part in sp.Add.make_args(expression):
        if part == 0:
            continue
        factor, rest = part.as_coeff_Mul()
        root = sp.S.One
        for one in sp.Mul.make_args(rest):
            root *= _root(symbols, one, n, part)
        found.append((float(factor), root))
    return found


def _root(symbols: Symbols, factor: sp.Expr, n: int, whole: sp.Expr) -> sp.Expr:
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
