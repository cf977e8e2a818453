"""Weights in, gradients out: what a program loads before its tiles of points, and what it stores behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .activation_source import monomials
from .groups import BlockGroup, grid
from .layout import Tile
from .writer import Mode, Writer


def load_weights(writer: Writer, terms_per_entry: int) -> None:
    """Names: a_{group}_{axis} first layer, b biases, w products, c_{field}_{group} and d_{field} last layer.

    Products are ready: a tensor of tiles as they are, and for the way back one of tiles transposed (wt). Transposed
    here, they would lie in shared memory by columns, which threads that want rows fetch eight times as slowly.
    """
    layout = writer.layout

    def gather(name: str, offsets: str, function: str = "gather") -> None:
        writer.set(name, f"{function}(source, index, coefficient, {offsets}, {layout.n_packed}, {terms_per_entry})")

    if not layout.boundaries:
        for f, (offset,) in enumerate(layout.outputs):
            for i in range(layout.d_in):
                gather(f"a_{f}_{i}", str(offset + i), "gather_one")
    for layer, (boundary, own) in enumerate(zip(layout.boundaries, writer.boundaries, strict=True)):
        for g, group in enumerate(own.neurons):
            biases = known(boundary.biases)
            if biases:
                gather(f"b_{layer}_{g}", group.offsets(biases))
    if layout.boundaries:
        for g, group in enumerate(writer.boundaries[0].neurons):
            for i in range(layout.d_in):
                gather(f"a_{g}_{i}", group.offsets([offsets[i] for offsets in layout.inputs]))
            _set_powers(writer, g)
    for layer, bundles in enumerate(writer.bundles if writer.scheme.keeps_tiles else ()):
        for n in range(len(bundles)):
            load_tile(writer, layer, n)
            if writer.mode is not Mode.JETS:
                load_tile(writer, layer, n, is_turned=True)
    if layout.boundaries:
        for f, offsets in enumerate(layout.outputs):
            for g, group in enumerate(writer.boundaries[-1].operands):
                gather(f"c_{f}_{g}", group.offsets(offsets))
    for f, bias in enumerate(layout.output_biases):
        if bias is not None:
            gather(f"d_{f}", str(bias), "gather_one")


def load_tile(writer: Writer, layer: int, n: int, is_turned: bool = False) -> str:
    """The name of a product's tiles, which are loaded here: w, or wt if they are turned."""
    layout = writer.layout
    start = f"{len(layout.tiles)} + " if is_turned else ""
    if not writer.scheme.keeps_tiles:
        # Else the compiler would load them before the loop after all, into registers that there are not.
        start = f"nothing(at) + {start}"
    place = writer.bundles[layer][n].place(layout.tiles.start, is_turned)
    value = f"planes(tiles, {start}{place}, {2 * len(layout.tiles)}, {layout.tile_terms})"
    return writer.set(f"{'wt' if is_turned else 'w'}_{layer}_{n}", value)


def known(offsets: Sequence[int | None]) -> list[int]:
    """A layer's blocks all have biases, or none has."""
    return [offset for offset in offsets if offset is not None]


def _set_powers(writer: Writer, b: int) -> None:
    """power_c, the factor of tanh^(|c|)(z) in channel c behind the first layer: polynomials in the columns of A."""
    power = [""] * len(writer.channels)
    for axis, c in writer.channels.units:
        power[c] = f"a_{b}_{axis}"
    for part in writer.channels.leading:
        power[part.channel] = writer.set(f"p_{b}_{part.channel}", monomials(part.monomials, power))
    writer.powers.append(power)


@dataclass(frozen=True)
class Sum:
    """Something summed over points; it goes to ``offsets`` in the partial gradient.

    ``kind``: "scalar" and "vector" wait for the end to be summed over [BLOCK] numbers and over LANES rows of ``group``;
    "tile" is a product's; "power" is a vector that only adds to others.
    """

    name: str
    kind: str
    shape: str
    offsets: str
    group: BlockGroup | None = None


