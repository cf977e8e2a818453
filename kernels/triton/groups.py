"""Blocks of neurons held in one tensor: those of an orbit, [blocks, points, columns]; a block alone, [points, columns].

On tensor cores every block stays alone: what mixes them would cross threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..network.orbits import Orbit
from .layout import Block, Layout, Tile


@dataclass(frozen=True)
class BlockGroup:
    """Blocks by number, a power of two of them, ``columns`` wide each."""

    blocks: tuple[int, ...]
    columns: int

    @property
    def size(self) -> int:
        return len(self.blocks)

    def shape(self, points: str) -> str:
        return f"{self.size}, {points}, {self.columns}" if self.size > 1 else f"{points}, {self.columns}"

    def across(self, vector: str) -> str:
        """A number per column, for all points."""
        return f"{vector}[:, None, :]" if self.size > 1 else f"{vector}[None, :]"

    def down(self, vector: str) -> str:
        """A number per point, for all columns."""
        return f"{vector}[None, :, None]" if self.size > 1 else f"{vector}[:, None]"

    def offsets(self, first: Sequence[int]) -> str:
        """Places of a vector's columns, from those of each block's first one: equally far apart."""
        start = first[self.blocks[0]]
        if self.size == 1:
            return f"{start} + tl.arange(0, {self.columns})"
        return grid(start, (self.size, self.columns), (first[self.blocks[1]] - start, 1))


@dataclass(frozen=True)
class GroupMixing:
    """`Mixing` with numbers of groups: one each, or as many as there are blocks."""

    orbit: Orbit
    slots: tuple[int, ...]
    neurons: tuple[int, ...]
    operands: tuple[int, ...]


@dataclass(frozen=True)
class GroupBoundary:
    """`Boundary` in groups."""

    slots: tuple[BlockGroup, ...]
    neurons: tuple[BlockGroup, ...]
    operands: tuple[BlockGroup, ...]
    mixings: tuple[GroupMixing, ...]


@dataclass(frozen=True)
class Bundle:
    """Tiles that go through one product: all of an operand group's with a slot group's, block by block; or one tile,
    between single blocks of them, ``pieces``. The first lies at ``offset`` of packed, each other one right behind.
    """

    operand: int
    slot: int
    tiles: tuple[Tile, ...]
    rows: int
    columns: int
    pieces: tuple[int, int] | None

    @property
    def size(self) -> int:
        return len(self.tiles)

    @property
    def offset(self) -> int:
        return self.tiles[0].offset

    @property
    def source(self) -> tuple[int, int]:
        """Operand group, block in it."""
        return self.operand, self.pieces[0] if self.pieces else 0

    @property
    def target(self) -> tuple[int, int]:
        return self.slot, self.pieces[1] if self.pieces else 0

    def group(self, columns: int) -> BlockGroup:
        """Shape of what goes into and comes out of the product."""
        return BlockGroup(tuple(range(self.size)), columns)

    @property
    def transposed_shape(self) -> str:
        return f"{self.size}, {self.columns}, {self.rows}" if self.size > 1 else f"{self.columns}, {self.rows}"

    def grid(self, is_transposed: bool = False) -> str:
        """Places in packed, rows before columns or the other way round."""
        sizes, steps = (self.rows, self.columns), (self.columns, 1)
        if is_transposed:
            sizes, steps = sizes[::-1], steps[::-1]
        return self._grid(self.offset, sizes, steps)

    def place(self, start: int, is_turned: bool = False) -> str:
        """Places of the tiles in a vector that has them from ``start`` on, or has them transposed."""
        columns, rows = (self.rows, self.columns) if is_turned else (self.columns, self.rows)
        return self._grid(self.offset - start, (rows, columns), (columns, 1))

    def _grid(self, offset: int, sizes: tuple[int, int], steps: tuple[int, int]) -> str:
        if self.size == 1:
            return grid(offset, sizes, steps)
        return grid(offset, (self.size, *sizes), (self.rows * self.columns, *steps))

    def transposed(self, value: str) -> str:
        return f"tl.permute({value}, (0, 2, 1))" if self.size > 1 else f"tl.trans({value})"


def grid(offset: int, sizes: Sequence[int], steps: Sequence[int]) -> str:
    terms = []
    for axis, (size, step) in enumerate(zip(sizes, steps, strict=True)):
        index = ", ".join(":" if other == axis else "None" for other in range(len(sizes)))
        terms.append(f"tl.arange(0, {size})[{index}] * {step}")
    return " + ".join([str(offset), *terms])


def group_boundaries(layout: Layout, is_stacked: bool) -> list[GroupBoundary]:
    found = []
    for boundary in layout.boundaries:
        slots: list[BlockGroup] = []
        neurons: list[BlockGroup] = []
        operands: list[BlockGroup] = []
        mixings = []
        for mixing in boundary.mixings:
            alone = not is_stacked
            own_slots = _add(slots, mixing.slots, boundary.slots, alone)
            own_neurons = _add(neurons, mixing.neurons, boundary.neurons, alone)
            own_operands = _add(operands, mixing.operands, boundary.operands, alone or bool(mixing.orbit.sums))
            mixings.append(GroupMixing(mixing.orbit, own_slots, own_neurons, own_operands))
        found.append(GroupBoundary(tuple(slots), tuple(neurons), tuple(operands), tuple(mixings)))
    return found


def _add(groups: list[BlockGroup], numbers: tuple[int, ...], blocks: Sequence[Block], alone: bool) -> tuple[int, ...]:
    first = len(groups)
    groups += [
        BlockGroup(own, blocks[own[0]].padded) for own in ([(number,) for number in numbers] if alone else [numbers])
    ]
    return tuple(range(first, len(groups)))


def bundles(tiles: Sequence[Tile], operands: Sequence[BlockGroup], slots: Sequence[BlockGroup]) -> list[Bundle]:
    """Group by group where a layer's whole matrix is such, else tile by tile."""
    operand_of = {block: g for g, group in enumerate(operands) for block in group.blocks}
    slot_of = {block: g for g, group in enumerate(slots) for block in group.blocks}
    by_groups: dict[tuple[int, int], list[Tile]] = {}
    for tile in tiles:
        by_groups.setdefault((operand_of[tile.operand], slot_of[tile.slot]), []).append(tile)
    is_whole = all(_is_whole(own, operands[o], slots[s]) for (o, s), own in by_groups.items())
    found = []
    for (o, s), own in by_groups.items():
        sizes = operands[o].columns, slots[s].columns
        if is_whole:
            found.append(Bundle(o, s, tuple(own), *sizes, None))
            continue
        for tile in own:
            pieces = operands[o].blocks.index(tile.operand), slots[s].blocks.index(tile.slot)
            found.append(Bundle(o, s, (tile,), *sizes, pieces))
    return found


def _is_whole(tiles: Sequence[Tile], operand: BlockGroup, slot: BlockGroup) -> bool:
    """Block i with block i, one behind the other."""
    size = operand.columns * slot.columns
    return operand.size == slot.size == len(tiles) and all(
        (tile.operand, tile.slot, tile.offset) == (operand.blocks[i], slot.blocks[i], tiles[0].offset + i * size)
        for i, tile in enumerate(tiles)
    )
