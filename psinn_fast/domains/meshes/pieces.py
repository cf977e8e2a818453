"""The smooth pieces of a boundary of edges: they end at corners, and where edges do not go on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Edges that turn by more are at a corner; by less, they stand for a curve.
_CORNER = math.radians(20)


class Piece(NamedTuple):
    """Of a part: from which of its length to which it goes, and whether it is a smooth closed curve."""

    part: str
    start: float
    end: float
    is_closed: bool

    @property
    def length(self) -> float:
        return self.end - self.start


def pieces_of(part: str, nodes: Points, edges: Integers) -> list[Piece]:
    """Of edges (K, 2) in an order in which each goes on where the one before ended, as far as they do (`chained`)."""
    steps = nodes[edges[:, 1]] - nodes[edges[:, 0]]
    lengths = np.linalg.norm(steps, axis=1)
    directions = steps / lengths[:, None]

    def goes_on(one: Integers, other: Integers) -> npt.NDArray[np.bool_]:
        is_straight = (directions[one] * directions[other]).sum(1) >= math.cos(_CORNER)
        return np.asarray((edges[one, 1] == edges[other, 0]) & is_straight)

    each = np.arange(len(edges))
    first = np.concatenate([[0], 1 + np.flatnonzero(~goes_on(each[:-1], each[1:]))])
    last = np.append(first[1:], len(edges)) - 1
    is_closed = goes_on(last, first)
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    return [
        Piece(part, float(ends[a]), float(ends[b + 1]), bool(whole))
        for a, b, whole in zip(first, last, is_closed, strict=True)
    ]