class Sums:
    """Where gradients go: to sums over points, or, for Jacobians, point by point into a row of their own.

    Sums over points are finished behind the last tile: until then each thread adds what it has itself.
    """

    def __init__(self, writer: Writer, n_unknown: int) -> None:
        self._writer, self._n_unknown = writer, n_unknown
        self._rows: dict[str, list[str]] = {}
        self._all = list(self._list())

    def _list(self) -> Iterator[Sum]:
        writer, layout = self._writer, self._writer.layout

        def vector(name: str, group: BlockGroup, offsets: str, kind: str = "vector") -> Sum:
            return Sum(name, kind, group.shape("LANES"), offsets, group)

        def scalar(name: str, offset: int) -> Sum:
            return Sum(name, "scalar", "BLOCK", str(offset))

        if not layout.boundaries:
            for f, (offset,) in enumerate(layout.outputs):
                yield from (scalar(f"sum_a_{f}_{i}", offset + i) for i in range(layout.d_in))
        for layer, (boundary, own) in enumerate(zip(layout.boundaries, writer.boundaries, strict=True)):
            biases = known(boundary.biases)
            if biases:
                for g, group in enumerate(own.neurons):
                    yield vector(f"sum_b_{layer}_{g}", group, group.offsets(biases))
        if layout.boundaries:
            for g, group in enumerate(writer.boundaries[0].neurons):
                for i in range(layout.d_in):
                    yield vector(f"sum_a_{g}_{i}", group, group.offsets([offsets[i] for offsets in layout.inputs]))
                for part in writer.channels.leading:
                    yield vector(f"sum_p_{g}_{part.channel}", group, "", "power")
        for layer, bundles in enumerate(writer.bundles):
            for n, bundle in enumerate(bundles):
                yield Sum(f"sum_w_{layer}_{n}", "tile", bundle.transposed_shape, bundle.grid(is_transposed=True))
        if layout.boundaries:
            for f, offsets in enumerate(layout.outputs):
                for g, group in enumerate(writer.boundaries[-1].operands):
                    yield vector(f"sum_c_{f}_{g}", group, group.offsets(offsets))
        for f, bias in enumerate(layout.output_biases):
            if bias is not None:
                yield scalar(f"sum_d_{f}", bias)
        for k in range(self._n_unknown):
            yield scalar(f"sum_k_{k}", layout.n_packed + k)
        yield scalar("sum_squares", layout.n_packed + self._n_unknown)

    def clear(self) -> None:
        for own in self._all:
            self._writer.set(own.name, self._writer.zeros(own.shape))

    def add(self, name: str, value: str) -> None:
        """A number per point."""
        if self._writer.mode is Mode.JACOBIAN:
            self._rows.setdefault(name, []).append(value)
        else:
            self._writer.line(f"{name} += {value}")

    def over_points(self, name: str, value: str) -> None:
        """[BLOCK, columns]."""
        if self._writer.mode is Mode.JACOBIAN:
            self._rows.setdefault(name, []).append(value)
        else:
            self._writer.line(f"{name} += folded({value}, LANES)")

    def store(self) -> None:
        writer = self._writer
        for own in self._all:
            if own.group is not None:
                writer.set(own.name, f"tl.sum({own.name}, {1 if own.group.size > 1 else 0})")
        for g in range(len(writer.powers)):
            self._power_adjoint(g)
        for own in self._all:
            if own.kind != "power":
                value = f"tl.sum({own.name}, 0)" if own.kind == "scalar" else own.name
                writer.line(f"tl.store(partial + {own.offsets}, {value})")

    def _power_adjoint(self, g: int) -> None:
        """From the gradients by power_c to those by the columns of A, whose monomials they are."""
        writer = self._writer
        axis_of = {c: axis for axis, c in writer.channels.units}
        for part in writer.channels.leading:
            for unit, terms in part.partials.items():
                slope = monomials(terms, writer.powers[g])
                writer.line(f"sum_a_{g}_{axis_of[unit]} += sum_p_{g}_{part.channel} * {slope}")

    # Jacobians.

    def clear_rows(self) -> None:
        self._rows = {}

    def store_rows(self, i: int, n_residuals: int) -> None:
        """Row of residual i at every point: the gradients of packed, then of the unknown coefficients."""
        writer = self._writer
        for g in range(len(writer.powers)):
            self._point_power_adjoint(g)
        width = writer.layout.n_packed + self._n_unknown
        writer.line(f"tl.store(residuals + rows * {n_residuals} + {i}, r{i}, mask=inside)")
        row = writer.new(f"(rows * {n_residuals} + {i}) * {width}")
        for own in self._all:
            if own.name not in self._rows or own.kind in ("power", "tile"):
                continue
            value = " + ".join(self._rows[own.name])
            if own.group is None:
                writer.line(f"tl.store(jacobian + {row} + {own.offsets}, {value}, mask=inside)")
            else:
                at = f"{own.group.down(row)} + {own.group.across(f'({own.offsets})')}"
                writer.line(f"tl.store(jacobian + {at}, {value}, mask={own.group.down('inside')})")
        for layer, bundles in enumerate(writer.bundles):
            for bundle in bundles:
                for tile in bundle.tiles:
                    values = self._rows.get(f"tile_{layer}_{tile.offset}")
                    if values:
                        offsets = grid(tile.offset, (bundle.rows, bundle.columns), (bundle.columns, 1))
                        at = f"{row}[:, None, None] + ({offsets})[None, :, :]"
                        writer.line(f"tl.store(jacobian + {at}, {' + '.join(values)}, mask=inside[:, None, None])")

    def tile_rows(self, layer: int, tile: Tile, x: str, y: str) -> None:
        """A channel's part of the gradients by one tile's weights, for Jacobians."""
        self._rows.setdefault(f"tile_{layer}_{tile.offset}", []).append(f"{x}[:, :, None] * {y}[:, None, :]")

    def _point_power_adjoint(self, g: int) -> None:
        writer = self._writer
        group = writer.boundaries[0].neurons[g]
        axis_of = {c: axis for axis, c in writer.channels.units}
        for part in writer.channels.leading:
            values = self._rows.get(f"sum_p_{g}_{part.channel}")
            if not values:
                continue
            total = writer.new(" + ".join(values))
            for unit, terms in part.partials.items():
                factors = [group.across(power) if power else "" for power in writer.powers[g]]
                slope = monomials(terms, factors)
                self._rows.setdefault(f"sum_a_{g}_{axis_of[unit]}", []).append(f"{total} * {slope}")
