"""Where in its domain a problem asks for its equation: a network that solves it elsewhere only is no solution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .conditions import EQUATION, RESIDUAL
from .domains import Box

if TYPE_CHECKING:  # it is described, not made, here
    from .problem import Problem

Points = npt.NDArray[np.float64]
# Parts of an axis without the equation that are worth a word: beside regions, which are known exactly; beyond the first
# and last of other points, which may keep away from a boundary; between these, where they are usually much closer.
_BESIDE, _BEYOND, _BETWEEN = 0.025, 0.15, 0.25
_MUCH = 4.0
# Points so near to each other or to a face, relative to the domain, are one or lie on it.
_SAME = 1e-6


def coverage(problem: Problem) -> tuple[str, ...]:
    """Where the equation is not asked for, one text per axis; () where it is asked for everywhere.

    Only along the axes: a domain that is a part of its box, such as an L or a disc, is no gap. Residuals of a
    condition's own count as the equation, since different parts may have different ones; a PDE without derivatives,
    for fits of data, is none.
    """
    counted = [c for c in problem.conditions if c.weight > 0 and c.kind in (EQUATION, RESIDUAL)]
    box = problem.domain
    boxes, arrays = [], [np.zeros((0, len(box.coords)))]
    for condition in counted:
        region = condition.regions[0]
        if region is None:
            own = condition.sites[0][~box.outside(condition.sites[0])]
            arrays += [own] if _is_inside(own, box).any() else []
        elif region.is_solid:
            boxes.append((np.maximum(region.low[0], box.low), np.minimum(region.high[0], box.high)))
    boxes = [(low, high) for low, high in boxes if (low < high).all()]
    points = np.concatenate(arrays)
    if not boxes and not len(points):
        if any(condition.kind == EQUATION for condition in counted):
            return ("the equation is asked for at no point inside the domain",)
        is_equation = problem.pde.traced().program.channels.order > 0
        return ("no term asks for the equation",) if is_equation else ()
    found = []
    for axis, name in enumerate(box.coords):
        low, high = box.low[axis], box.high[axis]
        spans = [((a[axis] - low) / (high - low), (b[axis] - low) / (high - low)) for a, b in boxes]
        pieces = list(_pieces(spans, (points[:, axis] - low) / (high - low)))
        if pieces != [(0.0, 1.0)]:
            texts = [_interval(low + a * (high - low), low + b * (high - low)) for a, b in pieces]
            found.append(f"the equation holds on {name} in {' and '.join(texts)} only, of {_interval(low, high)}")
    return tuple(found)


def _is_inside(points: Points, box: Box) -> npt.NDArray[np.bool_]:
    margin = _SAME * (box.high - box.low)
    return np.asarray(((points > box.low + margin) & (points < box.high - margin)).all(1))


def _pieces(spans: list[tuple[float, float]], given: Points) -> Iterator[tuple[float, float]]:
    """What of [0, 1] is covered by spans and points, but for gaps that are not worth a word."""
    own = np.unique(np.round(given / _SAME)) * _SAME
    usual = float(np.median(np.diff(own))) if len(own) > 2 else 0.0
    # (start, end, whether it is a point); the ends of the axis are none.
    parts = [*sorted([*((a, b, False) for a, b in spans), *((x, x, True) for x in own.tolist())]), (1.0, 1.0, False)]
    start, end, is_point = 0.0, 0.0, False
    for a, b, other_is_point in parts:
        is_end = (end == 0.0 and not is_point) or (a == 1.0 and not other_is_point)
        if is_point or other_is_point:
            is_gap = a - end > (_BEYOND if is_end else _BETWEEN) and a - end > _MUCH * usual
        else:
            is_gap = a - end > _BESIDE
        if is_gap:
            if end > start or is_point:
                yield start, end
            start = a
        if b >= end:
            end, is_point = b, other_is_point
    if end > start:
        yield start, end


def _interval(low: float, high: float) -> str:
    return f"[{low:.4g}, {high:.4g}]"
