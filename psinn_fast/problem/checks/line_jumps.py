"""Where functions change along lines between the points: by jumps, or in layers as thin as the points' distances.

A change within a distance of a place that is far larger than all changes from there to 16 times that distance, on both
sides. Kinks, roots, logarithms and poles change so at no distance, smooth functions only at those above their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

# Values along all lines together. The golden ratio keeps clear of the places that people write.
_VALUES, _GOLDEN = 2**16, (5**0.5 - 1) / 2
# Of a line: the largest distance, at which a layer has a few of the points held out at most; its halves down to
# rounding errors; and how many halves from a distance to 16 times it.
_LARGEST, _DISTANCES, _HALVES = 2.0**-11, 25, 4
# A jump over the changes around it (powers s^p with p > 0.07 are below that), and over the values; numbers near the
# smallest there are jump themselves.
_OVER, _LEAST, _TINY = 5.0, 1e-9, 1e-290
# Places looked at closely, and halvings to find one.
_PLACES, _HALVINGS = 128, 45


class Jump(NamedTuple):
    """On line number ``line`` at ``place``, within ``distance`` of it on both sides; ``sharp``: at all distances."""

    line: int
    place: float
    distance: float
    sharp: bool


def line_jumps(
    values: Callable[[Points, npt.NDArray[np.intp]], Points], lines: int, low: float, high: float
) -> list[Jump]:
    """The jumps of functions on [low, high] that are found, the sharpest first.

    Args:
        values: from places and the numbers of their lines, both of one shape, to the functions' values; NaN or infinite
            where there are none.
    """
    steps = (np.arange(_VALUES // lines) + _GOLDEN) * lines / _VALUES
    nodes = np.broadcast_to(low + (high - low) * steps, (lines, len(steps)))
    numbers = np.broadcast_to(np.arange(lines)[:, None], nodes.shape)
    line, cell, trend = _suspects(values(nodes, numbers))
    places = _located(values, line, nodes[line, cell], nodes[line, cell + 1], trend)

    distances = (high - low) * _LARGEST * 2.0 ** -np.arange(_DISTANCES + _HALVES)
    offsets = np.stack([-distances, distances])
    around = places[:, None, None] + offsets
    found = values(around, np.broadcast_to(line[:, None, None], around.shape))
    found[(around < low) | (around > high)] = np.nan
    jumping = np.stack([jumps_within(found[:, :, j : j + _HALVES + 1]) for j in range(_DISTANCES)], 1)
    # Places differ by rounding errors, too.
    sharpest = np.maximum((high - low) * 2.0**-30, 32 * np.spacing(max(abs(low), abs(high))))
    jumps = []
    for i in np.flatnonzero(jumping.any(1)):
        distance = float(distances[np.flatnonzero(jumping[i])[-1] + _HALVES])
        jumps.append(Jump(int(line[i]), float(places[i]), distance, bool(distance < sharpest)))
    return sorted(jumps, key=lambda jump: jump.distance)


def offsets(distance: float) -> Points:
    """(2, n): to places around a jump, left and right, from far to near, whose values `jumps_within` judges."""
    away = distance * 2.0 ** np.arange(_HALVES, -1, -1)
    return np.stack([-away, away])


def jumps_within(values: Points) -> npt.NDArray[np.bool_]:
    """Whether functions jump: values (k, 2, n), on both sides from far to near -> (k,)."""
    nearest = values[:, :, -1:]
    with np.errstate(invalid="ignore", over="ignore"):
        jump = np.abs(nearest[:, 1, 0] - nearest[:, 0, 0])
        changes = np.abs(values - nearest).max(2).sum(1)
        return np.asarray(jump > _OVER * changes + _LEAST * np.abs(nearest).max((1, 2)) + _TINY)


def _suspects(values: Points) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Points]:
    """Lines and cells whose change differs most from the one to be expected by their neighbours, and this one."""
    values = np.where(np.isfinite(values), values, np.nan)
    change = np.diff(values, axis=1)
    beside = np.pad(np.nan_to_num(change), ((0, 0), (1, 1)), mode="edge")
    expected = (beside[:, :-2] + beside[:, 2:]) / 2
    beyond = np.nan_to_num(np.abs(change - expected))
    size = np.nan_to_num(np.maximum(np.abs(values[:, 1:]), np.abs(values[:, :-1])))
    floor = _LEAST * size + _TINY
    ratio = np.where(beyond > floor, beyond, 0) / (np.abs(beside[:, :-2]) + np.abs(beside[:, 2:]) + floor)
    chosen = np.argpartition(ratio.ravel(), -_PLACES)[-_PLACES:]
    chosen = chosen[ratio.ravel()[chosen] > 0]
    line, cell = np.unravel_index(chosen, ratio.shape)
    return line, cell, expected[line, cell]


def _located(
    values: Callable[[Points, npt.NDArray[np.intp]], Points],
    line: npt.NDArray[np.intp],
    left: Points,
    right: Points,
    expected: Points,
) -> Points:
    """By bisection: the half with more change than is expected."""
    at_left, at_right = values(left, line), values(right, line)
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        at_middle = values(middle, line)
        at_middle = np.where(np.isfinite(at_middle), at_middle, at_left)
        expected = expected / 2
        is_left = np.abs(at_middle - at_left - expected) >= np.abs(at_right - at_middle - expected)
        left, right = np.where(is_left, left, middle), np.where(is_left, middle, right)
        at_left, at_right = np.where(is_left, at_left, at_middle), np.where(is_left, at_middle, at_right)
    return (left + right) / 2
