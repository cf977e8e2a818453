"""What the parts of the code generator share: lines of source, names of channels' derivatives, tiles side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from ..channels import ChannelSet, Monomial
from ..program import Jet, Program
from .layout import Layout, Tile

INDENT = "    "
# Channels that go through one product as rows side by side: a thread's rows in an FMA product (see `Writer.stacked`).
ROWS_PER_THREAD = 4


class Mode(Enum):
    JETS = "jets"
    JETS_BACKWARD = "jets_backward"
    LOSS = "loss"
    JACOBIAN = "jacobian"

    @property
    def has_sums(self) -> bool:
        """Gradients are summed over points."""
        return self in (Mode.JETS_BACKWARD, Mode.LOSS)


@dataclass(frozen=True)
class Bundle:
    """Tiles ``numbers`` of a layer, ``rows`` x ``columns`` each, that go through one product: the first lies at
    ``offset`` of packed, each other one ``rows * columns`` behind the one before.
    """

    numbers: tuple[int, ...]
    tiles: tuple[Tile, ...]
    rows: int
    columns: int

    @property
    def offset(self) -> int:
        return self.tiles[0].offset

    @property
    def shape(self) -> str:
        first = f"{len(self.tiles)}, " if len(self.tiles) > 1 else ""
        return f"{first}{self.rows}, {self.columns}"

    @property
    def transposed(self) -> str:
        first = f"{len(self.tiles)}, " if len(self.tiles) > 1 else ""
        return f"{first}{self.columns}, {self.rows}"

    def grid(self, is_transposed: bool = False) -> str:
        """Places in packed, as a tensor of ``shape`` or ``transposed``."""
        sizes, steps = (self.rows, self.columns), (self.columns, 1)
        if is_transposed:
            sizes, steps = sizes[::-1], steps[::-1]
        if len(self.tiles) == 1:
            return grid(self.offset, sizes, steps)
        return grid(self.offset, (len(self.tiles), *sizes), (self.rows * self.columns, *steps))


def grid(offset: int, sizes: Sequence[int], steps: Sequence[int]) -> str:
    terms = []
    for axis, (size, step) in enumerate(zip(sizes, steps, strict=True)):
        index = ", ".join(":" if other == axis else "None" for other in range(len(sizes)))
        terms.append(f"tl.arange(0, {size})[{index}] * {step}")
    return " + ".join([str(offset), *terms])


class Writer:
    """The source of one group's function, line by line.

    Args:
        layout: of the network.
        channels: derivatives carried along.
        mode: the operation.
        program: residual and adjoint; None for the two operations on jets.
        is_stacked: channels and tiles go through products together.
    """

    def __init__(
        self, layout: Layout, channels: ChannelSet, mode: Mode, program: Program | None, is_stacked: bool
    ) -> None:
        self.layout, self.channels, self.mode, self.program = layout, channels, mode, program
        self.is_stacked = is_stacked
        self.lines: list[str] = []
        self.depth = 1
        self._count = 0
        everything = tuple(range(len(channels)))
        read = everything
        if program is not None:
            read = tuple(sorted({kind.channel for kind in program.inputs if isinstance(kind, Jet)}))
        self.read = read
        """Channels of the outputs that somebody reads."""
        last = len(layout.boundaries) - 1
        self.leaving = [read if layer == last else everything for layer in range(last + 1)]
        """Channels that leave each hidden layer."""
        self.powers: list[list[str]] = []
        """Per block of the first layer and channel c, the factor of tanh^(|c|)(z) behind it."""
        self.bundles = [self._bundles(layer) for layer in range(1, last + 1)]
        """Of each hidden layer but the first."""

    def line(self, text: str) -> None:
        self.lines.append(INDENT * self.depth + text)

    def set(self, name: str, value: str) -> str:
        self.line(f"{name} = {value}")
        return name

    def new(self, value: str) -> str:
        self._count += 1
        return self.set(f"v{self._count}", value)

    def zeros(self, shape: str) -> str:
        return f"tl.zeros([{shape}], dtype=source.dtype.element_ty)"

    def monomials(self, monomials: Iterable[Monomial], z: Sequence[str]) -> str:
        terms = []
        for coefficient, factors in monomials:
            product = " * ".join(z[factor] for factor in factors)
            scaled = f"{coefficient!r} * {product}" if product else repr(coefficient)
            terms.append(product if coefficient == 1 else scaled)
        return "(" + " + ".join(terms) + ")"

    def derivatives(self, t: str, order: int) -> list[str]:
        """tanh^(k)(z) for k = 0..order, as polynomials in t = tanh z."""
        f = [t]
        if order >= 1:
            f.append(self.new(f"1.0 - {t} * {t}"))
        forms = (
            "-2.0 * {t} * {f1}",
            "{f1} * (4.0 - 6.0 * {f1})",
            "{t} * ({f1} * (24.0 * {f1} - 8.0))",
            "{f1} * (16.0 + {t} * {t} * (120.0 * {t} * {t} - 120.0))",
        )
        for form in forms[: max(0, order - 1)]:
            f.append(self.new(form.format(t=t, f1=f[1])))
        return f

    def mixed(self, values: Sequence[str], mixing: int, sums: Sequence[Sequence[float]] = ()) -> list[str]:
        """Walsh-Hadamard matrices of ``mixing`` rows on the diagonal, or the rows of ``sums``."""
        if sums:
            return [_combination(row, values) for row in sums]
        values = list(values)
        stride = 1
        while stride < mixing:
            for j in range(len(values)):
                if not j & stride:
                    a, b = values[j], values[j + stride]
                    values[j], values[j + stride] = self.new(f"{a} + {b}"), self.new(f"{a} - {b}")
            stride *= 2
        return values

    # Products.

    def _bundles(self, layer: int) -> list[Bundle]:
        """Tiles alone in their row and column, of one shape and one behind the other, 2^k at a time; others alone."""
        before, after = self.layout.boundaries[layer - 1].operands, self.layout.boundaries[layer].slots
        tiles = self.layout.products[layer - 1]
        operands, slots = [tile.operand for tile in tiles], [tile.slot for tile in tiles]
        runs: list[list[int]] = []
        for n, tile in enumerate(tiles):
            rows, columns = before[tile.operand].padded, after[tile.slot].padded
            is_alone = operands.count(tile.operand) == slots.count(tile.slot) == 1
            if runs and self.is_stacked and is_alone:
                last = tiles[runs[-1][-1]]
                sizes = before[last.operand].padded, after[last.slot].padded
                was_alone = operands.count(last.operand) == slots.count(last.slot) == 1
                if was_alone and sizes == (rows, columns) and tile.offset == last.offset + rows * columns:
                    runs[-1].append(n)
                    continue
            runs.append([n])
        bundles = []
        for run in runs:
            while run:
                size = 1 << (len(run).bit_length() - 1)
                numbers, run = run[:size], run[size:]
                own = tuple(tiles[n] for n in numbers)
                rows, columns = before[own[0].operand].padded, after[own[0].slot].padded
                bundles.append(Bundle(tuple(numbers), own, rows, columns))
        return bundles

    def chunks(self) -> list[range]:
        """Channels that go through products together."""
        size = ROWS_PER_THREAD if self.is_stacked else 1
        found, start = [], 0
        while start < len(self.channels):
            while start + size > len(self.channels):
                size //= 2
            found.append(range(start, start + size))
            start += size
        return found

    def stacked(self, names: Sequence[Sequence[str]], columns: int) -> str:
        """Tensors [BLOCK, columns], names[tile][channel], as one of [tiles, BLOCK * channels, columns] (no first axis
        for one tile). A thread of an FMA product holds four rows in turn: those are one point's channels, so that
        neither this nor `unstacked` moves anything between threads.
        """
        value = [_nested(own) for own in names]
        text = _nested(value)
        tiles, channels = len(names).bit_length() - 1, len(names[0]).bit_length() - 1
        if tiles + channels == 0:
            return text
        # Axes of the joined tensor: point, column, bits of the channel, bits of the tile, lowest first.
        order = [*range(1 + channels + tiles, 1 + channels, -1), 0, *range(1 + channels, 1, -1), 1]
        return self.new(
            f"tl.reshape(tl.permute({text}, {tuple(order)}), [{self.rows(len(names), len(names[0]), columns)}])"
        )

    def unstacked(self, value: str, names: Sequence[Sequence[str]], columns: int) -> None:
        """The way back, into variables of these names."""
        tiles, channels = len(names).bit_length() - 1, len(names[0]).bit_length() - 1
        if tiles + channels == 0:
            self.set(names[0][0], value)
            return
        sizes = ["2"] * tiles + ["BLOCK"] + ["2"] * channels + [str(columns)]
        order = [tiles, tiles + channels + 1, *range(tiles + channels, tiles, -1), *range(tiles - 1, -1, -1)]
        whole = self.new(f"tl.permute(tl.reshape({value}, [{', '.join(sizes)}]), {tuple(order)})")
        self._split(whole, [name for own in names for name in own])

    def rows(self, tiles: int, channels: int, columns: int) -> str:
        """Shape of what `stacked` gives."""
        first = f"{tiles}, " if tiles > 1 else ""
        return f"{first}BLOCK * {channels}, {columns}"

    def transposed(self, value: str, bundle: Bundle) -> str:
        return f"tl.permute({value}, (0, 2, 1))" if len(bundle.tiles) > 1 else f"tl.trans({value})"

    def _split(self, value: str, names: Sequence[str]) -> None:
        if len(names) == 1:
            self.set(names[0], value)
            return
        half = len(names) // 2
        low, high = f"{names[0]}_", f"{names[half]}_"
        if half == 1:
            low, high = names
        self.line(f"{low}, {high} = tl.split({value})")
        if half > 1:
            self._split(low, names[:half])
            self._split(high, names[half:])


def _nested(names: Sequence[str]) -> str:
    """2^k tensors joined along k new last axes, the lowest bit of their number first."""
    if len(names) == 1:
        return names[0]
    half = len(names) // 2
    return f"tl.join({_nested(names[:half])}, {_nested(names[half:])})"


def _combination(row: Sequence[float], values: Sequence[str]) -> str:
    terms = [
        value if factor == 1 else f"{factor!r} * {value}" for factor, value in zip(row, values, strict=True) if factor
    ]
    return " + ".join(terms) or f"0.0 * {values[0]}"
