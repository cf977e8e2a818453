"""Places between points of which only an array is known, inside the region that the points describe."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
# Neighbours looked at, on a line and elsewhere: as many as the spacing along one axis may be finer than along another.
_ON_A_LINE, _NEIGHBOURS = 4, 128
# Points whose neighbourhood is looked at, times the square of those neighbours.
_WORK = 1 << 23
# A gap this many times as long as the one on the other side of a point is no gap between neighbours, but a hole.
_HOLE = 1.9
# Cosine of the angle between an edge and its opposite, the most: for any points, and for those on a straight line.
_OPPOSITE, _STRAIGHT = -0.7, -1 + 1e-9
_ROUNDING = 1e-9


def neighbours(points: FloatArray, rng: np.random.Generator, straight: bool) -> tuple[IntArray, IntArray]:
    """Pairs i, j (m,) of points between which there is nothing but the region that the points describe.

    Neighbours in the Gabriel graph (no third point in the ball over the line from one to the other: on a grid the next
    ones along the axes, however different the spacings are), where a gap of at most 1.9 times that length lies
    opposite. So a hole or a missing slab has none, nor has a notch; nor a domain whose boundary alone is given.

    Args:
        points: (N, d).
        straight: only where three points lie on a straight line, for conditions that hold nowhere else: points on a
            circle have no neighbours then.
    """
    unique, first = np.unique(points, axis=0, return_index=True)
    if len(unique) < 3:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    extent = np.ptp(unique, axis=0)
    unique = unique / np.where(extent > 0, extent, 1.0)
    k = min(len(unique) - 1, _ON_A_LINE if (extent > 0).sum() == 1 else _NEIGHBOURS)
    centres = rng.permutation(len(unique))[: max(1, _WORK // k**2)]
    near = cKDTree(unique).query(unique[centres], k + 1)[1]
    pairs = [
        (np.full(len(ends), centre), ends)
        for centre, around in zip(centres, near, strict=True)
        if len(ends := around[1:][_across(unique[around[1:]] - unique[centre], straight)])
    ]
    if not pairs:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    i, j = (first[np.concatenate(ends)] for ends in zip(*pairs, strict=True))
    return i, j


def _across(edges: FloatArray, straight: bool) -> npt.NDArray[np.bool_]:
    """Which of the ``edges`` (k, d) from a point to those around it lead to neighbours."""
    products = edges @ edges.T
    squares = products.diagonal()
    in_ball = products - squares >= -_ROUNDING * squares[:, None]
    np.fill_diagonal(in_ball, False)
    linked = np.flatnonzero(~in_ball.any(1))
    lengths = np.sqrt(squares[linked])
    cosines = products[np.ix_(linked, linked)] / (lengths * lengths[:, None])
    opposite = np.where(cosines <= (_STRAIGHT if straight else _OPPOSITE), lengths, np.inf).min(1, initial=np.inf)
    leads = np.zeros(len(edges), dtype=bool)
    leads[linked] = np.isfinite(opposite) & (lengths < _HOLE * opposite)
    return leads
