"""Re-entrant corners of plane domains: where solutions have singularities, however smooth the data are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # domains ask for their corners
    from .domain import Domain

Points = npt.NDArray[np.float64]

# Points of a part among which kinks are looked for, and by how much its direction turns at one (radians); cells into
# which a stretch with a kink is cut, time and again.
_CELLS, _TURN, _FINER, _ROUNDS = 256, 0.1, 8, 12
# Of the longest side of the bounds: corners nearer to each other are one, and how far from one it is looked around it.
_SAME, _AROUND = 1e-6, 1e-4
# Directions that are looked in, and the part of them inside from which on a corner is re-entrant: 202 degrees. Corners
# of a polygon that stands for a circle, as a mesh's, have less, and nearly smooth solutions.
_DIRECTIONS, _REENTRANT = 720, 0.56


def ends_and_kinks(domain: Domain) -> Points:
    """(K, 2): the ends of a plane domain's parts, and the places within a part where its direction jumps."""
    found = [np.empty((0, 2))]
    for part in domain.parts:

        def at(t: Points, part: str = part) -> Points:
            return domain.surface(part, t[:, None])[0]

        found += [at(np.array([0.0, 1.0])), at(np.array(_kinks(at)))]
    return np.concatenate(found)


def reentrant(domain: Domain, candidates: Points) -> Points:
    """(K, 2): those of the candidates from which one sees the domain in more than half of all directions."""
    size = float((domain.high - domain.low).max())
    angle = 2 * math.pi * (np.arange(_DIRECTIONS) + 0.5) / _DIRECTIONS
    circle = _AROUND * size * np.stack([np.cos(angle), np.sin(angle)], 1)
    found = list[Points]()
    for point in candidates:
        is_new = all(np.linalg.norm(point - other) > _SAME * size for other in found)
        if is_new and 1 > domain.inside(point + circle).mean() > _REENTRANT:
            found.append(point)
    return np.array(found).reshape(-1, 2)


def _kinks(at: Callable[[Points], Points]) -> list[float]:
    """Parameters in (0, 1) where a curve turns within however small a stretch."""
    t = np.linspace(0, 1, _CELLS + 1)
    found = []
    for i in np.flatnonzero(_turns(at(t)) > _TURN) + 1:
        low, high = float(t[i - 1]), float(t[i + 1])
        for _ in range(_ROUNDS):
            steps = np.linspace(low, high, _FINER + 1)
            turns = _turns(at(steps))
            most = int(np.argmax(turns)) + 1
            low, high = float(steps[most - 1]), float(steps[most + 1])
            if turns[most - 1] <= _TURN:  # it bends, and has no kink
                break
        else:
            found.append((low + high) / 2)
    return found


def _turns(points: Points) -> Points:
    """(n - 2,): the angles between a polygon's neighbouring sides."""
    sides = np.diff(points, axis=0)
    one, two = sides[:-1], sides[1:]
    return np.asarray(abs(np.arctan2(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0], (one * two).sum(1))))


def radii(corners: Points, sides: Sequence[float]) -> Points:
    """(K,): how far each corner is heeded: a quarter of the longest side, or half of the way to the next one."""
    distances = np.linalg.norm(corners[:, None] - corners, axis=2)
    np.fill_diagonal(distances, np.inf)
    return np.asarray(np.minimum(max(sides) / 4, distances.min(1, initial=np.inf) / 2))
