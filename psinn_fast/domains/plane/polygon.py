"""Polygons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...kernels import checks
from ...kernels.errors import InputError, short
from ...language.names import Names, split_names
from .crossings import crossings
from .curves import Segment
from .outline import Outline, extent_of, slack_of
from .plane_domain import PlaneDomain

Points = npt.NDArray[np.float64]

# Of the size: corners are one, edges meet, corners are on one line, an edge has the direction of another.
_SAME = 1e-10


class Polygon(PlaneDomain):
    """What lies within a closed line through corners: ``Polygon([(0, 0), (1, 0), (0, 1)], ["base", "slope", "side"])``.

    Holes are subtracted: ``Polygon(...) - Polygon(...)``.

    Args:
        corners: (N, 2), N >= 3, in either order around; the first one may be repeated at the end.
        parts: the names of its edges, the first from the first corner to the second; edges of one name are one part.
            None: "edge1", "edge2", and so on.
        coords: names of the two coordinates, in the PDE's order.

    Raises:
        InputError: fewer than three corners, NaN, corners that are repeated or all on one line; edges that cross or
            touch one another, with the place; other than one name for each edge.
    """

    corners: Points

    def __init__(
        self, corners: Sequence[Sequence[float]], parts: Sequence[str] | None = None, coords: Names = "x y"
    ) -> None:
        points, names = checks.numbers("corners", corners), split_names(coords, "coords")
        if points.ndim != 2 or points.shape[1] != 2 or len(names) != 2:
            raise InputError(
                f"corners, coords: expected corners (N, 2) and two names, got shape {points.shape} and {coords!r}"
            )
        if len(points) > 1 and (points[0] == points[-1]).all():
            points = points[:-1]
        if len(points) < 3:
            raise InputError(f"corners: expected three or more, got {len(points)}")
        edges = _edges(points)
        labels = _names(parts, len(edges))
        _refuse_meeting(edges)
        curves, own = edges, labels
        if sum(edge.swept(points.mean(0)) for edge in edges) < 0:  # clockwise; every edge keeps its name
            curves, own = [edge.backwards() for edge in edges[::-1]], labels[::-1]
        super().__init__(names, Outline.of(curves, own, labels))
        self._have(corners=points)


def _edges(corners: Points) -> list[Segment]:
    """
    Raises:
        InputError: two corners in a row are one, all are on one line.
    """
    n, size = len(corners), float(np.ptp(corners, axis=0).max())
    ends = [(float(x), float(y)) for x, y in corners]
    edges = [Segment(start, end) for start, end in zip(ends, ends[1:] + ends[:1], strict=True)]
    for number, edge in enumerate(edges):
        if edge.length <= _SAME * size:
            raise InputError(
                f"corners: numbers {number + 1} and {(number + 1) % n + 1} are one, {_text(edge.start)}; an edge of "
                "length zero is no part of a boundary"
            )
    farthest = corners[np.argmax(np.linalg.norm(corners - corners[0], axis=1))] - corners[0]
    beside = (corners - corners[0]) @ [-farthest[1], farthest[0]] / (farthest @ farthest)
    if (abs(beside) <= _SAME).all():
        raise InputError("corners: all are on one line, which has no inside")
    return edges


def _names(parts: Sequence[str] | None, n: int) -> list[str]:
    if parts is None:
        return [f"edge{number + 1}" for number in range(n)]
    is_list = isinstance(parts, Sequence) and not isinstance(parts, (str, bytes))
    if not is_list or len(parts) != n or not all(isinstance(part, str) and part for part in parts):
        raise InputError(f"parts: expected a list of {n} names, one for each edge, got {short(parts)}")
    return list(parts)


def _refuse_meeting(edges: Sequence[Segment]) -> None:
    """
    Raises:
        InputError: edges that are no neighbours meet, or an edge goes back where the one before came from.
    """
    n = len(edges)
    slack = slack_of(extent_of(edges), _SAME)
    for i, edge in enumerate(edges):
        back = edges[(i + 1) % n]
        one, two = (np.subtract(own.end, own.start) / own.length for own in (edge, back))
        if one @ two < 0 and abs(one[0] * two[1] - one[1] * two[0]) <= _SAME:
            raise InputError(
                f"corners: edge {(i + 1) % n + 1} goes back along edge {i + 1} from {_text(edge.end)}; the boundary "
                "may not touch itself"
            )
    lows, highs = np.array([edge.extent for edge in edges]).swapaxes(0, 1)
    for i, edge in enumerate(edges):
        others = np.arange(i + 2, n if i else n - 1)
        meets = ((lows[others] <= highs[i] + slack) & (highs[others] >= lows[i] - slack)).all(1)
        for j in others[meets].tolist():
            points = _common(edge, edges[j], slack)
            if len(points):
                raise InputError(
                    f"corners: edges {i + 1} and {j + 1} meet at {_text(points[0])}; the boundary may not cross or "
                    "touch itself"
                )


def _common(one: Segment, other: Segment, slack: float) -> Points:
    mine, theirs = np.array([one.start, one.end]), np.array([other.start, other.end])
    crossed = np.array(crossings(one, other, slack, [])).reshape(-1, 2)
    return np.concatenate([crossed, mine[other.near(mine, slack)], theirs[one.near(theirs, slack)]])


def _text(point: Sequence[float]) -> str:
    return f"({point[0]:.6g}, {point[1]:.6g})"
