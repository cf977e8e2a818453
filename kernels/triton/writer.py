"""What the parts of the code generator share: lines of source, names of channels' derivatives, tiles side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from ..language.activations import activation_of
from ..language.channels import ChannelSet
from ..language.program import Jet, Program
from .groups import BlockGroup, Bundle, bundles, group_boundaries
from .layout import Layout
from .lines import Lines

# Channels that go through one product as rows side by side: a thread's rows in an FMA product (see `Writer.stacked`).
ROWS_PER_THREAD = 4
# With so many tiles in a product, four rows would be laid down in shared memory all in one bank: half as many channels.
MANY_TILES = 4


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
class Scheme:
    """How products are written.

    ``is_stacked``: channels and tiles go through them together. ``keeps_tiles``: shared memory has room for all tiles,
    which are loaded once; else each is loaded where it is needed, again for every tile of points.
    """

    is_stacked: bool = True
    keeps_tiles: bool = True


USUAL = Scheme()


class Writer(Lines):
    """The source of one group's function, line by line.

    Args:
        layout: of the network.
        channels: derivatives carried along.
        mode: the operation.
        program: residual and adjoint; None for the two operations on jets.
        scheme: how products are written.
    """

    def __init__(
        self, layout: Layout, channels: ChannelSet, mode: Mode, program: Program | None, scheme: Scheme
    ) -> None:
        super().__init__()
        self.layout, self.channels, self.mode, self.program = layout, channels, mode, program
        self.scheme, self.activation = scheme, activation_of(layout.plan.activation)
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
        """Per group of the first layer and channel c, the factor of tanh^(|c|)(z) behind it."""
        self.boundaries = group_boundaries(layout, scheme.is_stacked)
        self.bundles: list[list[Bundle]] = [[]]
        """Products in front of each hidden layer."""
        for tiles, (before, after) in zip(layout.products, pairwise(self.boundaries), strict=False):
            self.bundles.append(bundles(tiles, before.operands, after.slots))

    def zeros(self, shape: str) -> str:
        return f"tl.zeros([{shape}], dtype=source.dtype.element_ty)"

    # Groups.

    def mixed(self, values: Sequence[str], mixing: int) -> list[str]:
        """Walsh-Hadamard matrices of ``mixing`` rows on the diagonal, times blocks in one tensor or in several."""
        values = list(values)
        if mixing > 1 and len(values) == 1:
            return [self.new(f"walsh({values[0]}, {mixing})")]
        stride = 1
        while stride < mixing:
            for j in range(len(values)):
                if not j & stride:
                    a, b = values[j], values[j + stride]
                    values[j], values[j + stride] = self.new(f"{a} + {b}"), self.new(f"{a} - {b}")
            stride *= 2
        return values

    def pieces(self, value: str, group: BlockGroup) -> list[str]:
        """The blocks of a group's tensor as tensors of their own."""
        if group.size == 1:
            return [value]
        bits = group.size.bit_length() - 1
        sizes = [*["2"] * bits, "BLOCK", str(group.columns)]
        names = [f"{value}_{i}" for i in range(group.size)]
        order = bits, bits + 1, *range(bits - 1, -1, -1)
        self._split(self.new(f"tl.permute(tl.reshape({value}, [{', '.join(sizes)}]), {order})"), names)
        return names

    def whole(self, pieces: Sequence[str], columns: int) -> str:
        """The way back."""
        if len(pieces) == 1:
            return pieces[0]
        order = *range(len(pieces).bit_length(), 1, -1), 0, 1
        shape = BlockGroup(tuple(range(len(pieces))), columns).shape("BLOCK")
        return self.new(f"tl.reshape(tl.permute({_nested(pieces)}, {order}), [{shape}])")

    # Products.

    def chunks(self) -> list[range]:
        """Channels that go through products together."""
        size = ROWS_PER_THREAD if self.scheme.is_stacked else 1
        if any(bundle.size >= MANY_TILES for layer in self.bundles for bundle in layer):
            size = min(size, ROWS_PER_THREAD // 2)
        found, start = [], 0
        while start < len(self.channels):
            while start + size > len(self.channels):
                size //= 2
            found.append(range(start, start + size))
            start += size
        return found

    def stacked(self, channels: Sequence[str], group: BlockGroup) -> str:
        """A group's tensors of 2^k channels as one with BLOCK * 2^k rows.

        A thread of an FMA product holds four rows in turn: those are one point's channels, so that neither this nor
        `unstacked` moves anything between threads.
        """
        if len(channels) == 1:
            return channels[0]
        bits, axis = len(channels).bit_length() - 1, 1 if group.size > 1 else 0
        order = *range(axis + 1), *range(axis + 1 + bits, axis + 1, -1), axis + 1
        shape = group.shape(f"BLOCK * {len(channels)}")
        return self.new(f"tl.reshape(tl.permute({_nested(channels)}, {order}), [{shape}])")

    def unstacked(self, value: str, names: Sequence[str], group: BlockGroup) -> None:
        """The way back, into variables of these names."""
        if len(names) == 1:
            self.set(names[0], value)
            return
        bits, axis = len(names).bit_length() - 1, 1 if group.size > 1 else 0
        shape = group.shape(f"BLOCK, {', '.join(['2'] * bits)}")
        order = *range(axis + 1), axis + 1 + bits, *range(axis + bits, axis, -1)
        self._split(self.new(f"tl.permute(tl.reshape({value}, [{shape}]), {order})"), names)

    def _split(self, value: str, names: Sequence[str]) -> None:
        """Along the last axes, the highest bit of a name's number last."""
        if len(names) == 1:
            self.set(names[0], value)
            return
        half = len(names) // 2
        low, high = names if half == 1 else (f"{names[0]}_low", f"{names[half]}_high")
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


def combination(row: Sequence[float], values: Sequence[str]) -> str:
    terms = [
        value if factor == 1 else f"{factor!r} * {value}" for factor, value in zip(row, values, strict=True) if factor
    ]
    return " + ".join(terms) or f"0.0 * {values[0]}"
