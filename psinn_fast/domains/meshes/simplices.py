"""Triangles and tetrahedra: their sizes, boundary, and which of them a point lies in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from ...frozen import frozen

Points = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Barycentric coordinates of points on a boundary may be so negative.
_ROUNDING = 1e-12
# Pairs of points and simplices that are compared at once; bins of the box around all, for each simplex.
_AT_ONCE, _BINS = 1 << 18, 1.0


def measures(nodes: Points, simplices: Integers) -> Points:
    """(M,): lengths, areas or volumes of simplices (M, k + 1) of nodes (N, d)."""
    edges = nodes[simplices[:, 1:]] - nodes[simplices[:, :1]]
    gram = edges @ edges.swapaxes(1, 2)
    return np.asarray(np.sqrt(np.linalg.det(gram).clip(0)) / math.factorial(edges.shape[1]))


def facets_of(cells: Integers) -> tuple[Integers, Integers]:
    """The facets (M (d + 1), d) of cells (M, d + 1), their nodes ascending, and the nodes opposite to them."""
    d = cells.shape[1] - 1
    facets = np.concatenate([np.delete(cells, i, axis=1) for i in range(d + 1)])
    return np.sort(facets, axis=1), cells.T.ravel()


def normals(nodes: Points, facets: Integers, opposite: Integers) -> Points:
    """(K, d): unit vectors across facets (K, d), away from the opposite nodes (K,)."""
    start, edges = nodes[facets[:, 0]], nodes[facets[:, 1:]] - nodes[facets[:, :1]]
    if nodes.shape[1] == 2:
        across = np.stack([edges[:, 0, 1], -edges[:, 0, 0]], axis=1)
    else:
        across = np.cross(edges[:, 0], edges[:, 1])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    outwards = np.einsum("kd,kd->k", across, start - nodes[opposite]) > 0
    return np.asarray(np.where(outwards[:, None], across, -across))


def inside_of(corners: Points, unit: Points) -> Points:
    """(N, d): points of simplices with corners (N, k + 1, d) for parameters (N, k), even ones for even ones.

    Of k ordered numbers of [0, 1] the differences are barycentric coordinates, all equally likely.
    """
    steps = np.diff(np.sort(unit, axis=1), axis=1, prepend=0.0, append=1.0)
    return np.asarray(np.einsum("nk,nkd->nd", steps[:, ::-1], corners))  # from the first corner to the second


class Search:
    """Which points lie in one of the cells (M, d + 1): by bins of their bounds, with the cells that each may meet."""

    def __init__(self, nodes: Points, cells: Integers) -> None:
        corners = nodes[cells]
        self._first, edges = corners[:, 0], corners[:, 1:] - corners[:, :1]
        slopes = np.linalg.inv(edges)  # (M, d, d + 1) with the first: of barycentric coordinates
        self._slopes = np.concatenate([-slopes.sum(2, keepdims=True), slopes], axis=2)
        self._heights = 1 / np.linalg.norm(self._slopes, axis=1)
        _, number, count = np.unique(facets_of(cells)[0], axis=0, return_inverse=True, return_counts=True)
        self._is_outer = (count[number.ravel()] == 1).reshape(-1, len(cells)).T
        self._low, high = nodes.min(0), nodes.max(0)
        per_axis = max(1, round((_BINS * len(cells)) ** (1 / nodes.shape[1])))
        self._counts = np.full(nodes.shape[1], per_axis)
        self._size = (high - self._low) / self._counts
        first, last = self._bin(corners.min(1)), self._bin(corners.max(1))
        owners, bins = [], []
        for rows, numbers in _pairs((last - first + 1).prod(1)):
            shape = (last - first + 1)[rows]
            place = np.empty((len(rows), nodes.shape[1]), np.int64)
            for axis in reversed(range(nodes.shape[1])):
                numbers, place[:, axis] = np.divmod(numbers, shape[:, axis])
            owners.append(rows)
            bins.append(np.ravel_multi_index(tuple((first[rows] + place).T), tuple(self._counts)))
        number, owner = np.concatenate(bins), np.concatenate(owners)
        order = np.argsort(number, kind="stable")
        self._cells = owner[order]
        self._starts = np.searchsorted(number[order], np.arange(int(self._counts.prod()) + 1))
        frozen((self._first, self._slopes, self._heights, self._is_outer, self._cells, self._starts))

    def contains(self, points: Points) -> Mask:
        """(N,)."""
        return self._any(points, lambda shares, cells: shares.min(1) >= -_ROUNDING)

    def on_boundary(self, points: Points, slack: float) -> Mask:
        """(N,): which are not farther away from the boundary than ``slack``."""

        def is_near(shares: Points, cells: Integers) -> Mask:
            distances = shares * self._heights[cells]
            at_it = (self._is_outer[cells] & (abs(distances) <= slack)).any(1)
            return np.asarray(at_it & (distances.min(1) >= -slack))

        return self._any(points, is_near)

    def _any(self, points: Points, holds: Callable[[Points, Integers], Mask]) -> Mask:
        """(N,): of which points something holds in one of the cells, by their barycentric coordinates (K, d + 1)."""
        found = np.zeros(len(points), bool)
        within = ((points >= self._low - self._size) & (points <= self._low + self._size * (self._counts + 1))).all(1)
        rows = np.flatnonzero(within)
        bins = np.ravel_multi_index(tuple(self._bin(points[rows]).T), tuple(self._counts))
        for own, numbers in _pairs(self._starts[bins + 1] - self._starts[bins]):
            cells = self._cells[self._starts[bins[own]] + numbers]
            away = points[rows[own]] - self._first[cells]
            shares = np.einsum("nd,nde->ne", away, self._slopes[cells])
            shares[:, 0] += 1
            found[rows[own[holds(shares, cells)]]] = True
        return found

    def _bin(self, points: Points) -> Integers:
        numbers = np.floor((points - self._low) / self._size).astype(np.int64)
        return np.asarray(numbers.clip(0, self._counts - 1))


def _pairs(counts: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Every row with each of the numbers below its count, some at once."""
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _AT_ONCE, "right")))
        own = counts[first:last]
        rows = np.repeat(np.arange(first, last), own)
        yield rows, np.arange(len(rows)) - np.repeat(np.cumsum(own) - own, own)
        first = last


