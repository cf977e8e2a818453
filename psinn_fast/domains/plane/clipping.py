"""Union, intersection and difference of outlines.

The curves of each outline are cut where they meet the other's, and each piece is kept or dropped by where its middle
lies: within the other, out of it, or on its boundary, which then runs in the same direction or in the opposite one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ...kernels.errors import InputError
from ..part_names import refuse_clashes
from .crossings import crossings
from .curves import Curve, Pair
from .outline import Outline, Piece, chained, extent_of, slack_of
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
    slack = slack_of(extent_of([*one.curves, *other.curves]), SAME)
    pieces = _cut(one, other, slack)
    sides = [
        _sides([piece.curve for piece in own], facing, slack) for own, facing in zip(pieces, (other, one), strict=True)
    ]
    if operation == "-" and set(sides[0].tolist()) <= {_OUT, _AGAINST} and _WITHIN not in sides[1]:
        raise InputError(f"{what}: nothing is taken away, the second one lies outside of the first; leave it out")
    kept = [
        piece
        for own, found, wanted in zip(pieces, sides, _KEPT[operation], strict=True)
        for piece, side in zip(own, found.tolist(), strict=True)
        if side in wanted
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
    """The pieces of both, cut where they meet those of the other."""
    pair = (one.curves, other.curves)
    meets: tuple[list[list[Pair]], list[list[Pair]]] = ([[] for _ in pair[0]], [[] for _ in pair[1]])
    ends = [end for curve in (*pair[0], *pair[1]) for end in (curve.start, curve.end)]
    known = list(dict.fromkeys(ends))
    for i, j in _neighbours(*pair, slack):
        first, second = pair[0][i], pair[1][j]
        crossed = crossings(first, second, slack, known)
        meets[0][i] += crossed + _on(first, second, slack)
        meets[1][j] += crossed + _on(second, first, slack)
    place = _places([*ends, *(point for lists in meets for own in lists for point in own)], slack)
    cut_one, cut_other = (
        [
            Piece(part, piece.label)
            for piece, points in zip(outline.pieces, lists, strict=True)
            for part in _parts(piece.curve, points, place, slack)
        ]
        for outline, lists in zip((one, other), meets, strict=True)
    )
    return cut_one, cut_other


def _on(curve: Curve, other: Curve, slack: float) -> list[Pair]:
    """The ends of another curve that are on one."""
    ends = np.array([other.start, other.end])
    return [(x, y) for x, y in ends[curve.near(ends, slack)].tolist()]


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


def _places(points: Sequence[Pair], slack: float) -> dict[Pair, Pair]:
    """Of points that are one, for each of them the one that comes first."""
    from scipy.spatial import cKDTree  # takes a while to import, and few need it

    every = list(dict.fromkeys(points))
    first = list(range(len(every)))

    def number(i: int) -> int:
        while first[i] != i:
            i = first[i]
        return i

    for i, j in sorted(cKDTree(every).query_pairs(slack)):
        earlier, later = sorted((number(i), number(j)))
        first[later] = earlier
    return {point: every[number(i)] for i, point in enumerate(every)}


def _parts(curve: Curve, points: Sequence[Pair], place: Mapping[Pair, Pair], slack: float) -> list[Curve]:
    """A curve cut at points that lie on it."""
    if not points and place[curve.start] == curve.start and place[curve.end] == curve.end:
        return [curve]
    sign = 1.0 if curve.first < curve.last else -1.0
    parameters = curve.parameters(np.array(points).reshape(-1, 2))
    order = np.argsort(sign * parameters, kind="stable")
    inner = [(float(parameters[i]), place[points[i]]) for i in order.tolist()]
    stops = [(curve.first, place[curve.start]), *inner, (curve.last, place[curve.end])]
    parts = []
    for (first, start), (last, end) in pairwise(stops):
        part = curve.between(first, last, start, end)
        if first != last and (start != end or part.length > _LOOP * slack or not points):
            parts.append(part)
    return parts


def _sides(curves: Sequence[Curve], outline: Outline, slack: float) -> npt.NDArray[np.int64]:
    """(N,): where the middle of each curve lies."""
    points, normals = (np.concatenate(found) for found in zip(*[curve.middle for curve in curves], strict=True))
    sides = np.where(is_within(outline.curves, points), _WITHIN, _OUT)
    for other in outline.curves:
        low, high = other.extent
        rows = np.flatnonzero(((points >= low - slack) & (points <= high + slack)).all(1))
        near = rows[other.near(points[rows], slack)] if len(rows) else rows
        along = (other.normals(other.parameters(points[near])) * normals[near]).sum(1) > 0
        sides[near] = np.where(along, _ALONG, _AGAINST)
    return sides


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
