"""How far out of a domain points are, for messages about them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # domains ask for it where they refuse points
    from .domain import Domain

Points = npt.NDArray[np.float64]

# Steps from points, in the bounds' widths: each twice the one before.
_STEPS = 2.0 ** np.arange(-21, 1)
# float32 numbers and what is computed from them in a few operations are off by up to so much of the largest.
_FLOAT32 = 4 * float(np.finfo(np.float32).eps)
# Points of which the farthest is looked for.
_MOST = 1000


def how_far(domain: Domain, points: Points) -> str:
    """Of points (N, d) that are not in the domain, which are finite, what a message says about their distance."""
    points = points[:_MOST]
    distance = float(_distances(domain, points).max())
    size = float(abs(points).max())
    advice = f", float32 may have rounded numbers like {size:.3g} by that: compute the points in float64"
    return f"the farthest is about {distance:.1g} away from it{advice if distance <= _FLOAT32 * size else ''}"


def _distances(domain: Domain, points: Points) -> Points:
    """(N,): of points out of the bounds at least that from these; to a factor of two where steps lead inside."""
    found = np.linalg.norm(np.maximum(np.maximum(domain.low - points, points - domain.high), 0.0), axis=1)
    if domain.is_box:
        return np.asarray(found)
    directions = np.array(list(product((0, 1, -1), repeat=len(domain.coords)))) * (domain.high - domain.low)
    lengths, rest = np.linalg.norm(directions, axis=1)[:, None], np.arange(len(points))
    for step in _STEPS:
        near = np.stack([domain.inside(points[rest] + step * direction) for direction in directions])
        reached = np.where(near, step * lengths, np.inf).min(0)
        found[rest] = np.where(near.any(0), np.maximum(found[rest], reached), found[rest])
        rest = rest[~near.any(0)]
    return np.asarray(found)
