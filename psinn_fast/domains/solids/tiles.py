"""Rectangles into which the parameters of a surface are cut, so that cells in each follow the shape's proportions, and
are finer where another piece is small beside the surface."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from ..unit import mesh
from .body import Body

Points = npt.NDArray[np.float64]

# Points along each parameter by which is found where other pieces are.
_SAMPLES = 65
# What is longer than so many times its width is cut into rectangles of these proportions, but not more than so many.
_PROPORTION, _MOST = 2.0, 8
# Pieces that span less than this part of a rectangle get one of their own, which is cut again, so many times.
_SMALL, _ROUNDS = 1 / 8, 2


def tiles(body: Body, number: int, part: str) -> list[tuple[Points, Points]]:
    """Lower and upper bounds (d - 1,) of each rectangle of the parameters of a piece's part."""
    k = len(body.pieces[number].step) - 1
    return list(_cut(body, number, part, np.zeros(k), np.ones(k), _ROUNDS))


def _cut(body: Body, number: int, part: str, low: Points, high: Points, rounds: int) -> Iterator[tuple[Points, Points]]:
    k = len(low)
    unit = mesh([np.linspace(0, 1, _SAMPLES)] * k)
    points = body.pieces[number].surface(part, low + (high - low) * unit)[0].reshape(*[_SAMPLES] * k, -1)
    steps = [np.linalg.norm(np.diff(points, axis=axis), axis=-1) for axis in range(k)]
    away = sum(float(own.max()) for own in steps)  # no place is so far from all samples
    beside = [piece for i, piece in enumerate(body.pieces) if i != number]
    near = [
        ((points >= piece.corners.min(0) - away) & (points <= piece.corners.max(0) + away)).all(-1) for piece in beside
    ]
    near = [own for own in near if own.any()]
    lengths = np.array([own.sum(axis).max() for axis, own in enumerate(steps)])
    is_first = rounds == _ROUNDS
    cuts = []
    for axis in range(k):
        pieces = lengths[axis] / (_PROPORTION * max(float(lengths.min()), float(lengths.max()) * 1e-9))
        count = int(np.clip(round(pieces), 1, _MOST)) if is_first and near else 1
        cuts.append(_ends(np.linspace(0, 1, count + 1), [_span(own, axis) for own in near]))
    if not rounds or all(len(own) == 2 for own in cuts):
        yield low, high
        return
    for sides in product(*map(pairwise, cuts)):
        start, end = (low + (high - low) * np.array(own) for own in zip(*sides, strict=True))
        yield from _cut(body, number, part, start, end, rounds - 1)


def _span(near: npt.NDArray[np.bool_], axis: int) -> tuple[float, float]:
    """From where to where along an axis something is near."""
    places = np.flatnonzero(near.any(tuple(other for other in range(near.ndim) if other != axis)))
    return max(0.0, (places[0] - 1) / (_SAMPLES - 1)), min(1.0, (places[-1] + 1) / (_SAMPLES - 1))


def _ends(ends: Points, spans: list[tuple[float, float]]) -> list[float]:
    """Ends of parts of [0, 1], together with those of small spans, of which overlapping ones are one."""
    joined = list[tuple[float, float]]()
    for start, end in sorted(span for span in spans if span[1] - span[0] < _SMALL):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    outside = [own for own in ends.tolist() if not any(start < own < end for start, end in joined) or own in (0, 1)]
    return sorted({*outside, *(own for span in joined for own in span)})
