"""Signed involutions of rows and columns that leave a matrix as it is.

Entries are signed numbers (`forms`), k and -k opposites: the search needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..symbols import IntArray

_Colours = npt.NDArray[np.uint64]
# Matrix entries looked at per layer (about 30 million a second); what has not been found by then is left as it is.
EFFORT = 20_000_000
# Symmetries compared per matrix.
MOST = 6


class Involution(NamedTuple):
    """i goes to image[i] with sign[i]; image[image[i]] = i, and both ways the sign is the same."""

    image: IntArray
    sign: IntArray

    def part(self, s: int) -> IntArray:
        """Indices of a basis of the vectors that go to s times themselves: one per pair, and the fixed with sign s."""
        own = np.arange(self.image.size)
        return np.flatnonzero((self.image > own) | ((self.image == own) & (self.sign == s)))


class InvolutionSearch:
    """Pairs (of the rows, of the columns) with W[out(i), in(j)] = s_out(i) s_in(j) W[i, j], other than +-1.

    ``weight`` must be connected. The pairs are automorphisms of a graph with two vertices, v and -v, per row and per
    column, and an edge with the label +-W[i, j] between any row's and any column's. The search is the usual one: colour
    the vertices, refine by the colours of the neighbours, and where that leaves a choice, choose and refine again.
    ``effort``: matrix entries looked at so far, up to about ``most_effort``.
    """

    def __init__(self, weight: IntArray, rows: IntArray, cols: IntArray, most_effort: int = EFFORT) -> None:
        self.weight, self.rows, self.cols = weight, rows, cols
        self.effort, self.most_effort = 0, most_effort
        m, n = weight.shape
        # Vertices: rows, minus rows, columns, minus columns.
        self.opposite = np.concatenate([np.arange(m) + m, np.arange(m), 2 * m + n + np.arange(n), 2 * m + np.arange(n)])

    def run(self) -> Iterator[tuple[Involution, Involution]]:
        """At most `MOST` of them, with different images of one row or column."""
        self.labels = _mix(np.block([[self.weight, -self.weight], [-self.weight, self.weight]]).astype(np.uint64))
        start = _mix(np.concatenate([self.rows, self.rows, -self.cols, -self.cols]).astype(np.uint64))
        refined = self._refine(start, start)
        if refined is None:
            return
        colours, _ = refined
        cell = self._first_cell(colours)
        if cell is None:
            return
        # The overall sign is free, so the first vertex goes to a positive one; the graph's cells contain both.
        first, found = int(cell[0]), 0
        positive = cell[cell < self.opposite[cell]]
        for image in [*positive[1:].tolist(), first]:
            chosen = self._choose(colours, colours, first, image)
            pair = next(self._extend(*chosen), None)
            if pair is not None:
                found += 1
                yield pair
            if found == MOST or self.effort > self.most_effort:
                return

    def _extend(self, ours: _Colours, theirs: _Colours) -> Iterator[tuple[Involution, Involution]]:
        """Involutions that map the colours ``ours`` to ``theirs``."""
        refined = self._refine(ours, theirs) if self.effort <= self.most_effort else None
        if refined is None:
            return
        ours, theirs = refined
        values, first, counts = np.unique(ours, return_index=True, return_counts=True)
        open_cells = np.flatnonzero(counts > 1)
        if open_cells.size == 0:
            images = np.empty_like(self.opposite)
            images[np.argsort(ours)] = np.argsort(theirs)
            pair = self._checked(images)
            if pair is not None:
                yield pair
            return
        smallest = open_cells[np.argmin(counts[open_cells])]
        vertex = int(first[smallest])
        # Exchanged vertices halve the work, fixed ones do not.
        candidates = np.flatnonzero(theirs == values[smallest]).tolist()
        for image in sorted(candidates, key=lambda candidate: candidate == vertex):
            yield from self._extend(*self._choose(ours, theirs, vertex, image))

    def _choose(self, ours: _Colours, theirs: _Colours, vertex: int, image: int) -> tuple[_Colours, _Colours]:
        """New colours for vertex -> image and image -> vertex, and the same for their opposites."""
        ours, theirs, opposite = ours.copy(), theirs.copy(), self.opposite
        moves = [(vertex, image)] if image in (vertex, opposite[vertex]) else [(vertex, image), (image, vertex)]
        for mark, (source, target) in enumerate(moves):
            for offset, (a, b) in enumerate([(source, target), (int(opposite[source]), int(opposite[target]))]):
                extra = np.uint64(4 * mark + 2 * offset + 1)
                ours[a], theirs[b] = ours[a] + extra, theirs[b] + extra
        return ours, theirs

    def _refine(self, ours: _Colours, theirs: _Colours) -> tuple[_Colours, _Colours] | None:
        """Both refined until nothing splits; None as soon as their colours differ."""
        n_classes = 0
        same = ours is theirs
        while True:
            sorted_ours = np.sort(ours)
            if not same and (sorted_ours != np.sort(theirs)).any():
                return None
            n_now = 1 + int(np.count_nonzero(np.diff(sorted_ours)))
            if n_now in (n_classes, ours.size):
                return ours, theirs
            n_classes = n_now
            ours = self._round(ours)
            theirs = ours if same else self._round(theirs)

    def _round(self, colours: _Colours) -> _Colours:
        self.effort += self.labels.size
        n = self.labels.shape[0]
        from_cols = _mix(self.labels + _mix(colours[n:])).sum(1, dtype=np.uint64)
        from_rows = _mix(self.labels + _mix(colours[:n])[:, None]).sum(0, dtype=np.uint64)
        return _mix(colours + np.concatenate([from_cols, from_rows]))

    def _first_cell(self, colours: _Colours) -> IntArray | None:
        """The smallest set of like-coloured vertices with more than one row (or column) in it, positive ones first."""
        _, inverse = np.unique(colours, return_inverse=True)
        positive = np.flatnonzero(np.arange(colours.size) < self.opposite)
        counts = np.bincount(inverse[positive], minlength=inverse.max() + 1)
        several = np.flatnonzero(counts > 1)
        if several.size == 0:
            return None
        return np.flatnonzero(inverse == several[np.argmin(counts[several])])

    def _checked(self, image: IntArray) -> tuple[Involution, Involution] | None:
        m, n = self.weight.shape
        out = Involution(image[:m] % m, np.where(image[:m] < m, 1, -1))
        own = image[2 * m : 2 * m + n] - 2 * m
        into = Involution(own % n, np.where(own < n, 1, -1))
        for part in (out, into):
            is_own_inverse = part.image[part.image] == np.arange(part.image.size)
            if not (is_own_inverse & (part.sign[part.image] == part.sign)).all():
                return None
        moved = self.weight[np.ix_(out.image, into.image)]
        if (moved != out.sign[:, None] * into.sign * self.weight).any():
            return None
        sizes_fit = (self.rows[out.image] == self.rows).all() and (self.cols[into.image] == self.cols).all()
        # In a connected matrix, no permutation means one sign for all.
        is_trivial = (out.image == np.arange(m)).all() and (into.image == np.arange(n)).all()
        return (out, into) if sizes_fit and not is_trivial else None


def _mix(x: _Colours) -> _Colours:
    """A hash of 64-bit numbers (splitmix64). Equal colours by accident cost effort only: every result is checked."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
