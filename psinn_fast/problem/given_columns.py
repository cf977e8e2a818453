"""Numbers that a condition is given for each of its points: targets, data, outward normals, weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from traceback import walk_tb
from typing import Any

import numpy as np
import numpy.typing as npt

from ..domains import Cornered, region_of
from ..kernels import checks
from ..kernels.errors import InputError, one_line
from ..language.names import by_normal_names
from ..language.scope import package

Points = npt.NDArray[np.float64]
# How far from 1 the length of a normal may be: rounding errors of float32.
_UNIT = 1e-6
# Of the column that a residual is multiplied by; no name of Python's, so that no target has it.
ROOT = "sqrt(weight)"


def normal_column(axis: int) -> str:
    """The name of the column of normals along an axis, which no target has either."""
    return f"normal {axis}"


@dataclass(frozen=True)
class PointNormals:
    """The components of the normals along one axis, which point sets of a boundary bring along wherever they are."""

    axis: int


@dataclass(frozen=True)
class CornerRoots:
    """Roots of what squares weigh near re-entrant corners (`Cornered`), less at points that are drawn there densely."""

    region: Cornered

    def __call__(self, *coordinates: Points) -> Points:
        return self.at(np.stack(coordinates, 1))

    def at(self, points: Points) -> Points:
        weights = self.region.weight(np.asarray(points))
        drawn = region_of(points)
        return np.sqrt(weights if drawn is None else weights / drawn.density(np.asarray(points)))


Target = float | npt.ArrayLike | Callable[..., npt.ArrayLike]
Given = Target | PointNormals


def columns_of(points: Points, normals: Points | None, given: Mapping[str, Given], name: str) -> dict[str, Points]:
    """(N,) numbers for each name.

    Args:
        points: (N, d).
        normals: (N, d), where the points bring them along.
        given: a number, one per point, a function of the coordinates' columns, or normals.
        name: of the condition, for messages.

    Raises:
        InputError: of another length, no finite real numbers, a function that fails, normals that are not there.
    """
    columns = {}
    for what, value in given.items():
        if isinstance(value, PointNormals):
            if normals is None:
                raise InputError(f"{name}: {what}: these points bring no normals along")
            columns[what] = np.array(normals[:, value.axis])
            continue
        if isinstance(value, CornerRoots):
            columns[what] = value.at(points)
            continue
        where = f"{name}: {described(what)}"
        array = checks.numbers(where, _values(value, points, where) if callable(value) else value)
        if array.shape not in ((), (len(points),)):
            raise InputError(f"{where}: expected shape ({len(points)},) or a number, got {array.shape}")
        columns[what] = np.broadcast_to(array, (len(points),))
    return columns


def described(column: str) -> str:
    """What messages call a column."""
    return "weight" if column == ROOT else f"target {column}"


def known_anywhere(given: Mapping[str, Given], normals: Points | None) -> bool:
    """Whether there are columns at other points, which bring these ``normals`` along."""
    return all(
        normals is not None if isinstance(value, PointNormals) else callable(value) or np.ndim(value) == 0
        for value in given.values()
    )


def normal_columns(normals: Points, are_of_points: bool) -> dict[str, Given]:
    """Of normals (d,) or (N, d), one vector for all points where they are equal.

    ``are_of_points``: the points bring them along, as other points of their region will.
    """
    axes = range(normals.shape[-1])
    if are_of_points:
        return {normal_column(axis): PointNormals(axis) for axis in axes}
    vectors = normals[0] if normals.ndim == 2 and (normals == normals[0]).all() else normals
    return {normal_column(axis): vectors[..., axis] for axis in axes}


def checked_normals(given: npt.ArrayLike, shape: tuple[int, int], name: str) -> Points:
    """Unit vectors, (d,) or (N, d) for points of that ``shape``."""
    vectors = checks.numbers(f"{name}: normals", given)
    n, d = shape
    if vectors.shape not in ((d,), (n, d)):
        raise InputError(f"{name}: normals: expected shape ({d},) or ({n}, {d}), got {vectors.shape}")
    lengths = np.linalg.norm(np.atleast_2d(vectors), axis=1)
    wrong = np.abs(lengths - 1) > _UNIT
    if wrong.any():
        first = int(np.argmax(wrong))
        advice = "" if lengths[first] == 0 else "; divide each by its length"
        raise InputError(
            f"{name}: normals: expected unit vectors, {int(wrong.sum())} of {len(lengths)} have another length, "
            f"the first {lengths[first]:g} (number {first}){advice}"
        )
    return vectors


def checked_targets(targets: Mapping[str, Target], name: str) -> dict[str, Target]:
    """By names after NFKC, at least one."""
    if not targets:
        raise InputError(f"{name}: expected a target for at least one field, e.g. u=0.0")
    return by_normal_names(targets, f"{name}: targets")


def weight_columns(weight: Target, points: Points, name: str) -> tuple[float, dict[str, Given]]:
    """A term's weight, and the column that its residuals are multiplied by where each point has a weight of its own."""
    if callable(weight):
        return 1.0, {ROOT: partial(_root_of, weight)}
    if isinstance(weight, Mapping):
        raise InputError(
            f"{name}: weight: expected a number or one for each point, got a mapping; an equation that is a term of "
            "its own has one: Residual(points, equations='continuity', weight=10.0)"
        )
    is_one = not hasattr(weight, "__len__") or isinstance(weight, (str, bytes)) or getattr(weight, "ndim", 1) == 0
    if is_one:
        return checks.number(f"{name}: weight", weight, least=0), {}
    weights = checks.numbers(f"{name}: weight", weight)
    if weights.shape != (len(points),):
        raise InputError(f"{name}: weight: expected a number or shape ({len(points)},), got {weights.shape}")
    try:
        return 1.0, {ROOT: _roots(weights)}
    except InputError as error:
        raise InputError(f"{name}: weight: {error}") from None


def _root_of(function: Callable[..., npt.ArrayLike], *coordinates: Points) -> Points:
    return _roots(np.asarray(function(*coordinates), dtype=np.float64))


def _roots(weights: Points) -> Points:
    if not (weights >= 0).all():
        raise InputError(f"expected weights >= 0, the smallest is {weights.min():g}")
    return np.sqrt(weights)


def _values(function: Callable[..., Any], points: Points, what: str) -> Any:
    """What a target's function returns for copies of the coordinates' columns."""
    try:
        return function(*points.T.copy())
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
    except Exception as error:  # the function is the user's: it may raise anything
        raise InputError(
            f"{what}: the function failed on arrays of {len(points)} numbers, one for each coordinate "
            f"({type(error).__name__}: {one_line(error)}){_advice(error, function, points.shape[1])}"
        ) from error


def _advice(error: Exception, function: Callable[..., Any], d: int) -> str:
    """What to write instead of what a target's function did, as far as that is known."""
    try:
        needed = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):
        needed = []
    if isinstance(error, TypeError) and len(needed) > d:
        normals = [name for name in needed if name.startswith("n_")]
        if not normals:
            return f"; it is called with the {d} coordinates alone"
        return (
            f"; targets get the {d} coordinates alone, no {' and '.join(normals)}: write the condition as a residual, "
            f"pf.Residual(points, lambda u, {', '.join(needed)}: ...), or give one number for each point"
        )
    if "bitwise_xor" in str(error) or "for ^" in str(error):
        return "; ^ is no power in Python, write x**2"
    if any(package(frame) == "sympy" for frame, _ in walk_tb(error.__traceback__)):
        return "; conditions take NumPy's functions, e.g. numpy.sin, residuals SymPy's"
    return ""
