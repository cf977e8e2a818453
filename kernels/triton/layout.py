"""Where the numbers of a plan lie on the GPU: blocks of neurons, and the packed vector of weight tiles.

A Triton program holds tensors [points, neurons] whose sides are powers of two. The neurons of a layer are cut into the
blocks that `kernels.orbits` finds: an orbit of size m, repeated k times, is m blocks of k neurons, and the transforms
``post`` and ``pre`` are sums of whole blocks. Products become tiles: one matrix per pair of an operand block and a slot
block that any weight connects. Tiles, biases and the first and last layer lie one after the other in a vector
``packed``, padded with zeros, and packed = M theta with a constant sparse M, since all of w is linear in theta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch

from ..network.orbits import Orbit, orbits
from ..network.plan import LayerPlan, Plan
from ..network.symbols import IntArray

# Columns of a block at least. In float64 a tile with fewer rows than a tensor core's 16 makes Triton 3.6 fail.
LEAST = {torch.float32: 8, torch.float64: 16}
# With more blocks in a layer than this, one dense matrix is quicker than so many small ones.
MOST_BLOCKS = 8


@dataclass(frozen=True)
class Block:
    """Neurons, slots or operands ``start`` to ``start + size``, as columns of one tensor of ``padded`` ones."""

    start: int
    size: int
    least: int

    @property
    def padded(self) -> int:
        return max(self.least, 1 << (self.size - 1).bit_length())

    @property
    def end(self) -> int:
        return self.start + self.size

    @property
    def members(self) -> range:
        return range(self.start, self.start + self.size)


@dataclass(frozen=True)
class Tile:
    """Blocks that weights connect: packed[offset + k * columns + n] leads from operand k to slot n of ``columns``."""

    operand: int
    slot: int
    offset: int


@dataclass(frozen=True)
class Mixing:
    """One orbit: block numbers instead of neurons."""

    orbit: Orbit
    slots: tuple[int, ...]
    neurons: tuple[int, ...]
    operands: tuple[int, ...]


@dataclass(frozen=True)
class Boundary:
    """A hidden layer: the blocks on its way from slots to the next operands, and the offsets of its biases."""

    slots: tuple[Block, ...]
    neurons: tuple[Block, ...]
    operands: tuple[Block, ...]
    mixings: tuple[Mixing, ...]
    biases: tuple[int | None, ...]


@dataclass(frozen=True)
class Layout:
    """``inputs``: per neuron block of the first layer, offsets of the columns of its matrix; ``products``: per hidden
    layer behind it; ``outputs[field]``: per operand block of the last one, offset of its row; ``output_biases``: of
    each field.

    packed = matrix @ source, where source is theta, or w of ``plan`` if that has folded constants (``reads_w``).

    ``tiles``: the part of packed with the products' tiles, each number of which is one of source, plus
    or minus, a sum of several (pairs of blocks), or 0.
    ``turned``: for a vector of as many numbers, with every tile transposed, where each of them is in packed.
    """

    plan: Plan
    d_in: int
    d_out: int
    boundaries: tuple[Boundary, ...]
    inputs: tuple[tuple[int, ...], ...]
    products: tuple[tuple[Tile, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    output_biases: tuple[int | None, ...]
    matrix: scipy.sparse.csr_array
    tiles: range
    turned: IntArray

    @property
    def reads_w(self) -> bool:
        return len(self.plan.folds) > 0

    @property
    def tile_terms(self) -> int:
        """Of a number in the tiles, at most: with pairs of blocks some are sums of several of source."""
        rows = self.matrix.indptr[self.tiles.start : self.tiles.stop + 1]
        return max(1, int(np.diff(rows).max(initial=0)))

    @property
    def n_packed(self) -> int:
        return int(self.matrix.shape[0])


class _Packer:
    """Collects rows of ``matrix``."""

    def __init__(self, plan: Plan, reads_w: bool) -> None:
        self._expansion = None if reads_w else plan.expansion.sparse().tocsr()
        self._n_w = plan.expansion.shape[0]
        self._parts: list[scipy.sparse.csr_array] = []
        self._end = 0

    def rows(self, rows: scipy.sparse.csr_array) -> int:
        """Append rows over the source; their offset."""
        start = self._end
        self._parts.append(rows)
        self._end += int(rows.shape[0])
        return start

    def entries(
        self, size: int, row: npt.ArrayLike, w_index: npt.ArrayLike, coefficient: npt.ArrayLike | None = None
    ) -> int:
        """Append ``size`` numbers, packed[row] += coefficient * w[w_index]; zero where no row says anything."""
        row = np.asarray(row, dtype=np.int64)
        value = np.ones(row.size) if coefficient is None else np.asarray(coefficient, dtype=np.float64)
        selection = scipy.sparse.csr_array((value, (row, np.asarray(w_index, dtype=np.int64))), (size, self._n_w))
        return self.rows(selection if self._expansion is None else selection @ self._expansion)

    @property
    def end(self) -> int:
        return self._end

    def matrix(self) -> scipy.sparse.csr_array:
        whole = scipy.sparse.vstack(self._parts, format="csr")
        whole.sum_duplicates()
        whole.eliminate_zeros()
        return whole


def make_layout(plan: Plan, dtype: torch.dtype = torch.float32) -> Layout:
    """The blocks of a lowered plan, or of its composed form where the lowered one falls into too many pieces.

    A network of one layer has no boundary; its one matrix is in ``outputs``, as if the inputs were operands.
    """
    reads_w = len(plan.folds) > 0
    found = [None if reads_w else orbits(plan.layers, layer) for layer in range(len(plan.layers) - 1)]
    is_single = len(plan.layers) == 1
    if is_single or any(own is None or sum(orbit.size for orbit in own) > MOST_BLOCKS for own in found):
        plan = plan.composed
        found = [orbits(plan.layers, layer) for layer in range(len(plan.layers) - 1)]
    packer, least = _Packer(plan, reads_w), LEAST[dtype]
    boundaries = []
    for layer, own in zip(plan.layers, found, strict=False):
        assert own is not None
        boundaries.append(_boundary(layer, own, packer, least))
    inputs = _inputs(plan, boundaries[0], packer, reads_w) if boundaries else ()
    start = packer.end
    products = tuple(
        _products(plan.layers[number], boundaries[number - 1].operands, boundaries[number].slots, packer)
        for number in range(1, len(boundaries))
    )
    tiles, turned = range(start, packer.end), _turned(products, boundaries)
    last = plan.layers[-1]
    operands = boundaries[-1].operands if boundaries else (Block(0, plan.d_in, least),)
    outputs = tuple(_output(last, field, operands, packer) for field in range(last.fan_out))
    biases = tuple(
        None if last.bias is None else packer.entries(1, [0], [last.bias.start + field])
        for field in range(last.fan_out)
    )
    matrix = packer.matrix()
    return Layout(
        plan, plan.d_in, plan.d_out, tuple(boundaries), inputs, products, outputs, biases, matrix, tiles, turned
    )


def _boundary(layer: LayerPlan, own: list[Orbit], packer: _Packer, least: int) -> Boundary:
    slots: list[Block] = []
    neurons: list[Block] = []
    operands: list[Block] = []
    mixings = []

    def add(blocks: list[Block], starts: tuple[int, ...], repeat: int) -> tuple[int, ...]:
        first = len(blocks)
        blocks.extend(Block(start, repeat, least) for start in starts)
        return tuple(range(first, len(blocks)))

    for orbit in own:
        mixings.append(
            Mixing(
                orbit,
                add(slots, orbit.slots, orbit.repeat),
                add(neurons, orbit.neurons, orbit.repeat),
                add(operands, orbit.operands, orbit.repeat),
            )
        )
    biases = tuple(
        None
        if layer.bias is None
        else packer.entries(block.padded, range(block.size), [layer.bias.start + n for n in block.members])
        for block in neurons
    )
    return Boundary(tuple(slots), tuple(neurons), tuple(operands), tuple(mixings), biases)


def _inputs(plan: Plan, boundary: Boundary, packer: _Packer, reads_w: bool) -> tuple[tuple[int, ...], ...]:
    """The first layer is one dense matrix A, like in the C++ kernels; column i of each block is a vector of its own."""
    d = plan.d_in
    if reads_w:
        start = plan.layers[0].products[0].weight.start
        return tuple(
            tuple(
                packer.entries(block.padded, range(block.size), [start + n * d + i for n in block.members])
                for i in range(d)
            )
            for block in boundary.neurons
        )
    whole = plan.composed_matrix(0).tocsr()

    def column(block: Block, i: int) -> int:
        rows = whole[[n * d + i for n in block.members]]
        rest = scipy.sparse.csr_array((block.padded - block.size, whole.shape[1]))
        return packer.rows(scipy.sparse.vstack([rows, rest], format="csr") if rest.shape[0] else rows)

    return tuple(tuple(column(block, i) for i in range(d)) for block in boundary.neurons)


def _products(
    layer: LayerPlan, operands: tuple[Block, ...], slots: tuple[Block, ...], packer: _Packer
) -> tuple[Tile, ...]:
    tiles = []
    for s, slot in enumerate(slots):
        for o, operand in enumerate(operands):
            k, n, w = _entries(layer, operand, slot)
            if k.size:
                tiles.append(Tile(o, s, packer.entries(operand.padded * slot.padded, k * slot.padded + n, w)))
    return tuple(tiles)


def _turned(products: Sequence[Sequence[Tile]], boundaries: Sequence[Boundary]) -> IntArray:
    parts = [np.zeros(0, np.int64)]
    for own, before, after in zip(products, boundaries, boundaries[1:], strict=False):
        for tile in own:
            sizes = before.operands[tile.operand].padded, after.slots[tile.slot].padded
            parts.append(tile.offset + np.arange(sizes[0] * sizes[1]).reshape(sizes).T.ravel())
    return np.concatenate(parts)


def _entries(layer: LayerPlan, operand: Block, slot: Block) -> tuple[IntArray, IntArray, IntArray]:
    """(operand within its block, slot within its block, index in w) of all weights between two blocks."""
    nothing = np.zeros(0, np.int64)
    parts = [(nothing, nothing, nothing)]
    for product in layer.products:
        k = np.arange(max(operand.start, product.inputs.start), min(operand.end, product.inputs.stop))
        n = np.arange(max(slot.start, product.outputs.start), min(slot.end, product.outputs.stop))
        grid_n, grid_k = (index.ravel() for index in np.meshgrid(n, k, indexing="ij"))
        w = product.weight.start + (grid_n - product.outputs.start) * product.shape[1] + grid_k - product.inputs.start
        parts.append((grid_k - operand.start, grid_n - slot.start, w))
    k, n, w = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return k, n, w


def _output(layer: LayerPlan, field: int, operands: tuple[Block, ...], packer: _Packer) -> tuple[int, ...]:
    """u[field] = sum over slots of post[field, slot] (W operands)[slot]: per operand block one padded row."""
    if layer.post is None:
        factors = {field: 1.0}
    else:
        own = layer.post.row == field
        factors = {}
        for slot, factor in zip(layer.post.col[own].tolist(), layer.post.coefficient[own].tolist(), strict=True):
            factors[slot] = factors.get(slot, 0.0) + factor
    offsets = []
    for operand in operands:
        rows, columns, values = [], [], []
        for product in layer.products:
            for k in set(operand.members) & set(range(product.inputs.start, product.inputs.stop)):
                for slot, factor in factors.items():
                    if product.outputs.start <= slot < product.outputs.stop:
                        rows.append(k - operand.start)
                        row_start = product.weight.start + (slot - product.outputs.start) * product.shape[1]
                        columns.append(row_start + k - product.inputs.start)
                        values.append(factor)
        offsets.append(packer.entries(operand.padded, rows, columns, values))
    return tuple(offsets)
