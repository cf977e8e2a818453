"""Weights in, gradients out: what a program loads before its tiles of points, and what it stores behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .writer import Mode, Writer, grid


def load_weights(writer: Writer, terms_per_entry: int) -> None:
    """Names: a_{block}_{axis} first layer, b biases, w products, c_{field}_{block} and d_{field} last layer."""
    layout = writer.layout

    def gather(name: str, offsets: str) -> None:
        writer.set(name, f"gather(source, index, coefficient, {offsets}, {layout.n_packed}, {terms_per_entry})")

    def vector(name: str, offset: int, size: int) -> None:
        gather(name, f"{offset} + tl.arange(0, {size})")

    if not layout.boundaries:
        for f, (offset,) in enumerate(layout.outputs):
            for i in range(layout.d_in):
                gather(f"a_{f}_{i}", str(offset + i))
    for layer, boundary in enumerate(layout.boundaries):
        for b, (block, bias) in enumerate(zip(boundary.neurons, boundary.biases, strict=True)):
            if bias is not None:
                vector(f"b_{layer}_{b}", bias, block.padded)
    if layout.boundaries:
        for b, (block, offsets) in enumerate(zip(layout.boundaries[0].neurons, layout.inputs, strict=True)):
            for i, offset in enumerate(offsets):
                vector(f"a_{b}_{i}", offset, block.padded)
            _set_powers(writer, b)
    for layer, bundles in enumerate(writer.bundles, start=1):
        for n, bundle in enumerate(bundles):
            gather(f"w_{layer}_{n}", bundle.grid())
    if layout.boundaries:
        for f, offsets in enumerate(layout.outputs):
            for o, offset in enumerate(offsets):
                vector(f"c_{f}_{o}", offset, layout.boundaries[-1].operands[o].padded)
    for f, bias in enumerate(layout.output_biases):
        if bias is not None:
            gather(f"d_{f}", str(bias))


def _set_powers(writer: Writer, b: int) -> None:
    """power_c, the factor of tanh^(|c|)(z) in channel c behind the first layer: polynomials in the columns of A."""
    power = [""] * len(writer.channels)
    for axis, c in writer.channels.units:
        power[c] = f"a_{b}_{axis}"
    for part in writer.channels.leading:
        power[part.channel] = writer.set(f"p_{b}_{part.channel}", writer.monomials(part.monomials, power))
    writer.powers.append(power)


@dataclass(frozen=True)
class Sum:
    """Something summed over points, ``shape`` of its own; it goes to ``offsets`` in the partial gradient.

    ``kind``: "scalar" and "vector" wait for the end to be summed over rows of [BLOCK] and [LANES, shape] numbers;
    "tile" is a product's; "power" only adds to other sums.
    """

    name: str
    shape: str
    kind: str
    offsets: str

    @property
    def partial(self) -> str:
        return {"scalar": "BLOCK", "tile": self.shape}.get(self.kind, f"LANES, {self.shape}")


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

        def vector(name: str, offset: int, size: int) -> Sum:
            return Sum(name, str(size), "vector", f"{offset} + tl.arange(0, {size})")

        def scalar(name: str, offset: int) -> Sum:
            return Sum(name, "", "scalar", str(offset))

        if not layout.boundaries:
            for f, (offset,) in enumerate(layout.outputs):
                yield from (scalar(f"sum_a_{f}_{i}", offset + i) for i in range(layout.d_in))
        for layer, boundary in enumerate(layout.boundaries):
            for b, (block, bias) in enumerate(zip(boundary.neurons, boundary.biases, strict=True)):
                if bias is not None:
                    yield vector(f"sum_b_{layer}_{b}", bias, block.padded)
        if layout.boundaries:
            for b, (block, offsets) in enumerate(zip(layout.boundaries[0].neurons, layout.inputs, strict=True)):
                yield from (vector(f"sum_a_{b}_{i}", offset, block.padded) for i, offset in enumerate(offsets))
                for part in writer.channels.leading:
                    yield Sum(f"sum_p_{b}_{part.channel}", str(block.padded), "power", "")
        for layer, bundles in enumerate(writer.bundles, start=1):
            for n, bundle in enumerate(bundles):
                yield Sum(f"sum_w_{layer}_{n}", bundle.transposed, "tile", bundle.grid(is_transposed=True))
        if layout.boundaries:
            for f, offsets in enumerate(layout.outputs):
                for o, offset in enumerate(offsets):
                    yield vector(f"sum_c_{f}_{o}", offset, layout.boundaries[-1].operands[o].padded)
        for f, bias in enumerate(layout.output_biases):
            if bias is not None:
                yield scalar(f"sum_d_{f}", bias)
        for k in range(self._n_unknown):
            yield scalar(f"sum_k_{k}", layout.n_packed + k)
        yield scalar("sum_squares", layout.n_packed + self._n_unknown)

    def clear(self) -> None:
        for own in self._all:
            self._writer.set(own.name, self._writer.zeros(own.partial))

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
            if own.kind in ("vector", "power"):
                writer.set(own.name, f"tl.sum({own.name}, 0)")
        for b in range(len(writer.layout.inputs)):
            self._power_adjoint(b)
        for own in self._all:
            if own.kind != "power":
                value = f"tl.sum({own.name}, 0)" if own.kind == "scalar" else own.name
                writer.line(f"tl.store(partial + {own.offsets}, {value})")

    def _power_adjoint(self, b: int) -> None:
        """From the gradients by power_c to those by the columns of A, whose monomials they are."""
        writer = self._writer
        axis_of = {c: axis for axis, c in writer.channels.units}
        for part in writer.channels.leading:
            for unit, monomials in part.partials.items():
                slope = writer.monomials(monomials, writer.powers[b])
                writer.line(f"sum_a_{b}_{axis_of[unit]} += sum_p_{b}_{part.channel} * {slope}")

    # Jacobians.

    def clear_rows(self) -> None:
        self._rows = {}

    def store_rows(self, i: int, n_residuals: int) -> None:
        """Row of residual i at every point: the gradients of packed, then of the unknown coefficients."""
        writer = self._writer
        for b in range(len(writer.layout.inputs)):
            self._point_power_adjoint(b)
        width = writer.layout.n_packed + self._n_unknown
        writer.line(f"tl.store(residuals + rows * {n_residuals} + {i}, r{i}, mask=inside)")
        row = writer.new(f"(rows * {n_residuals} + {i}) * {width}")
        for own in self._all:
            if own.name not in self._rows or own.kind in ("power", "tile"):
                continue
            value = " + ".join(self._rows[own.name])
            if own.kind == "scalar":
                writer.line(f"tl.store(jacobian + {row} + {own.offsets}, {value}, mask=inside)")
            else:
                at = f"{row}[:, None] + ({own.offsets})[None, :]"
                writer.line(f"tl.store(jacobian + {at}, {value}, mask=inside[:, None])")
        for layer, bundles in enumerate(writer.bundles, start=1):
            for number, tile, bundle in ((n, t, b) for b in bundles for n, t in zip(b.numbers, b.tiles, strict=True)):
                values = self._rows.get(f"tile_{layer}_{number}")
                if values:
                    offsets = grid(tile.offset, (bundle.rows, bundle.columns), (bundle.columns, 1))
                    at = f"{row}[:, None, None] + ({offsets})[None, :, :]"
                    writer.line(f"tl.store(jacobian + {at}, {' + '.join(values)}, mask=inside[:, None, None])")

    def tile_rows(self, layer: int, number: int, x: str, y: str) -> None:
        """A channel's part of the gradients by one tile's weights, for Jacobians."""
        self._rows.setdefault(f"tile_{layer}_{number}", []).append(f"{x}[:, :, None] * {y}[:, None, :]")

    def _point_power_adjoint(self, b: int) -> None:
        writer = self._writer
        axis_of = {c: axis for axis, c in writer.channels.units}
        for part in writer.channels.leading:
            values = self._rows.get(f"sum_p_{b}_{part.channel}")
            if not values:
                continue
            total = writer.new(" + ".join(values))
            for unit, monomials in part.partials.items():
                factors = [f"{power}[None, :]" if power else "" for power in writer.powers[b]]
                slope = writer.monomials(monomials, factors)
                self._rows.setdefault(f"sum_a_{b}_{axis_of[unit]}", []).append(f"{total} * {slope}")
