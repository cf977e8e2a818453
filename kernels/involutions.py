"""Matrices of linear forms, and cheaper ways to multiply by them.

A block of a rewritten layer is a linear form in the layer's symbols, such as A + B. `Forms` numbers them: entries of a
matrix are signed numbers, k for form k, -k for its opposite, 0 for zero. So "equal up to sign" is "equal in absolute
value", at every stage, and nothing here depends on what the symbols' values are.

`factor` writes such a matrix as W = post * (dense products) * pre by

- leaving out zero blocks: connected parts apart, and in a part one product per set of rows with the same support;
- sharing: a block that several rows apply to one input, up to sign, is applied once (and the transpose of that: equal
  blocks in one row act on the sum of their inputs);
- signed involutions of rows and columns that leave W as it is. In the basis z_i + z_out(i), z_i - z_out(i) and
  likewise for the inputs, W is block-diagonal. Each half may have such a symmetry again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .symbols import IntArray

FloatArray = npt.NDArray[np.float64]
_Colours = npt.NDArray[np.uint64]
# Signed rows (of a column) or columns (of a row) that use one block.
_Users = tuple[tuple[int, int], ...]
# Matrix entries looked at per layer (about 30 million a second); what has not been found by then is left as it is.
EFFORT = 20_000_000
# Symmetries compared per matrix.
MOST = 6


class Forms:
    """Linear forms sum_s c_s Theta_s, numbered from 1 (the symbols first). A form's first coefficient is positive."""

    def __init__(self, n_symbols: int) -> None:
        self.terms: list[tuple[tuple[int, float], ...]] = [(), *(((s, 1.0),) for s in range(1, n_symbols + 1))]
        self._numbers = {terms: number for number, terms in enumerate(self.terms)}
        self._sums: dict[tuple[int, int, float], int] = {}

    def add(self, a: IntArray, b: IntArray, scale: float = 1.0) -> IntArray:
        """scale * (a + b), entry by entry."""
        pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
        return np.array([self._sum(x, y, scale) for x, y in pairs], dtype=np.int64).reshape(a.shape)

    def table(self) -> tuple[IntArray, IntArray, FloatArray]:
        """(first, symbol, coefficient): form k has the terms first[k] to first[k + 1]."""
        first = np.cumsum([0, *(len(terms) for terms in self.terms)])
        flat = [term for terms in self.terms for term in terms]
        return first, np.array([s for s, _ in flat], dtype=np.int64), np.array([c for _, c in flat], dtype=np.float64)

    def _sum(self, a: int, b: int, scale: float) -> int:
        key = (a, b, scale)
        if key not in self._sums:
            total: dict[int, float] = {}
            for number in (a, b):
                for symbol, coefficient in self.terms[abs(number)]:
                    total[symbol] = total.get(symbol, 0.0) + (scale if number > 0 else -scale) * coefficient
            self._sums[key] = self._number(total)
        return self._sums[key]

    def _number(self, total: dict[int, float]) -> int:
        terms = sorted((symbol, coefficient) for symbol, coefficient in total.items() if coefficient)
        sign = -1 if terms and terms[0][1] < 0 else 1
        key = tuple((symbol, sign * coefficient) for symbol, coefficient in terms)
        if key not in self._numbers:
            self._numbers[key] = len(self.terms)
            self.terms.append(key)
        return sign * self._numbers[key]


class Leaf(NamedTuple):
    """A dense product: slots += W operands, with a matrix of forms W."""

    slots: IntArray
    operands: IntArray
    weight: IntArray


@dataclass(frozen=True)
class Factored:
    """W = post * leaves * pre, by blocks. Every slot belongs to one leaf.

    ``splits``: how often an involution was used; ``shared``: how many products were spared by sharing.
    """

    pre: FloatArray
    post: FloatArray
    leaves: tuple[Leaf, ...]
    splits: int = 0
    shared: int = 0

    def cost(self, rows: IntArray, cols: IntArray) -> tuple[int, int, bool, int]:
        """(multiplications and additions, multiplications, any sums at all, number of products): less is better."""
        slot_sizes, operand_sizes = block_sizes(self.post.T, rows), block_sizes(self.pre, cols)
        products = sum(int(slot_sizes[leaf.slots].sum() * operand_sizes[leaf.operands].sum()) for leaf in self.leaves)
        sums = 0
        for matrix, sizes in ((self.pre, operand_sizes), (self.post, rows)):
            sums += int((np.maximum((matrix != 0).sum(1) - 1, 0) * sizes).sum())
        return products + sums, products, sums > 0, len(self.leaves)


def block_sizes(matrix: FloatArray, sizes: IntArray) -> IntArray:
    """Block sizes of M h, of those of h: all blocks that are summed have one size."""
    return sizes[(matrix != 0).argmax(1)] if matrix.size else np.ones(matrix.shape[0], dtype=np.int64)


