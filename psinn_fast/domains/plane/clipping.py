"""Union, intersection and difference of outlines.

The curves of each outline are cut where they meet the other's, and each piece is kept or dropped by where its middle
lies: within the other, out of it, or on its boundary, which then runs in the same direction or in the opposite one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ...kernels.errors import InputError
from ..part_names import refuse_clashes
from .crossings import crossings
from .curves import Curve, Pair
from .outline import Outline, Piece, chained, extent_of
from .scanning import is_within

Points = npt.NDArray[np.float64]

# Points are one, and curves run along each other, where they are nearer than this part of the size of both shapes.
SAME = 1e-10
# A piece that ends where it begins is nothing, unless it is longer than so many of those.
_LOOP = 1e3
_OUT, _WITHIN, _ALONG, _AGAINST = range(4)
# What is kept of the first shape's pieces, and of the other's.
_KEPT = {"|": ({_OUT, _ALONG}, {_OUT}), "&": ({_WITHIN, _ALONG}, {_WITHIN}), "-": ({_OUT, _AGAINST}, {_WITHIN})}


def clipped(what: str, operation: str, one: Outline, other: Outline) -> Outline:
    """``one | other``, ``one & other`` or ``one - other``; ``what`` names it in errors.

    Raises:
        InputError: nothing is left, nothing is taken away, or boundaries that nearly touch: rounding errors decide.
    """
    other = other.numbered_from(one.n_shapes)
    low, high = extent_of([*one.curves, *other.curves])
    slack = SAME * float((high - low).max())
    pieces = _cut(one, other, slack)
    places = [
        _places([piece.curve for piece in own], facing, slack) for own, facing in zip(pieces, (other, one), strict=True)
    ]
    if operation == "-" and set(places[0].tolist()) <= {_OUT, _AGAINST} and _WITHIN not in places[1]:
        raise InputError(f"{what}: nothing is taken away, the second one lies outside of the first; leave it out")
    kept = [
        piece
        for own, found, wanted in zip(pieces, places, _KEPT[operation], strict=True)
        for piece, place in zip(own, found.tolist(), strict=True)
        if place in wanted
    ]
    if operation == "-":
        first = {label.source for label in one.labels}
        kept = [p if p.label.source in first else Piece(p.curve.backwards(), p.label) for p in kept]
    found = Outline(tuple(chained(kept)), (*one.labels, *other.labels))
    _refuse_open(what, kept)
    if not kept or found.area <= slack * sum(curve.length for curve in found.curves):
        raise InputError(f"{what}: nothing is left, it is empty")
    refuse_clashes(what, found.names.values())
    return found


def _cut(one: Outline, other: Outline, slack: float) -> tuple[list[Piece], list[Piece]]:
    """The pieces of both, cut where they meet those of the other. Points that are one have the same numbers."""
    pair = (one.curves, other.curves)
    meets: tuple[list[list[Points]], list[list[Points]]] = ([[] for _ in pair[0]], [[] for _ in pair[1]])
    for i, j in _neighbours(*pair, slack):
        found = crossings(pair[0][i], pair[1][j], slack)
        meets[0][i].append(found)
        meets[1][j].append(found)
    for own, facing, lists in zip(pair, pair[::-1], meets, strict=True):
        ends = np.array([end for curve in facing for end in (curve.start, curve.end)])
        for curve, points in zip(own, lists, strict=True):
            points.append(ends[curve.near(ends, slack)])
    every = [end for curve in (*pair[0], *pair[1]) for end in (curve.start, curve.end)]
    place = _Places(
        np.concatenate([np.array(every), *(found for lists in meets for own in lists for found in own)]), slack
    )
    first, second = (
        [
            Piece(part, piece.label)
            for piece, points in zip(outline.pieces, lists, strict=True)
            for part in _parts(piece.curve, np.concatenate([np.empty((0, 2)), *points]), place, slack)
        ]
        for outline, lists in zip((one, other), meets, strict=True)
    )
    return first, second


def _neighbours(one: Sequence[Curve], other: Sequence[Curve], slack: float) -> npt.NDArray[np.int64]:
    """(k, 2): pairs of curves whose bounds meet."""
    (low, high), (other_low, other_high) = (
        np.array([curve.extent for curve in curves]).swapaxes(0, 1) for curves in (one, other)
    )
    apart = np.zeros((len(one), len(other)), bool)
    for axis in (0, 1):
        apart |= low[:, axis, None] > other_high[:, axis] + slack
        apart |= high[:, axis, None] < other_low[:, axis] - slack
    return np.argwhere(~apart)


class _Places:
    """The same numbers for points that are one."""

    def __init__(self, points: Points, slack: float) -> None:
        from scipy.spatial import cKDTree  # takes a while to import, and few need it

        self._points, self._tree = points, cKDTree(points)
        self._first = np.arange(len(points))
        for pair in self._tree.query_pairs(slack):  # to the first of those that are near each other
            one, other = sorted(map(self._number, pair))
            self._first[other] = one

    def __call__(self, point: Points) -> Pair:
        x, y = self._points[self._number(int(self._tree.query(point)[1]))].tolist()
        return x, y

    def _number(self, number: int) -> int:
        while self._first[number] != number:
            number = int(self._first[number])
        return number


def _parts(curve: Curve, points: Points, place: _Places, slack: float) -> list[Curve]:
    """A curve cut at points that lie on it."""
    sign = 1.0 if curve.first < curve.last else -1.0
    parameters = curve.parameters(points)
    stops = [(curve.first, place(np.array(curve.start)))]
    for number in np.argsort(sign * parameters, kind="stable"):
        stops.append((float(parameters[number]), place(points[number])))
    stops.append((curve.last, place(np.array(curve.end))))
    parts = []
    for (first, start), (last, end) in pairwise(stops):
        part = curve.between(first, last, start, end)
        if first != last and (start != end or part.length > _LOOP * slack or len(stops) == 2):
            parts.append(part)
    return parts


def _places(curves: Sequence[Curve], outline: Outline, slack: float) -> npt.NDArray[np.int64]:
    """(N,): where the middle of each curve lies."""
    middles = np.array([(curve.first + curve.last) / 2 for curve in curves])
    pairs = list(zip(curves, middles, strict=True))
    points = np.concatenate([curve.placed(np.array([middle])) for curve, middle in pairs])
    normals = np.concatenate([curve.normals(np.array([middle])) for curve, middle in pairs])
    places = np.where(is_within(outline.curves, points), _WITHIN, _OUT)
    for other in outline.curves:
        near = np.flatnonzero(other.near(points, slack))
        along = (other.normals(other.parameters(points[near])) * normals[near]).sum(1) > 0
        places[near] = np.where(along, _ALONG, _AGAINST)
    return places


def _refuse_open(what: str, pieces: Sequence[Piece]) -> None:
    """
    Raises:
        InputError: the pieces that are kept are no closed curves.
    """
    count = Counter(curve.start for curve, _ in pieces)
    count.subtract(curve.end for curve, _ in pieces)
    if loose := [point for point, number in count.items() if number]:
        raise InputError(
            f"{what}: near ({loose[0][0]:.6g}, {loose[0][1]:.6g}) the boundaries are so near each other that rounding "
            "errors decide how they meet; move one of the shapes a little"
        )
