"""Source of the reverse pass: from the adjoints of the outputs' jets to the gradients of all weights."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ..channels import channel_order
from .sums import Sums
from .writer import Mode, Writer


class Adjoint:
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
        last = len(layout.boundaries) - 1
        self._outputs(last, present)
        for layer in range(last, -1, -1):
            boundary = layout.boundaries[layer]
            for mixing in boundary.mixings:
                orbit = mixing.orbit
                transposed = tuple(zip(*orbit.sums, strict=True))
                for c in arriving:
                    bar = [f"bar_o{site}_{layer}_{o}_{c}" for o in mixing.operands]
                    for b, value in zip(mixing.neurons, writer.mixed(bar, orbit.mixing_after, transposed), strict=True):
                        writer.set(f"bar_h{site}_{layer}_{b}_{c}", value)
            for b in range(len(boundary.neurons)):
                if layer == 0:
                    self._first_activation(b, arriving)
                else:
                    self._activation(layer, b, arriving)
            if layer == 0:
                break
            arriving = list(range(len(writer.channels)))
            for mixing in boundary.mixings:
                for c in arriving:
                    bar = [f"bar_z{site}_{layer}_{b}_{c}" for b in mixing.neurons]
                    for s, value in zip(mixing.slots, writer.mixed(bar, mixing.orbit.mixing), strict=True):
                        writer.set(f"bar_s{site}_{layer}_{s}_{c}", value)
            self._products(layer)

    def _outputs(self, last: int, present: Container[str]) -> None:
        writer, layout, site = self._writer, self._writer.layout, self._site
        for f in range(layout.d_out):
            for c in writer.read:
                u_bar = f"bar_u{site}_{f}_{c}"
                if u_bar not in present:
                    continue
                if c == 0 and layout.output_biases[f] is not None:
                    self._sums.add(f"sum_d_{f}", u_bar)
                for o in range(len(layout.boundaries[-1].operands)):
                    self._sums.over_points(f"sum_c_{f}_{o}", f"{u_bar}[:, None] * o{site}_{last}_{o}_{c}")
        for o in range(len(layout.boundaries[-1].operands)):
            for c in writer.read:
                terms = [
                    f"bar_u{site}_{f}_{c}[:, None] * c_{f}_{o}[None, :]"
                    for f in range(layout.d_out)
                    if f"bar_u{site}_{f}_{c}" in present
                ]
                if terms:
                    writer.set(f"bar_o{site}_{last}_{o}_{c}", " + ".join(terms))

    def _products(self, layer: int) -> None:
        """Adjoints of the operands, gradients of the tiles: sum_w^T is what a product gives, see emission.py."""
        writer, site = self._writer, self._site
        for k, chunk in enumerate(writer.chunks()):
            totals: dict[int, str] = {}
            for n, bundle in enumerate(writer.bundles[layer - 1]):
                slots = [[f"bar_s{site}_{layer}_{tile.slot}_{c}" for c in chunk] for tile in bundle.tiles]
                y = writer.stacked(slots, bundle.columns)
                name = "_".join(str(tile.operand) for tile in bundle.tiles)
                x, own = f"y{site}_{layer - 1}_{name}_{k}", f"sum_w_{layer}_{n}"
                if writer.mode is Mode.JACOBIAN:
                    for number, tile in zip(bundle.numbers, bundle.tiles, strict=True):
                        for c in chunk:
                            x_c, y_c = f"o{site}_{layer - 1}_{tile.operand}_{c}", f"bar_s{site}_{layer}_{tile.slot}_{c}"
                            self._sums.tile_rows(layer, number, x_c, y_c)
                else:
                    writer.set(own, f"dot({writer.transposed(y, bundle)}, {x}, {own}, PRECISION)")
                operand = bundle.tiles[0].operand
                total = totals.get(operand) or writer.zeros(writer.rows(len(bundle.tiles), len(chunk), bundle.rows))
                w = writer.transposed(f"w_{layer}_{n}", bundle)
                totals[operand] = writer.new(f"dot({y}, {w}, {total}, PRECISION)")
            for bundle in {bundle.tiles[0].operand: bundle for bundle in writer.bundles[layer - 1]}.values():
                operands = [[f"bar_o{site}_{layer - 1}_{tile.operand}_{c}" for c in chunk] for tile in bundle.tiles]
                writer.unstacked(totals[bundle.tiles[0].operand], operands, bundle.rows)
        reached = {tile.operand for bundle in writer.bundles[layer - 1] for tile in bundle.tiles}
        for o, block in enumerate(writer.layout.boundaries[layer - 1].operands):
            if o not in reached:
                for c in range(len(writer.channels)):
                    writer.set(f"bar_o{site}_{layer - 1}_{o}_{c}", writer.zeros(f"BLOCK, {block.padded}"))

    def _activation(self, layer: int, b: int, arriving: Sequence[int]) -> None:
        writer, site, channels = self._writer, self._site, self._writer.channels
        n = len(channels)
        z = [f"z{site}_{layer}_{b}_{c}" for c in range(n)]
        h_bar = {c: f"bar_h{site}_{layer}_{b}_{c}" for c in arriving}
        f = writer.derivatives(f"t{site}_{layer}_{b}", 1 + self._highest(arriving))
        out: list[list[str]] = [[f"{f[1]} * {h_bar[c]}"] if c in h_bar else [] for c in range(n)]
        out[0] += [f"{f[2]} * {z[c]} * {h_bar[c]}" for c in arriving if c > 0]
        for part in channels.nonlinear:
            if part.channel not in h_bar:
                continue
            c_bar = h_bar[part.channel]
            out[0].append(f"{f[part.order + 1]} * {c_bar} * {writer.monomials(part.monomials, z)}")
            common = writer.new(f"{f[part.order]} * {c_bar}")
            for target, monomials in part.partials.items():
                out[target].append(f"{common} * {writer.monomials(monomials, z)}")
        for c in range(n):
            writer.set(f"bar_z{site}_{layer}_{b}_{c}", " + ".join(out[c]) or f"tl.zeros_like({z[0]})")
        if writer.layout.boundaries[layer].biases[b] is not None:
            self._sums.over_points(f"sum_b_{layer}_{b}", f"bar_z{site}_{layer}_{b}_0")

    def _highest(self, arriving: Sequence[int]) -> int:
        return max(channel_order(self._writer.channels.channels[c]) for c in arriving)

    def _first_activation(self, b: int, arriving: Sequence[int]) -> None:
        writer, site = self._writer, self._site
        orders = {c: channel_order(writer.channels.channels[c]) for c in arriving}
        f = writer.derivatives(f"t{site}_0_{b}", 1 + self._highest(arriving))
        terms = []
        for c in arriving:
            h_bar, k = f"bar_h{site}_0_{b}_{c}", orders[c]
            power = f" * {writer.powers[b][c]}[None, :]" if c else ""
            terms.append(f"{h_bar} * {f[k + 1]}{power}")
        z_bar = writer.new(" + ".join(terms))
        units = {c: axis for axis, c in writer.channels.units}
        by_axis: dict[int, list[str]] = {i: [f"{z_bar} * x{site}_{i}[:, None]"] for i in range(writer.layout.d_in)}
        for c in arriving:
            value = f"bar_h{site}_0_{b}_{c} * {f[orders[c]]}"
            if c in units:
                by_axis[units[c]].append(value)
            elif c:
                self._sums.over_points(f"sum_p_{b}_{c}", value)
        if writer.layout.boundaries[0].biases[b] is not None:
            self._sums.over_points(f"sum_b_0_{b}", z_bar)
        for i, values in by_axis.items():
            self._sums.over_points(f"sum_a_{b}_{i}", " + ".join(values))
        if self._need_x:
            for i in range(writer.layout.d_in):
                name, value = f"bar_x_{i}", f"tl.sum({z_bar} * a_{b}_{i}[None, :], 1)"
                writer.set(name, value if b == 0 else f"{name} + {value}")
            if b == len(writer.layout.boundaries[0].neurons) - 1:
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
