"""What conditions at the first time say a field is there, and whether two of them say different things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt
import sympy as sp
from scipy.spatial import cKDTree

from ..kernels.errors import InputError
from ..language.tracing import column_symbol
from ..problem.problem import Problem
from ..training.doubts import ALLOWED
from ..training.points.windows import times_of

Points = npt.NDArray[np.float64]
# Of a condition's points, so many see the other one's values as well: where points are the same, and where they are
# only near, as at the edge of what the other one is given on.
_SHARED, _SHARED_NEARBY = 0.1, 0.5
# Times the usual distance between the other one's points: so far it is given. Beside 1: points that are the same.
_NEAR, _SAME = 1.5, 1e-9


@dataclass(frozen=True)
class Given:
    """A residual of a condition at the first time, c (part - value) = 0: ``value`` in the coordinates' symbols, None
    where it is in no closed form; ``by_columns``: the same in those of the condition's columns."""

    condition: int
    residual: int
    value: sp.Expr | None
    by_columns: sp.Expr


def refuse_contradictions(problem: Problem, what: str, given: Sequence[Given]) -> None:
    """
    Raises:
        InputError: two conditions give other values of ``what`` at the same places.
    """
    for pair in combinations(given, 2):
        for one, other in permutations(pair):
            if (place := _clash(problem, one, other)) is not None:
                names = [problem.term_names[own.condition] for own in (one, other)]
                raise InputError(
                    f"problem: its conditions contradict each other: where it begins, {names[0]!r} and {names[1]!r} "
                    f"say that {what} is {place[0]:.4g} and {place[1]:.4g} at the same place; leave one out"
                )


def _clash(problem: Problem, one: Given, other: Given) -> tuple[float, float] | None:
    """The values at the place where they differ most; None: they hardly do, or at few of the first one's points."""
    condition, second = problem.conditions[one.condition], problem.conditions[other.condition]
    points, theirs = condition.sites[0], second.sites[0]
    distance, nearest, usual = _nearest(problem, points, theirs)
    is_same = distance <= _SAME
    columns = second.columns_at((points,))
    is_shared = is_same if columns is None else distance <= max(_NEAR * usual, _SAME)
    if columns is None:
        columns = {name: column[nearest] for name, column in second.columns.items()}
    pair = _values(one, problem, points, condition.columns), _values(other, problem, points, columns)
    difference = np.abs(pair[0] - pair[1])
    size = max(np.abs(own[is_shared]).max(initial=0.0) for own in pair)
    differs = difference > ALLOWED * size
    if (is_same & differs).mean() <= _SHARED and (is_shared & differs).mean() <= _SHARED_NEARBY:
        return None
    places = is_same if (is_same & differs).any() else is_shared
    most = int(np.argmax(np.where(places, difference, -1.0)))
    return float(pair[0][most]), float(pair[1][most])


def _nearest(problem: Problem, points: Points, theirs: Points) -> tuple[Points, npt.NDArray[np.int64], float]:
    """Of each point, how far from it the nearest of the others is, and which; the usual distance between those. As
    parts of the domain, without time."""
    axis, _, _ = times_of(problem)
    rest = np.arange(points.shape[1]) != axis
    if not rest.any():
        return np.zeros(len(points)), np.zeros(len(points), dtype=np.int64), 0.0
    extent = (problem.domain.high - problem.domain.low)[rest]
    tree = cKDTree(theirs[:, rest] / extent)
    distance, nearest = tree.query(points[:, rest] / extent)
    own = tree.query(theirs[:, rest] / extent, k=2)[0][:, 1]
    usual = float(np.median(own[np.isfinite(own)])) if np.isfinite(own).any() else 0.0
    return distance, nearest, usual


def _values(given: Given, problem: Problem, points: Points, columns: Mapping[str, Points]) -> Points:
    symbols = [*problem.pde.coordinate_symbols(), *(column_symbol(i) for i in range(len(columns)))]
    found = sp.lambdify(symbols, given.by_columns, "numpy")(*points.T, *columns.values())
    return np.broadcast_to(np.asarray(found, dtype=np.float64), len(points))
