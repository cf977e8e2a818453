"""Source of the forward pass: jets of the outputs at one site."""

from __future__ import annotations

from collections.abc import Sequence

from ..channels import channel_order
from .writer import Writer


def load_points(writer: Writer, site: int) -> None:
    d = writer.layout.d_in
    for i in range(d):
        writer.set(f"x{site}_{i}", f"tl.load(points + ({site} * n_total + rows) * {d} + {i})")


def forward(writer: Writer, site: int) -> None:
    """Sets the names that emission.py lists, from x to u."""
    layout = writer.layout
    if not layout.boundaries:
        _linear_network(writer, site)
        return
    for layer, boundary in enumerate(layout.boundaries):
        leaving = writer.leaving[layer]
        if layer:
            _products(writer, site, layer)
            for mixing in boundary.mixings:
                for c in range(len(writer.channels)):
                    mixed = writer.mixed([f"s{site}_{layer}_{s}_{c}" for s in mixing.slots], mixing.orbit.mixing)
                    for b, value in zip(mixing.neurons, mixed, strict=True):
                        writer.set(f"z{site}_{layer}_{b}_{c}", value)
        for b in range(len(boundary.neurons)):
            if layer == 0:
                _first_activation(writer, site, b, leaving)
            else:
                _activation(writer, site, layer, b, leaving)
        for mixing in boundary.mixings:
            orbit = mixing.orbit
            for c in leaving:
                h = [f"h{site}_{layer}_{b}_{c}" for b in mixing.neurons]
                for o, value in zip(mixing.operands, writer.mixed(h, orbit.mixing_after, orbit.sums), strict=True):
                    writer.set(f"o{site}_{layer}_{o}_{c}", value)
    last = len(layout.boundaries) - 1
    for f in range(layout.d_out):
        for c in writer.read:
            parts = [f"o{site}_{last}_{o}_{c} * c_{f}_{o}[None, :]" for o in range(len(layout.boundaries[-1].operands))]
            bias = f" + d_{f}" if c == 0 and layout.output_biases[f] is not None else ""
            writer.set(f"u{site}_{f}_{c}", _row_sums(writer, parts) + bias)


def _row_sums(writer: Writer, parts: Sequence[str]) -> str:
    """Of blocks of any widths: those of one width are added first."""
    by_width: dict[int, list[str]] = {}
    for part, block in zip(parts, writer.layout.boundaries[-1].operands, strict=True):
        by_width.setdefault(block.padded, []).append(part)
    return " + ".join(f"tl.sum({' + '.join(own)}, 1)" for own in by_width.values())


def _linear_network(writer: Writer, site: int) -> None:
    layout = writer.layout
    units = {c: axis for axis, c in writer.channels.units}
    for f in range(layout.d_out):
        for c in writer.read:
            value = "tl.zeros_like(x0_0)"
            if c == 0:
                value = " + ".join(f"x{site}_{i} * a_{f}_{i}" for i in range(layout.d_in))
                value += f" + d_{f}" if layout.output_biases[f] is not None else ""
            elif c in units:
                value = f"tl.zeros_like(x0_0) + a_{f}_{units[c]}"
            writer.set(f"u{site}_{f}_{c}", value)


def _products(writer: Writer, site: int, layer: int) -> None:
    """Slots from operands. Several tiles of one slot add up in the product's accumulator."""
    for k, chunk in enumerate(writer.chunks()):
        totals: dict[int, str] = {}
        for n, bundle in enumerate(writer.bundles[layer - 1]):
            operands = [[f"o{site}_{layer - 1}_{tile.operand}_{c}" for c in chunk] for tile in bundle.tiles]
            name = "_".join(str(tile.operand) for tile in bundle.tiles)
            x = writer.set(f"y{site}_{layer - 1}_{name}_{k}", writer.stacked(operands, bundle.rows))
            slot = bundle.tiles[0].slot
            total = totals.get(slot) or writer.zeros(writer.rows(len(bundle.tiles), len(chunk), bundle.columns))
            totals[slot] = writer.new(f"dot({x}, w_{layer}_{n}, {total}, PRECISION)")
        for bundle in {bundle.tiles[0].slot: bundle for bundle in writer.bundles[layer - 1]}.values():
            slots = [[f"s{site}_{layer}_{tile.slot}_{c}" for c in chunk] for tile in bundle.tiles]
            writer.unstacked(totals[bundle.tiles[0].slot], slots, bundle.columns)
    reached = {tile.slot for bundle in writer.bundles[layer - 1] for tile in bundle.tiles}
    for s, block in enumerate(writer.layout.boundaries[layer].slots):
        if s not in reached:
            for c in range(len(writer.channels)):
                writer.set(f"s{site}_{layer}_{s}_{c}", writer.zeros(f"BLOCK, {block.padded}"))


def _first_activation(writer: Writer, site: int, b: int, leaving: Sequence[int]) -> None:
    bias = writer.layout.boundaries[0].biases[b]
    value = " + ".join(f"x{site}_{i}[:, None] * a_{b}_{i}[None, :]" for i in range(writer.layout.d_in))
    t = writer.set(f"t{site}_0_{b}", f"tanh({value}{f' + b_0_{b}[None, :]' if bias is not None else ''})")
    f = writer.derivatives(t, max((channel_order(writer.channels.channels[c]) for c in leaving), default=0))
    for c in leaving:
        order = channel_order(writer.channels.channels[c])
        writer.set(f"h{site}_0_{b}_{c}", t if c == 0 else f"{f[order]} * {writer.powers[b][c]}[None, :]")


def _activation(writer: Writer, site: int, layer: int, b: int, leaving: Sequence[int]) -> None:
    z = [f"z{site}_{layer}_{b}_{c}" for c in range(len(writer.channels))]
    bias = writer.layout.boundaries[layer].biases[b]
    value = z[0] if bias is None else f"{z[0]} + b_{layer}_{b}[None, :]"
    t = writer.set(f"t{site}_{layer}_{b}", f"tanh({value})")
    f = writer.derivatives(t, max((channel_order(writer.channels.channels[c]) for c in leaving), default=0))
    for c in leaving:
        terms = [t if c == 0 else f"{f[1]} * {z[c]}"]
        terms += [
            f"{f[part.order]} * {writer.monomials(part.monomials, z)}"
            for part in writer.channels.nonlinear
            if part.channel == c
        ]
        writer.set(f"h{site}_{layer}_{b}_{c}", " + ".join(terms))
