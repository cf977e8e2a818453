"""Functions of the coordinates give each point's value from that point alone: else they would be misread elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..kernels.errors import InputError

Points = npt.NDArray[np.float64]

# At most so many points at once.
_AT_ONCE = 512
# Relative to the largest value: the same in another order but for the rounding errors of a network in float32.
_SAME = 1e-5
# Where values are what rounding left of larger numbers, they differ by no more than so many times what they change by
# when the coordinates change by their last digits.
_TIMES = 100.0


def refuse_not_pointwise(
    what: str, values_at: Callable[[Points], Points], points: Points, values: Points, advice: str
) -> None:
    """
    Args:
        what: names the function in messages.
        values_at: from points (n, d) to values (n,) or (n, F).
        points, values: N points and what the function gave for all of them.
        advice: what else to give.

    Raises:
        InputError: at some of the points, in another order, or at one alone, the function fails or gives other values.
    """
    order = np.random.default_rng(0).permutation(len(points))
    half = len(points) // 2
    for picked in (order[:half][:_AT_ONCE], order[half:][:_AT_ONCE], order[:1], order[-1:]):
        if 0 < len(picked) < len(points):
            given = f"at {len(picked)} of its {len(points)} points, in another order,"
            try:
                with np.errstate(all="ignore"):
                    own = values_at(points[picked])
            except InputError as error:
                raise InputError(f"{what}: {given} the function fails ({error}); {_RULE}; {advice}") from error
            if not _are_same(own, values[picked], values_at, points, values):
                raise InputError(f"{what}: {given} the function gives other values; {_RULE}; {advice}")


_RULE = (
    "it has to give each point's value from the coordinates of that point alone, without len(x), x.mean(), "
    "np.linspace, random numbers or the like"
)


def _are_same(
    own: Points, expected: Points, values_at: Callable[[Points], Points], points: Points, values: Points
) -> bool:
    known = ~np.isnan(expected)
    if not np.array_equal(known, ~np.isnan(own)):
        return False
    difference = float(abs(own - expected)[known].max(initial=0.0))
    if difference <= _SAME * np.nanmax(abs(values), initial=0.0):
        return True
    if not np.array_equal(values_at(points), values, equal_nan=True):  # random numbers
        return False
    changes = (_changes(values_at, np.nextafter(points, end), values) for end in (np.inf, -np.inf))
    return bool(difference <= _TIMES * np.nanmax(np.fmin(*changes), initial=0.0))


def _changes(values_at: Callable[[Points], Points], points: Points, values: Points) -> Points:
    """Between the values and those of other points; NaN where the function has none there."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(abs(values_at(points) - values))
    except InputError:
        return np.full_like(values, np.nan)
