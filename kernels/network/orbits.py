"""The neurons of a hidden layer, grouped so that everything between two products fits into registers.

Between the slots of one layer and the operands of the next lie ``post``, tanh and ``pre`` (plan.py). Where R describes
reflections and swaps, ``post`` and ``pre`` mix neurons in pairs or quadruples, by the Walsh-Hadamard matrix of Z2 or
Z2 x Z2: H[r, j] = (-1)^(number of bits that r and j share). Such an orbit of neurons goes from slots to operands at
once, nearly always with additions only, and what lies between is never stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse
import scipy.sparse.csgraph

from .linear_map import LinearMap
from .plan import LayerPlan

SIZES = (1, 2, 4)

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Orbit:
    """Neurons n_j, slots s_j and operands o_i, ``repeat`` times, all numbers one higher each time.

    z[n_j]        = sum_r M[j, r] slots[s_r],  M = `mixing_matrix` of ``mixing``
    operands[o_i] = sum_j M[i, j] h[n_j],      M = `mixing_matrix` of ``mixing_after``, or ``sums`` if there are any
    """

    neurons: tuple[int, ...]
    slots: tuple[int, ...]
    operands: tuple[int, ...]
    mixing: int = 1
    mixing_after: int = 1
    sums: tuple[tuple[float, ...], ...] = ()
    repeat: int = 1

    @classmethod
    def single(cls, width: int) -> Orbit:
        """Neurons that are not mixed."""
        return cls((0,), (0,), (0,), repeat=width)

    @property
    def size(self) -> int:
        return len(self.neurons)

    def _follows(self, first: Orbit) -> bool:
        shifted = (
            tuple(number + first.repeat for number in numbers)
            for numbers in (first.neurons, first.slots, first.operands)
        )
        kind, own = ((orbit.mixing, orbit.mixing_after, orbit.sums) for orbit in (first, self))
        return kind == own and (self.neurons, self.slots, self.operands) == tuple(shifted)


def mixing_matrix(size: int, mixing: int) -> Matrix:
    """Blocks of ``mixing`` x ``mixing`` Walsh-Hadamard matrices on the diagonal; 1: the identity."""
    walsh = scipy.linalg.hadamard(mixing, dtype=np.float64)
    return np.asarray(np.kron(np.eye(size // mixing), walsh), dtype=np.float64)


def orbits(layers: Sequence[LayerPlan], layer: int, has_slots: bool | None = None) -> list[Orbit] | None:
    """The orbits of hidden layer ``layer``, or None if its neurons are mixed in any other way.

    Args:
        has_slots: whether the layer has any of its own. None: all but the first, whose ``post`` is part of its one
            dense matrix, so that slots are neurons there.
    """
    post = layers[layer].post if (layer > 0 if has_slots is None else has_slots) else None
    pre = layers[layer + 1].pre
    n = layers[layer].fan_out
    if post is None and pre is None:
        return [Orbit.single(n)]
    after = scipy.sparse.identity(n, format="csr") if post is None else _summed(post)
    before = scipy.sparse.identity(n, format="csr") if pre is None else _summed(pre)
    n_slots = after.shape[1]
    if n_slots != n:
        return None
    # Neurons belong together if a slot or an operand connects them.
    links = abs(after) @ abs(after).T + abs(before).T @ abs(before)
    label = scipy.sparse.csgraph.connected_components(links, directed=False)[1]
    found = []
    for members in np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1]):
        own = _orbit(members, after, before) if members.size in SIZES else None
        if own is None:
            return None
        found.append(own)
    if sorted(slot for orbit in found for slot in orbit.slots) != list(range(n)):
        return None
    if sorted(operand for orbit in found for operand in orbit.operands) != list(range(before.shape[0])):
        return None
    return list(_merged(found))


def _summed(linear: LinearMap) -> scipy.sparse.csr_array:
    matrix = linear.sparse().tocsr()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _orbit(
    members: npt.NDArray[np.int64], after: scipy.sparse.csr_array, before: scipy.sparse.csr_array
) -> Orbit | None:
    """The order of the members in which both maps take their quickest form, if ``after`` has any of them."""
    from_slots, to_operands = after[members], before[:, members]
    slots, operands = np.unique(from_slots.indices), np.unique(to_operands.tocoo().coords[0])
    post, pre = from_slots[:, slots].toarray(), to_operands[operands].toarray()
    if slots.size != members.size or not 1 <= operands.size <= members.size or (pre != pre.astype(np.float32)).any():
        return None
    best = None
    for order in map(list, permutations(range(members.size))):
        match _matching(post[order].T):
            case None:
                continue
            case mixing, rows:
                common = tuple(members[order].tolist()), tuple(slots[rows].tolist())
        match _matching(pre[:, order]):
            case mixing_after, rows:
                return Orbit(*common, tuple(operands[rows].tolist()), mixing, mixing_after)
            case None:
                sums = tuple(map(tuple, pre[:, order].tolist()))
                best = best or Orbit(*common, tuple(operands.tolist()), mixing, sums=sums)
    return best


def _matching(matrix: Matrix) -> tuple[int, list[int]] | None:
    """(mixing, order) with matrix[order] = its mixing matrix."""
    size = matrix.shape[1]
    for mixing in SIZES[: size.bit_length()] if len(matrix) == size else ():
        equal = (mixing_matrix(size, mixing)[:, None, :] == matrix[None, :, :]).all(2)
        if (equal.sum(0) == 1).all() and (equal.sum(1) == 1).all():
            return mixing, equal.argmax(1).tolist()
    return None


def _merged(found: list[Orbit]) -> Iterator[Orbit]:
    found.sort(key=lambda orbit: (orbit.size, orbit.neurons))
    current = found[0]
    for orbit in found[1:]:
        if orbit._follows(current):
            current = replace(current, repeat=current.repeat + 1)
        else:
            yield current
            current = orbit
    yield current