def factor(forms: Forms, weight: IntArray, rows: IntArray, cols: IntArray) -> Factored:
    """The cheapest way found to multiply by ``weight``, whose blocks have sizes ``rows`` x ``cols``."""
    return _Factoring(forms).best(weight, rows, cols)


class _Factoring:
    def __init__(self, forms: Forms) -> None:
        self.forms = forms
        self.effort_left = EFFORT
        self.known: dict[tuple[bytes, ...], Factored] = {}

    def best(self, weight: IntArray, rows: IntArray, cols: IntArray) -> Factored:
        return _direct_sum(weight, rows, cols, self._best_connected)

    def plain(self, weight: IntArray, rows: IntArray, cols: IntArray) -> Factored:
        """Zero blocks left out, nothing else."""
        return _direct_sum(weight, rows, cols, _by_support)

    def _best_connected(self, weight: IntArray, rows: IntArray, cols: IntArray) -> Factored:
        key = (weight.tobytes(), rows.tobytes(), cols.tobytes())
        if key not in self.known:
            candidates = [_by_support(weight, rows, cols)]
            if weight.size > 1 and self.effort_left > 0:
                candidates += self._rewritten(weight, rows, cols)
            self.known[key] = min(candidates, key=lambda candidate: candidate.cost(rows, cols))
        return self.known[key]

    def _rewritten(self, weight: IntArray, rows: IntArray, cols: IntArray) -> list[Factored]:
        rewritten = [_share(weight, rows, cols), _transposed(_share(weight.T, cols, rows))]
        search = InvolutionSearch(weight, rows, cols, self.effort_left // 4)
        symmetric = [self._diagonalised(weight, *pair) for pair in search.run()]
        self.effort_left -= search.effort + 20 * weight.size
        if symmetric:  # all halve the work, more or less: only the best is looked into
            costs = [self._finish(halves, rows, cols, self.plain).cost(rows, cols) for halves in symmetric]
            rewritten.append(symmetric[costs.index(min(costs))])
        # A second rewrite inside the first may cost more additions than it saves: try with and without.
        return [
            self._finish(middle, rows, cols, inner)
            for middle in rewritten
            if middle is not None
            for inner in (self.plain, self.best)
        ]

    def _diagonalised(self, weight: IntArray, out: Involution, into: Involution) -> _Step:
        """W in the basis of sums and differences of exchanged pairs; what is fixed with sign s is in the s part.

        Block (i, j) of the s part is (W[i, j] + s s_in(j) W[i, in(j)]) / 2, or W[i, j] where j is fixed.
        """
        m, n = weight.shape
        halves, posts, pres = [], [], []
        for s in (1, -1):
            i, j = out.part(s), into.part(s)
            own, exchanged = weight[np.ix_(i, j)], weight[np.ix_(i, into.image[j])]
            halves.append(self.forms.add(own, s * into.sign[j] * exchanged, 0.5))
            post, pre = np.zeros((m, i.size)), np.zeros((j.size, n))
            post[out.image[i], np.arange(i.size)] = s * out.sign[i]
            pre[np.arange(j.size), into.image[j]] = s * into.sign[j]
            post[i, np.arange(i.size)] = 1
            pre[np.arange(j.size), j] = 1
            posts.append(post)
            pres.append(pre)
        middle = np.zeros((posts[0].shape[1] + posts[1].shape[1], pres[0].shape[0] + pres[1].shape[0]), dtype=np.int64)
        middle[: halves[0].shape[0], : halves[0].shape[1]] = halves[0]
        middle[halves[0].shape[0] :, halves[0].shape[1] :] = halves[1]
        return _Step(np.hstack(posts), middle, np.vstack(pres), splits=1)

    def _finish(
        self, step: _Step, rows: IntArray, cols: IntArray, inner: Callable[[IntArray, IntArray, IntArray], Factored]
    ) -> Factored:
        sizes = block_sizes(step.post.T, rows), block_sizes(step.pre, cols)
        done = inner(step.weight, *sizes)
        if not ((done.pre @ step.pre).any(1).all() and (step.post @ done.post).any(0).all()):
            done = self.plain(step.weight, *sizes)  # sums that cancel would leave a slot without use; no case known
        return replace(
            done,
            pre=done.pre @ step.pre,
            post=step.post @ done.post,
            splits=step.splits + done.splits,
            shared=step.shared + done.shared,
        )


class _Step(NamedTuple):
    """W = post * weight * pre, with a matrix of forms in the middle."""

    post: FloatArray
    weight: IntArray
    pre: FloatArray
    splits: int = 0
    shared: int = 0


def _direct_sum(
    weight: IntArray, rows: IntArray, cols: IntArray, inner: Callable[[IntArray, IntArray, IntArray], Factored]
) -> Factored:
    """Each connected part by ``inner``; zero rows and columns in none."""
    pres, posts, leaves = [np.zeros((0, cols.size))], [np.zeros((rows.size, 0))], list[Leaf]()
    n_slots = n_operands = splits = shared = 0
    for i, j in _components(weight != 0):
        part = inner(weight[np.ix_(i, j)], rows[i], cols[j])
        pre, post = np.zeros((part.pre.shape[0], cols.size)), np.zeros((rows.size, part.post.shape[1]))
        pre[:, j], post[i] = part.pre, part.post
        pres.append(pre)
        posts.append(post)
        leaves += [Leaf(leaf.slots + n_slots, leaf.operands + n_operands, leaf.weight) for leaf in part.leaves]
        n_slots, n_operands = n_slots + post.shape[1], n_operands + pre.shape[0]
        splits, shared = max(splits, part.splits), shared + part.shared
    return Factored(np.vstack(pres), np.hstack(posts), tuple(leaves), splits, shared)


def _components(used: npt.NDArray[np.bool_]) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows and columns of each connected part, in order."""
    left = used.any(1)
    while left.any():
        i, size = np.arange(used.shape[0]) == left.argmax(), 0
        while i.sum() > size:
            size = i.sum()
            j = used[i].any(0)
            i = used[:, j].any(1)
        left &= ~i
        yield np.flatnonzero(i), np.flatnonzero(j)


def _by_support(weight: IntArray, rows: IntArray, cols: IntArray) -> Factored:
    """One product per set of rows with non-zero blocks in the same columns, or one for all if that spares nothing."""
    m, n = weight.shape
    supports, group = np.unique(weight != 0, axis=0, return_inverse=True)
    leaves = []
    for k, support in enumerate(supports):
        i, j = np.flatnonzero(group.ravel() == k), np.flatnonzero(support)
        leaves.append(Leaf(i, j, weight[np.ix_(i, j)]))
    grouped = Factored(np.eye(n), np.eye(m), tuple(leaves))
    dense = replace(grouped, leaves=(Leaf(np.arange(m), np.arange(n), weight),))
    read = sum(int(cols[leaf.operands].sum()) for leaf in leaves)
    copies = 0 if natural_runs([leaf.operands for leaf in leaves]) else read - int(cols.sum())
    spared = dense.cost(rows, cols)[0] - grouped.cost(rows, cols)[0]
    return grouped if spared > copies else dense


def natural_runs(places: Sequence[IntArray]) -> list[list[IntArray]] | None:
    """Each set of places cut into runs without gaps (positions in the set); None if that makes many more."""
    runs = []
    for place in places:
        order = np.argsort(place)
        runs.append(np.split(order, np.flatnonzero(np.diff(place[order]) != 1) + 1))
    return runs if sum(map(len, runs)) <= 2 * len(places) else None


def _share(weight: IntArray, rows: IntArray, cols: IntArray) -> _Step | None:
    """W = post * G: one row of G per signed set of rows that apply the same block to the same input."""
    size = np.abs(weight)
    ordered = np.sort(size, axis=0)
    if not ((ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)).any():
        return None
    # Per signed set of rows, its blocks: (column, form).
    sets: dict[_Users, list[tuple[int, int]]] = {}
    for j in range(weight.shape[1]):
        found: dict[int, list[tuple[int, int]]] = {}
        for i in np.flatnonzero(size[:, j]).tolist():
            found.setdefault(int(size[i, j]), []).append((i, int(np.sign(weight[i, j]))))
        for form, signed in found.items():
            lead = signed[0][1]
            sets.setdefault(tuple((i, sign * lead) for i, sign in signed), []).append((j, lead * form))
    slots: dict[_Users, list[tuple[int, int]]] = {}
    in_row = (size > 0) @ cols
    shared = 0
    for users, blocks in sets.items():
        width = sum(int(cols[j]) for j, _ in blocks)
        n_sums = sum(bool(in_row[i] > width) for i, _ in users)
        if len(users) > 1 and (len(users) - 1) * width >= n_sums:
            slots[users] = blocks
            shared += len(blocks)
        else:
            for i, sign in users:
                slots.setdefault(((i, 1),), []).extend((j, sign * form) for j, form in blocks)
    if not shared:
        return None
    post, middle = np.zeros((rows.size, len(slots))), np.zeros((len(slots), cols.size), dtype=np.int64)
    for k, (users, blocks) in enumerate(slots.items()):
        for i, sign in users:
            post[i, k] = sign
        for j, form in blocks:
            middle[k, j] = form
    return _Step(post, middle, np.eye(cols.size), shared=shared)


def _transposed(step: _Step | None) -> _Step | None:
    return None if step is None else step._replace(post=step.pre.T, weight=step.weight.T, pre=step.post.T)


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
