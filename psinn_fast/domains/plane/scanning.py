"""Which points lie within closed curves: those with an odd number of them to their right."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .curves import Curve

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def is_within(curves: Iterable[Curve], points: Points) -> Mask:
    """(N,). Curves that end where others begin have to share these points to the last digit; on a curve either may
    come out."""
    order = np.argsort(points[:, 1], kind="stable")
    sorted_points, odd = points[order], np.zeros(len(points), bool)
    for curve in curves:
        for rise in curve.rises:
            # A curve is counted where it begins, seen from below, and not where it ends: there the next one is.
            first, last = np.searchsorted(sorted_points[:, 1], [rise.low, rise.high])
            if first < last:
                odd[first:last] ^= rise.has_left(sorted_points[first:last])
    within = np.empty_like(odd)
    within[order] = odd
    return within


def is_near(curves: Iterable[Curve], points: Points, slack: float) -> Mask:
    """(N,): which points are not farther than ``slack`` from one of the curves."""
    order = np.argsort(points[:, 1], kind="stable")
    sorted_points, near = points[order], np.zeros(len(points), bool)
    for curve in curves:
        low, high = curve.extent
        first, last = np.searchsorted(sorted_points[:, 1], [low[1] - slack, np.nextafter(high[1] + slack, np.inf)])
        if first < last:
            near[first:last] |= curve.near(sorted_points[first:last], slack)
    found = np.empty_like(near)
    found[order] = near
    return found
