"""Cheaper ways to multiply by a matrix of linear forms (`forms`).

`factor` writes such a matrix as W = post * (dense products) * pre by

- leaving out zero blocks: connected parts apart, and in a part one product per set of rows with the same support;
- sharing: a block that several rows apply to one input, up to sign, is applied once (and the transpose of that: equal
  blocks in one row act on the sum of their inputs);
- signed involutions of rows and columns that leave W as it is (`involutions`). In the basis z_i + z_out(i),
  z_i - z_out(i) and likewise for the inputs, W is block-diagonal. Each half may have such a symmetry again.

`Factored.cost` says what is cheaper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..symbols import IntArray
from .forms import FloatArray, Forms
from .involutions import EFFORT, Involution, InvolutionSearch

# Signed rows (of a column) or columns (of a row) that use one block.
_Users = tuple[tuple[int, int], ...]
# What a product costs beside its multiplications, per point and channel: its block is loaded and stored.
PER_PRODUCT = 16


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
        """(operations, multiplications, any sums at all, number of products): less is better.

        Operations are multiplications, additions and `PER_PRODUCT` for each product, so that a layer of single neurons
        with accidental ties does not end as dozens of tiny products that spare a seventh. At equal operations the rest
        decides. What costs no more operations than the one dense product never has more multiplications: it pays for
        at least one product too.
        """
        slot_sizes, operand_sizes = block_sizes(self.post.T, rows), block_sizes(self.pre, cols)
        products = sum(int(slot_sizes[leaf.slots].sum() * operand_sizes[leaf.operands].sum()) for leaf in self.leaves)
        sums = 0
        for matrix, sizes in ((self.pre, operand_sizes), (self.post, rows)):
            sums += int((np.maximum((matrix != 0).sum(1) - 1, 0) * sizes).sum())
        operations = products + sums + PER_PRODUCT * len(self.leaves)
        return operations, products, sums > 0, len(self.leaves)


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
    """Each connected part by ``inner``, or one product for all if that costs less; zero rows and columns in none."""
    parts = list(_components(weight != 0))
    apart = _assembled([(i, j, inner(weight[np.ix_(i, j)], rows[i], cols[j])) for i, j in parts], rows.size, cols.size)
    if len(parts) < 2:
        return apart
    i, j = np.flatnonzero((weight != 0).any(1)), np.flatnonzero((weight != 0).any(0))
    together = _assembled([(i, j, _dense(weight[np.ix_(i, j)]))], rows.size, cols.size)
    return min(apart, together, key=lambda candidate: candidate.cost(rows, cols))


def _assembled(parts: Sequence[tuple[IntArray, IntArray, Factored]], m: int, n: int) -> Factored:
    """An m x n matrix from parts and the rows and columns they lie in."""
    pres, posts, leaves = [np.zeros((0, n))], [np.zeros((m, 0))], list[Leaf]()
    n_slots = n_operands = splits = shared = 0
    for i, j, part in parts:
        pre, post = np.zeros((part.pre.shape[0], n)), np.zeros((m, part.post.shape[1]))
        pre[:, j], post[i] = part.pre, part.post
        pres.append(pre)
        posts.append(post)
        leaves += [Leaf(leaf.slots + n_slots, leaf.operands + n_operands, leaf.weight) for leaf in part.leaves]
        n_slots, n_operands = n_slots + post.shape[1], n_operands + pre.shape[0]
        splits, shared = max(splits, part.splits), shared + part.shared
    return Factored(np.vstack(pres), np.hstack(posts), tuple(leaves), splits, shared)


def _dense(weight: IntArray) -> Factored:
    """One product."""
    m, n = weight.shape
    return Factored(np.eye(n), np.eye(m), (Leaf(np.arange(m), np.arange(n), weight),))


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
    dense = _dense(weight)
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
