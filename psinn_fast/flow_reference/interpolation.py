"""Values between the nodes of quadratic triangles, at any points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# A point belongs to a triangle that it misses by so much of the triangle's size: rounding, in float32 too.
_TOLERANCE = 1e-4
# Steps of Newton's method in a triangle with a curved edge; one with straight edges takes one.
_STEPS = 4


class Interpolation:
    """Quadratic in every triangle, continuous: points (M, 2) -> (M, F), NaN outside.

    A triangle's map is quadratic too (isoparametric), so that edges may follow a curve.

    Args:
        nodes: (N, 2).
        triangles: (T, 6): corners a, b, c, then the middles of ab, bc and ac.
        values: (N, F), at the nodes.
    """

    def __init__(self, nodes: Numbers, triangles: Indices, values: Numbers) -> None:
        self._triangles, self._values = triangles, values
        # An affine map of each triangle and what the curved ones have beyond it.
        self._at = nodes[triangles]
        low, high = self._at.min(1), self._at.max(1)
        margin = _TOLERANCE * (high - low).max(1, keepdims=True)
        self._low = low.min(0) - margin.max()
        self._boxes = _Boxes(low - margin - self._low, high + margin - self._low)

    def __call__(self, points: Numbers) -> Numbers:
        result = np.full((len(points), self._values.shape[1]), np.nan)
        triangle, local = self.locate(np.asarray(points, dtype=np.float64))
        found = triangle >= 0
        weights = _shapes(local[found])
        result[found] = np.einsum("mk,mkf->mf", weights, self._values[self._triangles[triangle[found]]])
        return result

    def locate(self, points: Numbers) -> tuple[Indices, Numbers]:
        """(M,): the triangle of each point, -1 for none; (M, 2): its local coordinates there."""
        found, local = np.full(len(points), -1), np.zeros((len(points), 2))
        best = np.full(len(points), -_TOLERANCE)
        starts, counts = self._boxes.candidates(points - self._low)
        left, turn = np.flatnonzero(counts > 0), 0
        while left.size:
            triangle = self._boxes.numbers[starts[left] + turn]
            at = self._inverse(triangle, points[left])
            inside = np.minimum(at.min(1), 1 - at.sum(1))
            better = inside > best[left]
            which = left[better]
            found[which], local[which], best[which] = triangle[better], at[better], inside[better]
            turn += 1
            left = left[(best[left] < 0) & (counts[left] > turn)]
        return found, local

    def _inverse(self, triangle: Indices, points: Numbers) -> Numbers:
        """(M, 2): local coordinates of points in the triangle given for each, by Newton's method."""
        nodes = self._at[triangle]
        local = np.full((len(points), 2), 1 / 3)
        # Far from its triangle a point may have no image: the steps stay bounded, and it counts as outside.
        for _ in range(_STEPS):
            off = points - np.einsum("mk,mkd->md", _shapes(local), nodes)
            jacobian = np.einsum("mke,mkd->mde", _slopes(local), nodes)
            local = np.clip(local + np.linalg.solve(jacobian, off[..., None])[..., 0], -1, 2)
        return local


def _shapes(local: Numbers) -> Numbers:
    """(M, 2) -> (M, 6): quadratic functions, 1 at one node and 0 at the others."""
    b, c = local.T
    a = 1 - b - c
    return np.stack([a * (2 * a - 1), b * (2 * b - 1), c * (2 * c - 1), 4 * a * b, 4 * b * c, 4 * a * c], 1)


def _slopes(local: Numbers) -> Numbers:
    """(M, 2) -> (M, 6, 2): their derivatives."""
    b, c = local.T
    a, zero = 1 - b - c, np.zeros(len(local))
    by_b = np.stack([1 - 4 * a, 4 * b - 1, zero, 4 * (a - b), 4 * c, -4 * c], 1)
    by_c = np.stack([1 - 4 * a, zero, 4 * c - 1, -4 * b, 4 * b, 4 * (a - c)], 1)
    return np.stack([by_b, by_c], 2)


class _Boxes:
    """Which of many boxes a point may be in, by the cells of an even grid that they meet."""

    def __init__(self, low: Numbers, high: Numbers) -> None:
        self._size = high.max(0)
        area = np.prod(self._size)
        self._shape = np.maximum(1, np.round(self._size * np.sqrt(len(low) / area))).astype(np.int64)
        first, last = self._cell(low), self._cell(high)
        wide = last - first + 1
        counts = wide.prod(1)
        box = np.repeat(np.arange(len(low)), counts)
        within = np.arange(len(box)) - np.repeat(np.cumsum(counts) - counts, counts)
        column = first[box, 0] + within // wide[box, 1]
        row = first[box, 1] + within % wide[box, 1]
        cell = column * self._shape[1] + row
        order = np.argsort(cell, kind="stable")
        self.numbers = box[order]
        self._ends = np.cumsum(np.bincount(cell, minlength=int(self._shape.prod())))

    def candidates(self, points: Numbers) -> tuple[Indices, Indices]:
        """(M,): where in ``numbers`` the boxes begin that a point may be in, and how many they are."""
        within = ((points >= 0) & (points <= self._size)).all(1)  # NaN is not
        cell = self._cell(np.where(within[:, None], points, 0)) @ np.array([self._shape[1], 1])
        ends = self._ends[cell]
        starts = np.where(cell > 0, self._ends[cell - 1], 0)
        return starts, np.where(within, ends - starts, 0)

    def _cell(self, points: Numbers) -> Indices:
        cells: Indices = (points / self._size * self._shape).astype(np.int64)
        return np.asarray(np.minimum(cells, self._shape - 1))