def along_a_curve(points: Points) -> Integers:
    """(N,): an order of points (N, d) in which neighbours are near each other (Morton's)."""
    d = points.shape[1]
    low, bits = points.min(0), 60 // d
    widths = np.where(np.ptp(points, axis=0) > 0, np.ptp(points, axis=0), 1.0)
    places = ((points - low) / widths * (2**bits - 1)).astype(np.int64)
    key = np.zeros(len(points), np.int64)
    for bit in range(bits):
        for axis in range(d):
            key |= ((places[:, axis] >> bit) & 1) << (bit * d + axis)
    return np.argsort(key, kind="stable")


def chained(edges: Integers) -> tuple[Integers, Integers]:
    """An order (K,) of edges (K, 2) in which each goes on where the one before ended, as far as they do; and the edges
    in that order, each from its start to its end."""
    at: dict[int, list[int]] = {}
    for number, ends in enumerate(edges.tolist()):
        for end in ends:
            at.setdefault(end, []).append(number)
    order, directed, used = list[int](), list[tuple[int, int]](), set[int]()
    for start in [*(end for end, numbers in at.items() if len(numbers) != 2), *at]:
        node = start
        while free := [n for n in at[node] if n not in used]:
            number = free[0]
            used.add(number)
            one, other = edges[number].tolist()
            order.append(number)
            directed.append((node, other if node == one else one))
            node = directed[-1][1]
    return np.array(order), np.array(directed)
