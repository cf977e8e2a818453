"""Source of the reverse pass: from the adjoints of the outputs' jets to the gradients of all weights."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ..language.channels import channel_order
from .activation_source import derivatives, highest, jets_adjoint
from .forward import assemble, operand_names
from .groups import BlockGroup, Bundle, GroupMixing
from .sums import Sums, known, load_tile
from .writer import Mode, Writer, combination


class AdjointPass:
    """The reverse pass at one site; ``need_x``: x_bar too."""

    def __init__(self, writer: Writer, sums: Sums, site: int, need_x: bool = False) -> None:
        self._writer, self._sums, self._site, self._need_x = writer, sums, site, need_x

    def write(self, present: Container[str]) -> None:
        """``present``: names of the bar_u that are not zero."""
        writer, layout, site = self._writer, self._writer.layout, self._site
        if not layout.boundaries:
            self._linear_network(present)
            return
        fields = range(layout.d_out)
        arriving = [c for c in writer.read if any(f"bar_u{site}_{f}_{c}" in present for f in fields)]
        if not arriving:
            return
        last = len(writer.boundaries) - 1
        self._outputs(last, present)
        for layer in range(last, -1, -1):
            boundary = writer.boundaries[layer]
            for mixing in boundary.mixings:
                for c in arriving:
                    bar = [f"bar_o{site}_{layer}_{o}_{c}" for o in mixing.operands]
                    for g, value in zip(mixing.neurons, self._mixed_back(bar, mixing, boundary.neurons), strict=True):
                        writer.set(f"bar_h{site}_{layer}_{g}_{c}", value)
            for g in range(len(boundary.neurons)):
                if layer == 0:
                    self._first_activation(g, arriving)
                else:
                    self._activation(layer, g, arriving)
            if layer == 0:
                break
            arriving = list(range(len(writer.channels)))
            for mixing in boundary.mixings:
                for c in arriving:
                    bar = [f"bar_z{site}_{layer}_{g}_{c}" for g in mixing.neurons]
                    for s, value in zip(mixing.slots, writer.mixed(bar, mixing.orbit.mixing), strict=True):
                        writer.set(f"bar_s{site}_{layer}_{s}_{c}", value)
            self._products(layer)

    def _mixed_back(self, bar: Sequence[str], mixing: GroupMixing, neurons: Sequence[BlockGroup]) -> list[str]:
        """Of the groups of neurons, from those of the operands."""
        writer, sums = self._writer, mixing.orbit.sums
        if not sums:
            return writer.mixed(bar, mixing.orbit.mixing_after)
        pieces = [writer.new(combination(row, bar)) for row in zip(*sums, strict=True)]
        size = len(pieces) // len(mixing.neurons)
        return [
            writer.whole(pieces[i * size : (i + 1) * size], neurons[g].columns) for i, g in enumerate(mixing.neurons)
        ]

    def _outputs(self, last: int, present: Container[str]) -> None:
        writer, layout, site = self._writer, self._writer.layout, self._site
        groups = writer.boundaries[last].operands
        for f in range(layout.d_out):
            for c in writer.read:
                u_bar = f"bar_u{site}_{f}_{c}"
                if u_bar not in present:
                    continue
                if c == 0 and layout.output_biases[f] is not None:
                    self._sums.add(f"sum_d_{f}", u_bar)
                for g, group in enumerate(groups):
                    self._sums.over_points(f"sum_c_{f}_{g}", f"{group.down(u_bar)} * o{site}_{last}_{g}_{c}")
        for g, group in enumerate(groups):
            for c in writer.read:
                terms = [
                    f"{group.down(f'bar_u{site}_{f}_{c}')} * {group.across(f'c_{f}_{g}')}"
                    for f in range(layout.d_out)
                    if f"bar_u{site}_{f}_{c}" in present
                ]
                if terms:
                    writer.set(f"bar_o{site}_{last}_{g}_{c}", " + ".join(terms))

    def _products(self, layer: int) -> None:
        """Adjoints of the operands, gradients of the tiles, the latter transposed."""
        writer, site = self._writer, self._site
        before, after = writer.boundaries[layer - 1].operands, writer.boundaries[layer].slots
        parts: dict[tuple[int, int], list[str]] = {}
        cut: dict[str, list[str]] = {}
        for k, chunk in enumerate(writer.chunks()):
            totals: dict[tuple[int, int], str] = {}
            for n, bundle in enumerate(writer.bundles[layer]):
                names = operand_names(writer, cut, f"bar_s{site}_{layer}", bundle.target, after, bundle, chunk)
                bar = writer.stacked(names, bundle.group(bundle.columns))
                if writer.mode is Mode.JACOBIAN:
                    self._tile_rows(layer, bundle, chunk, cut)
                else:
                    own = f"sum_w_{layer}_{n}"
                    for slot, operand in self._factors(layer, n, k, bar, names, cut):
                        writer.set(own, f"dot({bundle.transposed(slot)}, {operand}, {own}, PRECISION)")
                result = bundle.group(bundle.rows)
                total = totals.get(bundle.source) or writer.zeros(result.shape(f"BLOCK * {len(chunk)}"))
                if k == 0 and not writer.scheme.keeps_tiles:
                    load_tile(writer, layer, n, is_turned=True)
                totals[bundle.source] = writer.new(f"dot({bar}, wt_{layer}_{n}, {total}, PRECISION)")
            for bundle in {bundle.source: bundle for bundle in writer.bundles[layer]}.values():
                o, piece = bundle.source
                names = [f"bar_o{site}_{layer - 1}_{o}_{c}" + (f"_{piece}p" if bundle.pieces else "") for c in chunk]
                writer.unstacked(totals[bundle.source], names, bundle.group(bundle.rows))
                parts.setdefault(bundle.source, []).extend(names)
        complete = {bundle.source for bundle in writer.bundles[layer] if bundle.pieces is None}
        assemble(writer, f"bar_o{site}_{layer - 1}", before, parts, complete)

    def _factors(
        self, layer: int, n: int, k: int, bar: str, names: Sequence[str], cut: dict[str, list[str]]
    ) -> list[tuple[str, str]]:
        """(adjoint of slots, operands) whose products are the gradient of a bundle's tiles.

        Of one tile channel by channel: Triton lays stacked channels down in shared memory column by column, as
        threads hold them, where the products of the forward pass want them so; here threads want rows, and would wait
        for each other, sixteen for one bank. Of several tiles, which lie otherwise, stacked ones take less; and where
        tiles are large, there is no room for both.
        """
        writer, site, bundle = self._writer, self._site, self._writer.bundles[layer][n]
        if bundle.size > 1 or not writer.scheme.keeps_tiles:
            return [(bar, f"y{site}_{layer}_{n}_{k}")]
        before, chunk = writer.boundaries[layer - 1].operands, writer.chunks()[k]
        operands = operand_names(writer, cut, f"o{site}_{layer - 1}", bundle.source, before, bundle, chunk)
        return [*zip(names, operands, strict=True)]

    def _tile_rows(self, layer: int, bundle: Bundle, chunk: Sequence[int], cut: dict[str, list[str]]) -> None:
        writer, site = self._writer, self._site
        before, after = writer.boundaries[layer - 1].operands, writer.boundaries[layer].slots
        for c in chunk:
            x, y = f"o{site}_{layer - 1}_{bundle.operand}_{c}", f"bar_s{site}_{layer}_{bundle.slot}_{c}"
            for name, group in ((x, before[bundle.operand]), (y, after[bundle.slot])):
                if name not in cut:
                    cut[name] = writer.pieces(name, group)
            for i, tile in enumerate(bundle.tiles):
                at = bundle.pieces or (i, i)
                self._sums.tile_rows(layer, tile, cut[x][at[0]], cut[y][at[1]])

    def _activation(self, layer: int, g: int, arriving: Sequence[int]) -> None:
        writer, site, channels = self._writer, self._site, self._writer.channels
        z = [f"z{site}_{layer}_{g}_{c}" for c in range(len(channels))]
        h_bar = {c: f"bar_h{site}_{layer}_{g}_{c}" for c in arriving}
        for c, value in enumerate(jets_adjoint(writer, writer.activation, channels, f"t{site}_{layer}_{g}", z, h_bar)):
            writer.set(f"bar_z{site}_{layer}_{g}_{c}", value)
        if known(writer.layout.boundaries[layer].biases):
            self._sums.over_points(f"sum_b_{layer}_{g}", f"bar_z{site}_{layer}_{g}_0")

    def _first_activation(self, g: int, arriving: Sequence[int]) -> None:
        writer, site = self._writer, self._site
        group = writer.boundaries[0].neurons[g]
        orders = {c: channel_order(writer.channels.channels[c]) for c in arriving}
        f = derivatives(writer, writer.activation, f"t{site}_0_{g}", 1 + highest(writer.channels, arriving))
        terms = []
        for c in arriving:
            h_bar, k = f"bar_h{site}_0_{g}_{c}", orders[c]
            power = f" * {group.across(writer.powers[g][c])}" if c else ""
            terms.append(f"{h_bar} * {f[k + 1]}{power}")
        z_bar = writer.new(" + ".join(terms))
        units = {c: axis for axis, c in writer.channels.units}
        by_axis: dict[int, list[str]] = {
            i: [f"{z_bar} * {group.down(f'x{site}_{i}')}"] for i in range(writer.layout.d_in)
        }
        for c in arriving:
            value = f"bar_h{site}_0_{g}_{c} * {f[orders[c]]}"
            if c in units:
                by_axis[units[c]].append(value)
            elif c:
                self._sums.over_points(f"sum_p_{g}_{c}", value)
        if known(writer.layout.boundaries[0].biases):
            self._sums.over_points(f"sum_b_0_{g}", z_bar)
        for i, values in by_axis.items():
            self._sums.over_points(f"sum_a_{g}_{i}", " + ".join(values))
        if self._need_x:
            for i in range(writer.layout.d_in):
                product = f"{z_bar} * {group.across(f'a_{g}_{i}')}"
                name, value = f"bar_x_{i}", f"tl.sum({product}, 1)"
                if group.size > 1:
                    value = f"tl.sum(tl.sum({product}, 2), 0)"
                writer.set(name, value if g == 0 else f"{name} + {value}")
            if g == len(writer.boundaries[0].neurons) - 1:
                self._store_x()

    def _linear_network(self, present: Container[str]) -> None:
        writer, layout, site = self._writer, self._writer.layout, self._site
        units = {c: axis for axis, c in writer.channels.units}
        for f in range(layout.d_out):
            for c in writer.read:
                u_bar = f"bar_u{site}_{f}_{c}"
                if u_bar not in present:
                    continue
                if c == 0:
                    for i in range(layout.d_in):
                        self._sums.add(f"sum_a_{f}_{i}", f"{u_bar} * x{site}_{i}")
                    if layout.output_biases[f] is not None:
                        self._sums.add(f"sum_d_{f}", u_bar)
                elif c in units:
                    self._sums.add(f"sum_a_{f}_{units[c]}", u_bar)
        if self._need_x:
            for i in range(layout.d_in):
                fields = [f"bar_u{site}_{f}_0 * a_{f}_{i}" for f in range(layout.d_out)]
                writer.set(f"bar_x_{i}", " + ".join(fields))
            self._store_x()

    def _store_x(self) -> None:
        d = self._writer.layout.d_in
        for i in range(d):
            self._writer.line(f"tl.store(x_bar + rows * {d} + {i}, bar_x_{i}, mask=inside)")
