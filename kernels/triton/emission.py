"""Triton source for what one program does with its points: forward, residual, adjoint, gradients of the weights.

One function per group of loss terms with the same residual (or per jets operation). All loops over blocks and channels
are unrolled here; what remains in Triton is one loop over tiles of points. Names: x{site}_{axis} coordinates,
z/t{site}_{layer}_{block}_{channel} before and behind tanh, h and o the operands of the next layer without and with
``pre``, y those as they go into a product, s its slots, u{site}_{field}_{channel} outputs; the adjoint of a has the
name a with ``bar_`` in front.

Compiled for sm_89 and dropped: gradients as y^T bar_s (664 spilled bytes became 1680: dense, 32 neurons, 8 points, one
warp); products of more than 64 rows in a thread block of few warps (kilobytes of spills); the blocks of an orbit as
tensors of their own (150 s in Triton's layout passes for four blocks); Walsh-Hadamard transforms stage by stage; blocks
of eight in pairs, padded with zeros to 16 terms; maxnreg=255 up to width 32, which takes spills from some kernels and
gives them to others; operands computed again from tanh for the way back, behind a barrier for the compiler (2,168
spilled bytes in place of 1,856 at width 64, 2,368 in place of 184 in the network of Laplace's problem); layers of 64 as
blocks of 32 (four times the tensor-core products, since Triton gives all warps to their rows); gradients of wide tiles
added to memory instead of registers (4,480 bytes in place of 7,680 at width 128, but 4,800 in place of none at width
64).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..language.channels import ChannelSet
from ..language.program import Adjoint, Coefficient, Column, Coordinate, Jet, Program
from .adjoint import AdjointPass
from .forward import forward, load_points
from .layout import Layout
from .operations import expression
from .sums import Sums, load_weights
from .writer import USUAL, Mode, Scheme, Writer

__all__ = ["COMMON_ARGUMENTS", "CONSTANTS", "EXTRA_ARGUMENTS", "GroupSource", "Mode"]

# Pointers that a mode reads or writes besides the common ones.
EXTRA_ARGUMENTS = {
    Mode.JETS: ("jets",),
    Mode.JETS_BACKWARD: ("jets", "x_bar"),
    Mode.LOSS: (),
    Mode.JACOBIAN: ("residuals", "jacobian"),
}
COMMON_ARGUMENTS = (
    "source", "index", "coefficient", "tiles", "unknown", "points", "columns", "n_total", "begin", "end", "factor",
    "partial",
)  # fmt: skip
# BLOCK: points of a tile; LANES: rows in which sums over points wait for their end.
CONSTANTS = ("BLOCK", "LANES", "PRECISION")


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
        scheme: how products are written.
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
        scheme: Scheme = USUAL,
    ) -> None:
        self._writer = Writer(layout, channels, mode, program, scheme)
        self._sums = Sums(self._writer, n_unknown)
        self._name, self._layout, self._mode, self._program = name, layout, mode, program
        self._terms_per_entry, self._need_x = terms_per_entry, need_x

    def text(self) -> str:
        writer = self._writer
        sites = range(1 if self._program is None else self._program.n_sites)
        load_weights(writer, self._terms_per_entry)
        if self._mode.has_sums:
            self._sums.clear()
        # Not `range`: the interpreter cannot make a number of a loaded bound with numpy 2.4.
        writer.line("at = begin")
        writer.line("while at < end:")
        writer.depth += 1
        writer.line("rows = at + tl.arange(0, BLOCK)")
        writer.line("inside = rows < end")
        writer.line("rows = tl.minimum(rows, end - 1).to(tl.int64)")
        for site in sites:
            load_points(writer, site)
            forward(writer, site)
        match self._mode:
            case Mode.JETS:
                self._store_jets()
            case Mode.JETS_BACKWARD:
                present = self._load_jets_bar()
                AdjointPass(writer, self._sums, 0, self._need_x).write(present)
            case Mode.LOSS:
                self._residuals()
                present = self._adjoint([f"factor * r{i}" for i in range(self._n_residuals)])
                for site in sites:
                    AdjointPass(writer, self._sums, site).write(present)
            case Mode.JACOBIAN:
                self._residuals()
                for i in range(self._n_residuals):
                    seeds = [float(j == i) for j in range(self._n_residuals)]
                    self._sums.clear_rows()
                    present = self._adjoint([f"tl.full([BLOCK], {one!r}, source.dtype.element_ty)" for one in seeds])
                    for site in sites:
                        AdjointPass(writer, self._sums, site).write(present)
                    self._sums.store_rows(i, self._n_residuals)
        writer.line("at += BLOCK")
        writer.depth -= 1
        if self._mode.has_sums:
            self._sums.store()
        arguments = ", ".join((*COMMON_ARGUMENTS, *EXTRA_ARGUMENTS[self._mode]))
        constants = ", ".join(f"{name}: tl.constexpr" for name in CONSTANTS)
        return "\n".join(["@triton.jit", f"def {self._name}({arguments}, {constants}):", *writer.lines, ""])

    # Residuals.

    @property
    def _n_residuals(self) -> int:
        assert self._program is not None
        return self._program.n_residuals

    def _residuals(self) -> None:
        program, writer = self._program, self._writer
        assert program is not None
        self._registers: list[str] = []
        for kind in program.inputs:
            match kind:
                case Jet(site, field, channel):
                    value = f"u{site}_{field}_{channel}"
                case Coordinate(site, axis):
                    value = f"x{site}_{axis}"
                case Column(number):
                    value = writer.new(f"tl.load(columns + rows * {program.n_columns} + {number})")
                case Coefficient(number):
                    value = writer.new(f"tl.load(unknown + {number}) + tl.zeros_like(x0_0)")
                case Adjoint(residual):
                    value = f"bar_r{residual}"
            self._registers.append(value)
        self._run(0, program.n_forward)
        for i, register in enumerate(program.residuals):
            writer.set(f"r{i}", self._registers[register])
            if self._mode is Mode.LOSS:
                self._sums.add("sum_squares", f"tl.where(inside, r{i} * r{i}, 0.0)")

    def _run(self, start: int, stop: int) -> None:
        assert self._program is not None
        for op, a, b, value in self._program.instructions[start:stop]:
            arguments = [self._registers[register] for register in (a, b) if register >= 0]
            self._registers.append(self._writer.new(expression(op, arguments, value, like="x0_0")))

    def _adjoint(self, seeds: Sequence[str]) -> set[str]:
        """Adjoints of the outputs' jets (their names) and of the unknown coefficients, from those of the residuals."""
        program, writer = self._program, self._writer
        assert program is not None
        for i, seed in enumerate(seeds):
            writer.set(f"bar_r{i}", f"tl.where(inside, {seed}, 0.0)")
        del self._registers[len(program.inputs) + program.n_forward :]
        self._run(program.n_forward, len(program.instructions))
        present: set[str] = set()
        for register, result in program.gradients:
            kind, value = program.inputs[register], self._registers[result]
            if isinstance(kind, Jet):
                name = f"bar_u{kind.site}_{kind.field}_{kind.channel}"
                present.add(writer.set(name, f"tl.where(inside, {value}, 0.0)"))
            elif isinstance(kind, Coefficient):
                self._sums.add(f"sum_k_{kind.number}", f"tl.where(inside, {value}, 0.0)")
        return present

    # Jets.

    def _jet_row(self) -> str:
        return f"rows * {len(self._writer.channels) * self._layout.d_out}"

    def _store_jets(self) -> None:
        fields = self._layout.d_out
        for f in range(fields):
            for c in range(len(self._writer.channels)):
                at = f"{self._jet_row()} + {c * fields + f}"
                self._writer.line(f"tl.store(jets + {at}, u0_{f}_{c}, mask=inside)")

    def _load_jets_bar(self) -> set[str]:
        fields, present = self._layout.d_out, set()
        for f in range(fields):
            for c in range(len(self._writer.channels)):
                value = f"tl.load(jets + {self._jet_row()} + {c * fields + f}, mask=inside, other=0.0)"
                present.add(self._writer.set(f"bar_u0_{f}_{c}", value))
        return present
