"""Source of the forward pass: jets of the outputs at one site."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ..language.channels import channel_order
from .activation_source import derivatives, highest, jets, keep
from .groups import BlockGroup, Bundle
from .sums import known, load_tile
from .writer import Writer, combination


def load_points(writer: Writer, site: int) -> None:
    d = writer.layout.d_in
    for i in range(d):
        writer.set(f"x{site}_{i}", f"tl.load(points + ({site} * n_total + rows) * {d} + {i})")


def forward(writer: Writer, site: int) -> None:
    """Sets the names that emission.py lists, from x to u."""
    layout = writer.layout
    if not writer.read:  # a residual of coordinates and coefficients alone
        return
    if not layout.boundaries:
        _linear_network(writer, site)
        return
    for layer, boundary in enumerate(writer.boundaries):
        leaving = writer.leaving[layer]
        if layer:
            _products(writer, site, layer)
            for mixing in boundary.mixings:
                for c in range(len(writer.channels)):
                    mixed = writer.mixed([f"s{site}_{layer}_{s}_{c}" for s in mixing.slots], mixing.orbit.mixing)
                    for g, value in zip(mixing.neurons, mixed, strict=True):
                        writer.set(f"z{site}_{layer}_{g}_{c}", value)
        for g in range(len(boundary.neurons)):
            if layer == 0:
                _first_activation(writer, site, g, leaving)
            else:
                _activation(writer, site, layer, g, leaving)
        for mixing in boundary.mixings:
            for c in leaving:
                h = [f"h{site}_{layer}_{g}_{c}" for g in mixing.neurons]
                if mixing.orbit.sums:
                    pieces = [piece for g, own in zip(mixing.neurons, h, strict=True)
                              for piece in writer.pieces(own, boundary.neurons[g])]  # fmt: skip
                    mixed = [combination(row, pieces) for row in mixing.orbit.sums]
                else:
                    mixed = writer.mixed(h, mixing.orbit.mixing_after)
                for o, value in zip(mixing.operands, mixed, strict=True):
                    writer.set(f"o{site}_{layer}_{o}_{c}", value)
    last = len(writer.boundaries) - 1
    for f in range(layout.d_out):
        for c in writer.read:
            bias = f" + d_{f}" if c == 0 and layout.output_biases[f] is not None else ""
            writer.set(f"u{site}_{f}_{c}", _row_sums(writer, f, f"o{site}_{last}", c) + bias)


def _row_sums(writer: Writer, f: int, operands: str, c: int) -> str:
    """Of groups of any shapes: those of one shape are added first."""
    by_shape: dict[str, list[str]] = {}
    for g, group in enumerate(writer.boundaries[-1].operands):
        shape = "tl.sum(tl.sum({}, 2), 0)" if group.size > 1 else "tl.sum({}, 1)"
        key = f"{group.shape('BLOCK')}/{shape}"
        by_shape.setdefault(key, []).append(f"{operands}_{g}_{c} * {group.across(f'c_{f}_{g}')}")
    return " + ".join(key.partition("/")[2].format(" + ".join(own)) for key, own in by_shape.items())


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
    """Slots from operands. Several products of one slot add up in their accumulator."""
    before, after = writer.boundaries[layer - 1].operands, writer.boundaries[layer].slots
    parts: dict[tuple[int, int], list[str]] = {}
    cut: dict[str, list[str]] = {}
    for k, chunk in enumerate(writer.chunks()):
        totals: dict[tuple[int, int], str] = {}
        for n, bundle in enumerate(writer.bundles[layer]):
            if k == 0 and not writer.scheme.keeps_tiles:
                load_tile(writer, layer, n)
            names = operand_names(writer, cut, f"o{site}_{layer - 1}", bundle.source, before, bundle, chunk)
            group = bundle.group(bundle.rows)
            y = writer.set(f"y{site}_{layer}_{n}_{k}", writer.stacked(names, group))
            result = bundle.group(bundle.columns)
            total = totals.get(bundle.target) or writer.zeros(result.shape(f"BLOCK * {len(chunk)}"))
            totals[bundle.target] = writer.new(f"dot({y}, w_{layer}_{n}, {total}, PRECISION)")
        for bundle in {bundle.target: bundle for bundle in writer.bundles[layer]}.values():
            s, piece = bundle.target
            names = [f"s{site}_{layer}_{s}_{c}" + (f"_{piece}p" if bundle.pieces else "") for c in chunk]
            writer.unstacked(totals[bundle.target], names, bundle.group(bundle.columns))
            parts.setdefault(bundle.target, []).extend(names)
    assemble(writer, f"s{site}_{layer}", after, parts, {b.target for b in writer.bundles[layer] if b.pieces is None})


def operand_names(
    writer: Writer,
    cut: dict[str, list[str]],
    start: str,
    source: tuple[int, int],
    groups: Sequence[BlockGroup],
    bundle: Bundle,
    chunk: Sequence[int],
) -> list[str]:
    """Per channel the tensor that goes into a product: a group's, or the piece of it, cut off once (``cut``)."""
    g, piece = source
    names = [f"{start}_{g}_{c}" for c in chunk]
    if bundle.pieces is None:
        return names
    for name in names:
        if name not in cut:
            cut[name] = writer.pieces(name, groups[g])
    return [cut[name][piece] for name in names]


def assemble(
    writer: Writer,
    start: str,
    groups: Sequence[BlockGroup],
    parts: dict[tuple[int, int], list[str]],
    complete: Container[tuple[int, int]],
) -> None:
    """Groups from the pieces that products gave, zeros where none did: ``parts`` by (group, piece), per channel."""
    for g, group in enumerate(groups):
        if (g, 0) in complete:
            continue
        for c in range(len(writer.channels)):
            zeros = writer.zeros(f"BLOCK, {group.columns}")
            pieces = [parts[g, i][c] if (g, i) in parts else writer.new(zeros) for i in range(group.size)]
            writer.set(f"{start}_{g}_{c}", writer.whole(pieces, group.columns))


def _first_activation(writer: Writer, site: int, g: int, leaving: Sequence[int]) -> None:
    group = writer.boundaries[0].neurons[g]
    terms = [f"{group.down(f'x{site}_{i}')} * {group.across(f'a_{g}_{i}')}" for i in range(writer.layout.d_in)]
    if known(writer.layout.boundaries[0].biases):
        terms.append(group.across(f"b_0_{g}"))
    t = writer.set(f"t{site}_0_{g}", keep(writer, writer.activation, " + ".join(terms)))
    f = derivatives(writer, writer.activation, t, highest(writer.channels, leaving))
    for c in leaving:
        order = channel_order(writer.channels.channels[c])
        writer.set(f"h{site}_0_{g}_{c}", f[0] if c == 0 else f"{f[order]} * {group.across(writer.powers[g][c])}")


def _activation(writer: Writer, site: int, layer: int, g: int, leaving: Sequence[int]) -> None:
    group = writer.boundaries[layer].neurons[g]
    z = [f"z{site}_{layer}_{g}_{c}" for c in range(len(writer.channels))]
    has_bias = known(writer.layout.boundaries[layer].biases)
    value = f"{z[0]}{' + ' + group.across(f'b_{layer}_{g}') if has_bias else ''}"
    t = writer.set(f"t{site}_{layer}_{g}", keep(writer, writer.activation, value))
    for c, value in jets(writer, writer.activation, writer.channels, t, z, leaving).items():
        writer.set(f"h{site}_{layer}_{g}_{c}", value)
