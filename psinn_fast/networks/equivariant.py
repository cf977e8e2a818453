"""Layers that commute with a group, from what its generators do to a layer's inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..kernels.errors import InputError, short
from ..kernels.network.symbols import IntArray, SymbolLayer, renumber
from .groups import SignedPermutation


def layer_from_group(
    generators: Sequence[tuple[SignedPermutation, SignedPermutation]],
    rows: int | Sequence[int] = 1,
    cols: int | Sequence[int] = 1,
    bias: bool = True,
) -> SymbolLayer:
    """The relations of all affine layers y(g x) = h y(x), for each generator (g, h) of a group.

    g acts on blocks of inputs, h on blocks of outputs: (g x)_i = g.signs[i] x_(g.permutation[i]). So W g = h W and
    b = h b: blocks of W that the group takes to each other are one Theta up to sign, and those that it takes to their
    own negative are zero.

    Args:
        generators: pairs (g of the inputs, h of the outputs). ``(flip, identity)`` makes outputs even.
        rows, cols: the sizes of the output and input blocks: one for all, or one each. What a generator exchanges has
            one size.
        bias: whether there is one, where the relations allow it.

    Raises:
        InputError: no generators, other things than pairs of signed permutations, unequal numbers of blocks, or
            exchanged blocks of unequal sizes.
    """
    pairs = [_pair(each) for each in generators]
    if not pairs:
        raise InputError("generators: expected at least one pair of signed permutations")
    shapes = {(h.size, g.size) for g, h in pairs}
    if len(shapes) != 1:
        raise InputError(f"generators: all must act on the same (outputs, inputs), got {sorted(shapes)}")
    ((n_out, n_in),) = shapes
    moves = []
    for g, h in pairs:
        # W[h_i, g_j] = h.signs[i] g.signs[j] W[i, j]
        image = np.asarray(h.permutation)[:, None] * n_in + np.asarray(g.permutation)
        sign = np.asarray(h.signs)[:, None] * np.asarray(g.signs)
        moves.append((image.ravel(), sign.ravel()))
    weight = _orbits(moves).reshape(n_out, n_in)
    biases = _orbits([(np.asarray(h.permutation), np.asarray(h.signs)) for _, h in pairs]) if bias else [0] * n_out
    return SymbolLayer.of(
        renumber(weight.tolist()),
        renumber([list(biases)])[0],
        [rows] * n_out if isinstance(rows, int) else rows,
        [cols] * n_in if isinstance(cols, int) else cols,
    )


def _pair(each: object) -> tuple[SignedPermutation, SignedPermutation]:
    match each:
        case (SignedPermutation() as g, SignedPermutation() as h):
            return g, h
    raise InputError(f"generators: expected pairs of SignedPermutation (of inputs, of outputs), got {short(each)}")


def _orbits(moves: Sequence[tuple[IntArray, IntArray]]) -> IntArray:
    """Signed numbers of the orbits of entries under x[image] = sign * x; 0 where an entry is its own negative."""
    size = moves[0][0].size
    symbol = np.zeros(size, dtype=np.int64)
    for start in range(size):
        if symbol[start]:
            continue
        symbol[start] = start + 1
        found, is_zero = [start], False
        for entry in found:
            for image, sign in moves:
                other, value = int(image[entry]), int(sign[entry] * symbol[entry])
                if not symbol[other]:
                    symbol[other] = value
                    found.append(other)
                is_zero |= symbol[other] != value
        if is_zero:
            symbol[found] = size + 1  # marked as seen; no entry is its own negative and another's copy
    symbol[symbol == size + 1] = 0
    return symbol
