"""Triton source for what one program does with its points: forward, residual, adjoint, gradients of the weights.

One function per group of loss terms with the same residual (or per jets operation). All loops over blocks and channels
are unrolled here; what remains in Triton is one loop over tiles of points. Names: x{site}_{axis} coordinates,
t/z{site}_{layer}_{block}_{channel} hidden layers, h.. operands of the next one, u{site}_{field}_{channel} outputs; the
adjoint of a has the name a with ``bar_`` in front.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from ..channels import ChannelSet, Monomial, channel_order
from ..program import Adjoint, Coefficient, Column, Coordinate, Jet, Program
from .layout import Layout
from .operations import expression

INDENT = "    "


def _grid(offset: int, rows: int, columns: int, row_step: int, column_step: int) -> str:
    return f"{offset} + tl.arange(0, {rows})[:, None] * {row_step} + tl.arange(0, {columns})[None, :] * {column_step}"


class Mode(Enum):
    JETS = "jets"
    JETS_BACKWARD = "jets_backward"
    LOSS = "loss"
    JACOBIAN = "jacobian"


# Pointers that a mode reads or writes besides the common ones.
EXTRA_ARGUMENTS = {
    Mode.JETS: ("jets",),
    Mode.JETS_BACKWARD: ("jets", "x_bar"),
    Mode.LOSS: (),
    Mode.JACOBIAN: ("residuals", "jacobian"),
}
COMMON_ARGUMENTS = (
    "source", "index", "coefficient", "unknown", "points", "columns", "n_total", "begin", "end", "factor", "partial",
)  # fmt: skip


class GroupSource:
    """The function of one group; ``text()`` is its source.

    Args:
        layout: of the network.
        channels: derivatives carried along.
        mode: the operation.
        program: residual and adjoint; None for the two operations on jets.
        n_unknown: number of unknown coefficients, whose gradients follow those of the packed weights.
        terms_per_entry: entries of theta in an entry of packed, at most.
        need_x: JETS_BACKWARD writes x_bar too.
    """

    def __init__(
        self,
        name: str,
        layout: Layout,
        channels: ChannelSet,
        mode: Mode,
        program: Program | None,
        n_unknown: int,
        terms_per_entry: int,
        need_x: bool = False,
    ) -> None:
        self._layout, self._channels, self._mode, self._program = layout, channels, mode, program
        self._n_unknown, self._terms_per_entry, self._need_x = n_unknown, terms_per_entry, need_x
        self._name = name
        self._n_sites = 1 if program is None else program.n_sites
        self._lines: list[str] = []
        self._depth = 1
        self._count = 0
        # Channels that leave each hidden layer: the last one needs only those that somebody reads.
        everything = tuple(range(len(channels)))
        read = everything
        if program is not None:
            read = tuple(sorted({kind.channel for kind in program.inputs if isinstance(kind, Jet)}))
        self._read = read
        last = len(layout.boundaries) - 1
        self._leaving = [read if layer == last else everything for layer in range(last + 1)]

    def text(self) -> str:
        self._load_weights()
        if self._mode is not Mode.JETS and self._mode is not Mode.JACOBIAN:
            self._clear_sums()
        # Not `range`: the interpreter cannot make a number of a loaded bound with numpy 2.4.
        self._line("at = begin")
        self._line("while at < end:")
        self._depth += 1
        self._line("rows = at + tl.arange(0, BLOCK)")
        self._line("inside = rows < end")
        self._line("rows = tl.minimum(rows, end - 1).to(tl.int64)")
        for site in range(self._n_sites):
            self._load_points(site)
            self._forward(site)
        match self._mode:
            case Mode.JETS:
                self._store_jets()
            case Mode.JETS_BACKWARD:
                self._load_jets_bar()
                self._backward(0)
            case Mode.LOSS:
                self._residuals()
                self._adjoint([f"factor * r{i}" for i in range(self._n_residuals)])
                for site in range(self._n_sites):
                    self._backward(site)
            case Mode.JACOBIAN:
                self._residuals()
                for i in range(self._n_residuals):
                    self._point_gradients(i)
        self._line("at += BLOCK")
        self._depth -= 1
        if self._mode is not Mode.JETS and self._mode is not Mode.JACOBIAN:
            self._store_sums()
        arguments = ", ".join((*COMMON_ARGUMENTS, *EXTRA_ARGUMENTS[self._mode]))
        constants = "BLOCK: tl.constexpr, PRECISION: tl.constexpr"
        return "\n".join(["@triton.jit", f"def {self._name}({arguments}, {constants}):", *self._lines, ""])

    # Writing lines.

    @property
    def _n_residuals(self) -> int:
        assert self._program is not None
        return self._program.n_residuals

    def _line(self, text: str) -> None:
        self._lines.append(INDENT * self._depth + text)

    def _set(self, name: str, value: str) -> str:
        self._line(f"{name} = {value}")
        return name

    def _new(self, value: str) -> str:
        self._count += 1
        return self._set(f"v{self._count}", value)

    def _monomials(self, monomials: Iterable[Monomial], z: Sequence[str]) -> str:
        terms = []
        for coefficient, factors in monomials:
            product = " * ".join(z[factor] for factor in factors)
            terms.append(product if coefficient == 1 else f"{coefficient!r} * {product}" if product else repr(coefficient))
        return "(" + " + ".join(terms) + ")"

    def _derivatives(self, t: str, order: int) -> list[str]:
        """tanh^(k)(z) for k = 0..order, as polynomials in t = tanh z."""
        f = [t]
        if order >= 1:
            f.append(self._new(f"1.0 - {t} * {t}"))
        forms = (
            "-2.0 * {t} * {f1}",
            "{f1} * (4.0 - 6.0 * {f1})",
            "{t} * ({f1} * (24.0 * {f1} - 8.0))",
            "{f1} * (16.0 + {t} * {t} * (120.0 * {t} * {t} - 120.0))",
        )
        for form in forms[: max(0, order - 1)]:
            f.append(self._new(form.format(t=t, f1=f[1])))
        return f

    # Weights and their gradients, once per program.

    def _gather(self, offsets: str) -> str:
        n, m = self._layout.n_packed, self._terms_per_entry
        return f"gather(source, index, coefficient, {offsets}, {n}, {m})"

    def _load_weights(self) -> None:
        layout = self._layout
        if not layout.boundaries:
            for f, (offset,) in enumerate(layout.outputs):
                for i in range(layout.d_in):
                    self._set(f"a_{f}_{i}", self._gather(str(offset + i)))
        for layer, boundary in enumerate(layout.boundaries):
            for b, (block, offset) in enumerate(zip(boundary.neurons, boundary.biases, strict=True)):
                if offset is not None:
                    self._set(f"b_{layer}_{b}", self._gather(f"{offset} + tl.arange(0, {block.padded})"))
        if layout.boundaries:
            for b, (block, offsets) in enumerate(zip(layout.boundaries[0].neurons, layout.inputs, strict=True)):
                for i, offset in enumerate(offsets):
                    self._set(f"a_{b}_{i}", self._gather(f"{offset} + tl.arange(0, {block.padded})"))
                self._powers(b)
        for layer, products in enumerate(layout.products, start=1):
            for n, tile in enumerate(products.tiles):
                rows, columns = products.operands[tile.operand].columns, products.slots[tile.slot].columns
                self._set(f"w_{layer}_{n}", self._gather(_grid(tile.offset, rows, columns, columns, 1)))
        if layout.boundaries:
            for f, offsets in enumerate(layout.outputs):
                for o, offset in enumerate(offsets):
                    size = layout.boundaries[-1].operands[o].padded
                    self._set(f"c_{f}_{o}", self._gather(f"{offset} + tl.arange(0, {size})"))
        for f, offset in enumerate(layout.output_biases):
            if offset is not None:
                self._set(f"d_{f}", self._gather(str(offset)))

    def _powers(self, b: int) -> None:
        """power_c, the factor of tanh^(|c|)(z) in channel c behind the first layer: polynomials in the columns of A."""
        power = [""] * len(self._channels)
        for axis, c in self._channels.units:
            power[c] = f"a_{b}_{axis}"
        for part in self._channels.leading:
            power[part.channel] = self._set(f"p_{b}_{part.channel}", self._monomials(part.monomials, power))
        self._power = getattr(self, "_power", {}) | {b: power}

    def _sums(self) -> list[tuple[str, str, str, int | str]]:
        """(name, shape, kind, offset in the partial gradient) of everything summed over points."""
        layout = self._layout
        result: list[tuple[str, str, str, int | str]] = []
        if not layout.boundaries:
            for f, (offset,) in enumerate(layout.outputs):
                result += [(f"sum_a_{f}_{i}", "BLOCK", "scalar", offset + i) for i in range(layout.d_in)]
        for layer, boundary in enumerate(layout.boundaries):
            for b, (block, offset) in enumerate(zip(boundary.neurons, boundary.biases, strict=True)):
                if offset is not None:
                    result.append((f"sum_b_{layer}_{b}", str(block.padded), "vector", offset))
        if layout.boundaries:
            for b, (block, offsets) in enumerate(zip(layout.boundaries[0].neurons, layout.inputs, strict=True)):
                result += [(f"sum_a_{b}_{i}", str(block.padded), "vector", o) for i, o in enumerate(offsets)]
                leading = [part.channel for part in self._channels.leading]
                result += [(f"sum_p_{b}_{c}", str(block.padded), "power", 0) for c in leading]
        for layer, products in enumerate(layout.products, start=1):
            before, after = layout.boundaries[layer - 1].operands, layout.boundaries[layer].slots
            for n, pair in enumerate(products.pairs):
                rows, columns = before[pair.operand].padded, after[pair.slot].padded
                at = _grid(pair.offset, rows, columns, pair.row_step, pair.column_step)
                result.append((f"sum_w_{layer}_{n}", f"{rows}, {columns}", "tile", at))
        if layout.boundaries:
            for f, offsets in enumerate(layout.outputs):
                for o, offset in enumerate(offsets):
                    size = layout.boundaries[-1].operands[o].padded
                    result.append((f"sum_c_{f}_{o}", str(size), "vector", offset))
        result += [
            (f"sum_d_{f}", "BLOCK", "scalar", offset)
            for f, offset in enumerate(layout.output_biases)
            if offset is not None
        ]
        result += [(f"sum_k_{k}", "BLOCK", "scalar", layout.n_packed + k) for k in range(self._n_unknown)]
        result.append(("sum_squares", "BLOCK", "scalar", layout.n_packed + self._n_unknown))
        return result

    def _clear_sums(self) -> None:
        for name, shape, _, _ in self._sums():
            self._set(name, f"tl.zeros([{shape}], dtype=source.dtype.element_ty)")

    def _store_sums(self) -> None:
        for b in range(len(self._layout.inputs)):
            self._power_adjoint(b)
        for name, shape, kind, offset in self._sums():
            if kind == "scalar":
                self._line(f"tl.store(partial + {offset}, tl.sum({name}, 0))")
            elif kind == "vector":
                self._line(f"tl.store(partial + {offset} + tl.arange(0, {shape}), {name})")
            elif kind == "tile":
                self._line(f"tl.store(partial + {offset}, {name})")

    def _power_adjoint(self, b: int) -> None:
        """From the gradients by power_c to those by the columns of A, whose monomials they are."""
        axis_of = {c: axis for axis, c in self._channels.units}
        for part in self._channels.leading:
            for unit, monomials in part.partials.items():
                slope = self._monomials(monomials, self._power[b])
                self._line(f"sum_a_{b}_{axis_of[unit]} += sum_p_{b}_{part.channel} * {slope}")

    # Forward.

    def _load_points(self, site: int) -> None:
        d = self._layout.d_in
        for i in range(d):
            self._set(f"x{site}_{i}", f"tl.load(points + ({site} * n_total + rows) * {d} + {i})")

    def _forward(self, site: int) -> None:
        layout, n = self._layout, len(self._channels)
        if not layout.boundaries:
            self._linear_network(site)
            return
        for layer, boundary in enumerate(layout.boundaries):
            leaving = self._leaving[layer]
            if layer:
                self._products(site, layer)
                for mixing in boundary.mixings:
                    self._mix_slots(site, layer, mixing.slots, mixing.neurons, mixing.orbit.mixing)
            for b in range(len(boundary.neurons)):
                if layer == 0:
                    self._first_activation(site, b, leaving)
                else:
                    self._activation(site, layer, b, leaving)
            for mixing in boundary.mixings:
                orbit = mixing.orbit
                for c in leaving:
                    h = [f"h{site}_{layer}_{b}_{c}" for b in mixing.neurons]
                    mixed = self._mixed(h, orbit.mixing_after, orbit.sums)
                    for o, value in zip(mixing.operands, mixed, strict=True):
                        self._set(f"o{site}_{layer}_{o}_{c}", value)
        for f in range(layout.d_out):
            for c in self._read:
                operands = range(len(layout.boundaries[-1].operands))
                name = f"o{site}_{len(layout.boundaries) - 1}"
                value = " + ".join(f"tl.sum({name}_{o}_{c} * c_{f}_{o}[None, :], 1)" for o in operands)
                bias = f" + d_{f}" if c == 0 and layout.output_biases[f] is not None else ""
                self._set(f"u{site}_{f}_{c}", value + bias)
        del n

    def _linear_network(self, site: int) -> None:
        units = {c: axis for axis, c in self._channels.units}
        for f in range(self._layout.d_out):
            for c in self._read:
                value = "tl.zeros_like(x0_0)"
                if c == 0:
                    value = " + ".join(f"x{site}_{i} * a_{f}_{i}" for i in range(self._layout.d_in))
                    value += f" + d_{f}" if self._layout.output_biases[f] is not None else ""
                elif c in units:
                    value = f"tl.zeros_like(x0_0) + a_{f}_{units[c]}"
                self._set(f"u{site}_{f}_{c}", value)

    def _panel(self, names: Sequence[str | None]) -> str:
        """A tensor for products from one block, or from two halves."""
        if len(names) == 1:
            assert names[0] is not None
            return names[0]
        first, second = names
        return self._new(f"joined({first}, {second or f'tl.zeros_like({first})'})")

    def _unpanel(self, panel: str, names: Sequence[str | None]) -> None:
        match names:
            case (first,):
                self._set(str(first), panel)
            case (first, None):
                self._line(f"{first}, _ = halves({panel})")
            case (first, second):
                self._line(f"{first}, {second} = halves({panel})")

    def _products(self, site: int, layer: int) -> None:
        products = self._layout.products[layer - 1]
        for c in range(len(self._channels)):
            operands = [
                self._panel([None if o is None else f"o{site}_{layer - 1}_{o}_{c}" for o in panel.blocks])
                for panel in products.operands
            ]
            for s, panel in enumerate(products.slots):
                total = self._new(f"tl.zeros([BLOCK, {panel.columns}], dtype=source.dtype.element_ty)")
                for n, tile in enumerate(products.tiles):
                    if tile.slot == s:
                        total = self._new(f"dot({operands[tile.operand]}, w_{layer}_{n}, {total}, PRECISION)")
                self._unpanel(total, [None if b is None else f"s{site}_{layer}_{b}_{c}" for b in panel.blocks])

    def _mix_slots(
        self, site: int, layer: int, slots: Sequence[int], neurons: Sequence[int], mixing: int
    ) -> None:
        for c in range(len(self._channels)):
            mixed = self._mixed([f"s{site}_{layer}_{s}_{c}" for s in slots], mixing)
            for b, value in zip(neurons, mixed, strict=True):
                self._set(f"z{site}_{layer}_{b}_{c}", value)

    def _mixed(self, values: Sequence[str], mixing: int, sums: Sequence[Sequence[float]] = ()) -> list[str]:
        """Walsh-Hadamard matrices of ``mixing`` rows on the diagonal, or the rows of ``sums``."""
        if sums:
            return [self._combination(row, values) for row in sums]
        values = list(values)
        stride = 1
        while stride < mixing:
            for j in range(len(values)):
                if not j & stride:
                    a, b = values[j], values[j + stride]
                    values[j], values[j + stride] = self._new(f"{a} + {b}"), self._new(f"{a} - {b}")
            stride *= 2
        return values

    def _combination(self, row: Sequence[float], values: Sequence[str]) -> str:
        terms = [value if factor == 1 else f"{factor!r} * {value}" for factor, value in zip(row, values, strict=True) if factor]
        return " + ".join(terms) or f"0.0 * {values[0]}"

    def _first_activation(self, site: int, b: int, leaving: Sequence[int]) -> None:
        bias = self._layout.boundaries[0].biases[b]
        value = " + ".join(f"x{site}_{i}[:, None] * a_{b}_{i}[None, :]" for i in range(self._layout.d_in))
        t = self._set(f"t{site}_0_{b}", f"tanh({value}{f' + b_0_{b}[None, :]' if bias is not None else ''})")
        f = self._derivatives(t, max(channel_order(self._channels.channels[c]) for c in leaving))
        for c in leaving:
            order = channel_order(self._channels.channels[c])
            self._set(f"h{site}_0_{b}_{c}", t if c == 0 else f"{f[order]} * {self._power[b][c]}[None, :]")

    def _activation(self, site: int, layer: int, b: int, leaving: Sequence[int]) -> None:
        z = [f"z{site}_{layer}_{b}_{c}" for c in range(len(self._channels))]
        bias = self._layout.boundaries[layer].biases[b]
        value = z[0] if bias is None else f"{z[0]} + b_{layer}_{b}[None, :]"
        t = self._set(f"t{site}_{layer}_{b}", f"tanh({value})")
        f = self._derivatives(t, max(channel_order(self._channels.channels[c]) for c in leaving))
        for c in leaving:
            terms = [t if c == 0 else f"{f[1]} * {z[c]}"]
            terms += [
                f"{f[part.order]} * {self._monomials(part.monomials, z)}"
                for part in self._channels.nonlinear
                if part.channel == c
            ]
            self._set(f"h{site}_{layer}_{b}_{c}", " + ".join(terms))

    # Residuals.

    def _residuals(self) -> None:
        program = self._program
        assert program is not None
        self._registers: list[str] = []
        for kind in program.inputs:
            match kind:
                case Jet(site, field, channel):
                    value = f"u{site}_{field}_{channel}"
                case Coordinate(site, axis):
                    value = f"x{site}_{axis}"
                case Column(number):
                    value = self._new(f"tl.load(columns + rows * {program.n_columns} + {number})")
                case Coefficient(number):
                    value = self._new(f"tl.load(unknown + {number}) + tl.zeros_like(x0_0)")
                case Adjoint(residual):
                    value = f"bar_r{residual}"
            self._registers.append(value)
        self._run(0, program.n_forward)
        for i, register in enumerate(program.residuals):
            self._set(f"r{i}", self._registers[register])
            if self._mode is Mode.LOSS:
                self._line(f"sum_squares += tl.where(inside, r{i} * r{i}, 0.0)")

    def _run(self, start: int, stop: int) -> None:
        assert self._program is not None
        for op, a, b, value in self._program.instructions[start:stop]:
            arguments = [self._registers[register] for register in (a, b) if register >= 0]
            self._registers.append(self._new(expression(op, arguments, value, like="x0_0")))

    def _adjoint(self, seeds: Sequence[str]) -> None:
        """Adjoints of the outputs' jets and of the unknown coefficients, from those of the residuals."""
        program = self._program
        assert program is not None
        for i, seed in enumerate(seeds):
            self._set(f"bar_r{i}", f"tl.where(inside, {seed}, 0.0)")
        del self._registers[len(program.inputs) + program.n_forward :]
        self._run(program.n_forward, len(program.instructions))
        self._unknown_bar: dict[int, str] = {}
        present: set[str] = set()
        for register, result in program.gradients:
            kind, value = program.inputs[register], self._registers[result]
            if isinstance(kind, Jet):
                name = f"bar_u{kind.site}_{kind.field}_{kind.channel}"
                self._set(name, f"tl.where(inside, {value}, 0.0)")
                present.add(name)
            elif isinstance(kind, Coefficient):
                self._unknown_bar[kind.number] = value
                if self._mode is Mode.LOSS:
                    self._line(f"sum_k_{kind.number} += tl.where(inside, {value}, 0.0)")
        self._present = present

    # Backward.

    def _backward(self, site: int) -> None:
        """From bar_u to the sums of all gradients, layer by layer."""
        layout = self._layout
        if not layout.boundaries:
            self._linear_network_bar(site)
            return
        last = len(layout.boundaries) - 1
        for f in range(layout.d_out):
            for c in self._read:
                u_bar = f"bar_u{site}_{f}_{c}"
                if u_bar not in self._present:
                    continue
                if c == 0 and layout.output_biases[f] is not None:
                    self._add(f"sum_d_{f}", u_bar)
                for o in range(len(layout.boundaries[-1].operands)):
                    self._gradient_c(f, o, f"{u_bar}[:, None] * o{site}_{last}_{o}_{c}")
        for o in range(len(layout.boundaries[-1].operands)):
            for c in self._read:
                terms = [
                    f"bar_u{site}_{f}_{c}[:, None] * c_{f}_{o}[None, :]"
                    for f in range(layout.d_out)
                    if f"bar_u{site}_{f}_{c}" in self._present
                ]
                if terms:
                    self._set(f"bar_o{site}_{last}_{o}_{c}", " + ".join(terms))
        arriving = [c for c in self._read if any(f"bar_u{site}_{f}_{c}" in self._present for f in range(layout.d_out))]
        for layer in range(last, -1, -1):
            boundary = layout.boundaries[layer]
            if not arriving:
                return
            for mixing in boundary.mixings:
                for c in arriving:
                    bar = [f"bar_o{site}_{layer}_{o}_{c}" for o in mixing.operands]
                    orbit = mixing.orbit
                    transposed = tuple(zip(*orbit.sums, strict=True))
                    for b, value in zip(mixing.neurons, self._mixed(bar, orbit.mixing_after, transposed), strict=True):
                        self._set(f"bar_h{site}_{layer}_{b}_{c}", value)
            for b in range(len(boundary.neurons)):
                if layer == 0:
                    self._first_adjoint(site, b, arriving)
                else:
                    self._activation_adjoint(site, layer, b, arriving)
            if layer == 0:
                break
            everything = range(len(self._channels))
            for mixing in boundary.mixings:
                for c in everything:
                    bar = [f"bar_z{site}_{layer}_{b}_{c}" for b in mixing.neurons]
                    for s, value in zip(mixing.slots, self._mixed(bar, mixing.orbit.mixing), strict=True):
                        self._set(f"bar_s{site}_{layer}_{s}_{c}", value)
            self._products_bar(site, layer)
            arriving = list(everything)

    def _products_bar(self, site: int, layer: int) -> None:
        products = self._layout.products[layer - 1]
        for n, pair in enumerate(products.pairs):
            for c in range(len(self._channels)):
                x, y = f"o{site}_{layer - 1}_{pair.operand}_{c}", f"bar_s{site}_{layer}_{pair.slot}_{c}"
                self._gradient_w(layer, n, x, y)
        for c in range(len(self._channels)):
            slots = [
                self._panel([None if b is None else f"bar_s{site}_{layer}_{b}_{c}" for b in panel.blocks])
                for panel in products.slots
            ]
            for o, panel in enumerate(products.operands):
                total = self._new(f"tl.zeros([BLOCK, {panel.columns}], dtype=source.dtype.element_ty)")
                for n, tile in enumerate(products.tiles):
                    if tile.operand == o:
                        total = self._new(f"dot({slots[tile.slot]}, tl.trans(w_{layer}_{n}), {total}, PRECISION)")
                self._unpanel(total, [None if b is None else f"bar_o{site}_{layer - 1}_{b}_{c}" for b in panel.blocks])

    def _activation_adjoint(self, site: int, layer: int, b: int, arriving: Sequence[int]) -> None:
        n = len(self._channels)
        z = [f"z{site}_{layer}_{b}_{c}" for c in range(n)]
        h_bar = {c: f"bar_h{site}_{layer}_{b}_{c}" for c in arriving}
        f = self._derivatives(f"t{site}_{layer}_{b}", 1 + max(channel_order(self._channels.channels[c]) for c in arriving))
        out: list[list[str]] = [[f"{f[1]} * {h_bar[c]}"] if c in h_bar else [] for c in range(n)]
        out[0] += [f"{f[2]} * {z[c]} * {h_bar[c]}" for c in arriving if c > 0]
        for part in self._channels.nonlinear:
            if part.channel not in h_bar:
                continue
            c_bar = h_bar[part.channel]
            out[0].append(f"{f[part.order + 1]} * {c_bar} * {self._monomials(part.monomials, z)}")
            common = self._new(f"{f[part.order]} * {c_bar}")
            for target, monomials in part.partials.items():
                out[target].append(f"{common} * {self._monomials(monomials, z)}")
        for c in range(n):
            self._set(f"bar_z{site}_{layer}_{b}_{c}", " + ".join(out[c]) or f"tl.zeros_like({z[0]})")
        if self._layout.boundaries[layer].biases[b] is not None:
            self._gradient_b(layer, b, f"bar_z{site}_{layer}_{b}_0")

    def _first_adjoint(self, site: int, b: int, arriving: Sequence[int]) -> None:
        orders = {c: channel_order(self._channels.channels[c]) for c in arriving}
        f = self._derivatives(f"t{site}_0_{b}", 1 + max(orders.values()))
        terms = []
        for c in arriving:
            h_bar, k = f"bar_h{site}_0_{b}_{c}", orders[c]
            power = f" * {self._power[b][c]}[None, :]" if c else ""
            terms.append(f"{h_bar} * {f[k + 1]}{power}")
        z_bar = self._new(" + ".join(terms))
        units = {c: axis for axis, c in self._channels.units}
        by_axis: dict[int, list[str]] = {i: [f"{z_bar} * x{site}_{i}[:, None]"] for i in range(self._layout.d_in)}
        for c in arriving:
            value = f"bar_h{site}_0_{b}_{c} * {f[orders[c]]}"
            if c in units:
                by_axis[units[c]].append(value)
            elif c:
                self._gradient_p(b, c, value)
        if self._layout.boundaries[0].biases[b] is not None:
            self._gradient_b(0, b, z_bar)
        for i, values in by_axis.items():
            self._gradient_a(b, i, " + ".join(values))
        if self._need_x:
            for i in range(self._layout.d_in):
                name, value = f"bar_x_{i}", f"tl.sum({z_bar} * a_{b}_{i}[None, :], 1)"
                self._set(name, value if b == 0 else f"{name} + {value}")
            if b == len(self._layout.boundaries[0].neurons) - 1:
                self._store_x_bar()

    def _linear_network_bar(self, site: int) -> None:
        units = {c: axis for axis, c in self._channels.units}
        d = self._layout.d_in
        for f in range(self._layout.d_out):
            for c in self._read:
                u_bar = f"bar_u{site}_{f}_{c}"
                if u_bar not in self._present:
                    continue
                if c == 0:
                    for i in range(d):
                        self._add(f"sum_a_{f}_{i}", f"{u_bar} * x{site}_{i}")
                    if self._layout.output_biases[f] is not None:
                        self._add(f"sum_d_{f}", u_bar)
                elif c in units:
                    self._add(f"sum_a_{f}_{units[c]}", u_bar)
        if self._need_x:
            for i in range(d):
                fields = [f"bar_u{site}_{f}_0 * a_{f}_{i}" for f in range(self._layout.d_out)]
                self._set(f"bar_x_{i}", " + ".join(fields))
            self._store_x_bar()

    # Where gradients go: to the sums, or, for Jacobians, point by point into a row of their own.

    def _add(self, name: str, value: str) -> None:
        if self._mode is Mode.JACOBIAN:
            self._row_sums.setdefault(name, []).append(value)
        else:
            self._line(f"{name} += {value}")

    def _gradient_b(self, layer: int, b: int, value: str) -> None:
        self._over_points(f"sum_b_{layer}_{b}", value)

    def _gradient_a(self, b: int, axis: int, value: str) -> None:
        self._over_points(f"sum_a_{b}_{axis}", value)

    def _gradient_p(self, b: int, c: int, value: str) -> None:
        self._over_points(f"sum_p_{b}_{c}", value)

    def _gradient_c(self, f: int, o: int, value: str) -> None:
        self._over_points(f"sum_c_{f}_{o}", value)

    def _over_points(self, name: str, value: str) -> None:
        if self._mode is Mode.JACOBIAN:
            self._row_sums.setdefault(name, []).append(value)
        else:
            self._line(f"{name} += tl.sum({value}, 0)")

    def _gradient_w(self, layer: int, n: int, x: str, y: str) -> None:
        name = f"sum_w_{layer}_{n}"
        if self._mode is Mode.JACOBIAN:
            self._row_sums.setdefault(name, []).append(f"{x}[:, :, None] * {y}[:, None, :]")
        else:
            self._set(name, f"dot(tl.trans({x}), {y}, {name}, PRECISION)")

    def _point_gradients(self, i: int) -> None:
        """Row of residual i at every point: the gradients of packed, then of the unknown coefficients."""
        assert self._program is not None
        self._adjoint([f"tl.full([BLOCK], {float(j == i)!r}, source.dtype.element_ty)" for j in range(self._n_residuals)])
        self._row_sums: dict[str, list[str]] = {}
        for site in range(self._n_sites):
            self._backward(site)
        for number, value in self._unknown_bar.items():
            self._row_sums[f"sum_k_{number}"] = [value]
        for b in range(len(self._layout.inputs)):
            self._point_power_adjoint(b)
        width = self._layout.n_packed + self._n_unknown
        self._line(f"tl.store(residuals + rows * {self._n_residuals} + {i}, r{i}, mask=inside)")
        row = self._new(f"(rows * {self._n_residuals} + {i}) * {width}")
        for name, shape, kind, offset in self._sums():
            if name not in self._row_sums or kind == "power":
                continue
            value = " + ".join(self._row_sums[name])
            if kind == "scalar":
                self._line(f"tl.store(jacobian + {row} + {offset}, {value}, mask=inside)")
            elif kind == "vector":
                at = f"{row}[:, None] + {offset} + tl.arange(0, {shape})[None, :]"
                self._line(f"tl.store(jacobian + {at}, {value}, mask=inside[:, None])")
            else:
                at = f"{row}[:, None, None] + ({offset})[None, :, :]"
                self._line(f"tl.store(jacobian + {at}, {value}, mask=inside[:, None, None])")

    def _point_power_adjoint(self, b: int) -> None:
        axis_of = {c: axis for axis, c in self._channels.units}
        for part in self._channels.leading:
            values = self._row_sums.get(f"sum_p_{b}_{part.channel}")
            if not values:
                continue
            total = self._new(" + ".join(values))
            for unit, monomials in part.partials.items():
                slope = self._monomials(monomials, [f"{power}[None, :]" if power else "" for power in self._power[b]])
                self._row_sums.setdefault(f"sum_a_{b}_{axis_of[unit]}", []).append(f"{total} * {slope}")

    # Jets.

    def _jet_row(self) -> str:
        return f"rows * {len(self._channels) * self._layout.d_out}"

    def _store_jets(self) -> None:
        fields = self._layout.d_out
        for f in range(fields):
            for c in range(len(self._channels)):
                self._line(f"tl.store(jets + {self._jet_row()} + {c * fields + f}, u0_{f}_{c}, mask=inside)")

    def _load_jets_bar(self) -> None:
        fields, self._present = self._layout.d_out, set()
        for f in range(fields):
            for c in range(len(self._channels)):
                name = f"bar_u0_{f}_{c}"
                self._set(name, f"tl.load(jets + {self._jet_row()} + {c * fields + f}, mask=inside, other=0.0)")
                self._present.add(name)

    def _store_x_bar(self) -> None:
        d = self._layout.d_in
        for i in range(d):
            self._line(f"tl.store(x_bar + rows * {d} + {i}, bar_x_{i}, mask=inside)")
