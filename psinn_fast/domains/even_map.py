"""Even points of [0, 1]^k to even points of a part of it that is known point by point alone.

The part is cut into the cells of a mesh whose middles are in it. The first number of a point chooses a slab of cells by
its share of all, the second a row of that slab, and so on (Rosenblatt 1952): equal volumes stay equal, and neighbours
neighbours, but where rows have gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .unit import even, mesh

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Holds = Callable[[Points], Mask]
Integers = npt.NDArray[np.int64]

# Cells along each axis, by the number of axes. Where the part spans less than this part of them it is cut again.
_CELLS, _SPANNED, _ROUNDS = {1: 4096, 2: 128, 3: 48, 4: 20}, 0.5, 3
# Where nothing is found it is looked for in cells that are so much smaller.
_AGAIN = {1: 8, 2: 4, 3: 2, 4: 1}
# Cells at the part's boundary hold the k-th power of so many points to measure it.
_FINER = {1: 256, 2: 16, 3: 4, 4: 2}


class EvenMap(NamedTuple):
    """From even points of [0, 1]^k to even ones of a part of it.

    Attributes:
        low, step: (k,), of the mesh: where it begins, and the sides of its cells.
        cells: (K, k), whole numbers, of the cells whose middles are in the part, in lexicographic order.
        starts: for slabs, rows of slabs, and so on: how many of the cells come before each, and K.
    """

    low: Points
    step: Points
    cells: Integers
    starts: tuple[Integers, ...]

    def __call__(self, unit: Points, holds: Holds) -> Points:
        """(N, k): the place of each point (N, k) of [0, 1]^k; where that is beyond the part, in a cell on its boundary,
        the cell's middle.

        Args:
            holds: the part, as it was given to `even_map`.
        """
        first, count = np.zeros(len(unit), np.int64), np.full(len(unit), len(self.cells))
        within = np.empty_like(unit)
        for axis, starts in enumerate(self.starts):
            rank = first + unit[:, axis] * count
            group = np.searchsorted(starts, np.minimum(rank, first + count - 0.5), "right") - 1
            first, count = starts[group], starts[group + 1] - starts[group]
            within[:, axis] = ((rank - first) / count).clip(0, 1)
        cells = self.cells[first]
        places = np.asarray(self.low + (cells + within) * self.step)
        beyond = ~holds(places)
        places[beyond] = self.low + (cells[beyond] + 0.5) * self.step
        return places

    def nodes(self, holds: Holds) -> tuple[Points, Points]:
        """Points (M, k) of the part and their weights (M,), which sum up to its volume: the middles of its cells, and
        even points of those on its boundary. Smooth parts are measured to about 1e-7, 1e-5, 1e-3, 1e-2 for k = 1, 2, 3,
        4."""
        k = len(self.low)
        inside = np.zeros((_CELLS[k],) * k, dtype=bool)
        inside[tuple(self.cells.T)] = True
        inside = np.pad(inside, 1, mode="edge")  # the ends of [0, 1] are no boundary
        near = [np.roll(inside, step, tuple(range(k))) for step in product((-1, 0, 1), repeat=k)]
        is_mixed = np.logical_or.reduce(near) & ~np.logical_and.reduce(near)
        middle = (slice(1, -1),) * k
        whole, mixed = np.argwhere((inside & ~is_mixed)[middle]), np.argwhere(is_mixed[middle])
        finer = even(_FINER[k] ** k, k)  # of a grid whole rows would be in or out along edges that follow an axis
        places = self.low + (mixed[:, None] + finer).reshape(-1, k) * self.step
        kept = places[holds(places)]
        cell = float(np.prod(self.step))
        weights = np.repeat([cell, cell / len(finer)], [len(whole), len(kept)])
        return np.concatenate([self.low + (whole + 0.5) * self.step, kept]), weights


def even_map(k: int, holds: Holds) -> EvenMap | None:
    """Of the part of [0, 1]^k, k from 1 to 4, that ``holds`` tells of points (N, k), (N,) truth values.

    None where it is empty, or too thin to be found: it has no middle of 32768, 512, 96, 20 cells along each axis.
    """
    n, low, high = _CELLS[k], np.zeros(k), np.ones(k)
    inside = _cut(n, low, high, holds)
    if not inside.any():
        inside = _cut(n * _AGAIN[k], low, high, holds)
    for _ in range(_ROUNDS):
        if not inside.any():
            return None
        found = np.argwhere(inside)
        first, last = (found.min(0) - 1).clip(0), (found.max(0) + 2).clip(None, len(inside))
        if len(inside) == n and (last - first > _SPANNED * n).all():
            break
        low, high = low + (high - low) * first / len(inside), low + (high - low) * last / len(inside)
        inside = _cut(n, low, high, holds)
    sizes = [inside.reshape(*inside.shape[: axis + 1], -1).sum(-1).ravel() for axis in range(k)]
    starts = tuple(np.concatenate([[0], np.cumsum(own)]) for own in sizes)
    return EvenMap(low, np.asarray((high - low) / n), np.argwhere(inside), starts)


def _cut(n: int, low: Points, high: Points, holds: Holds) -> Mask:
    """Of the cells, n along each axis, whether their middles are in the part."""
    k, middles = len(low), np.linspace(0.5, n - 0.5, n) / n
    return holds(np.asarray(low + (high - low) * mesh([middles] * k))).reshape((n,) * k)
