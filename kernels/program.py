"""The residual of a PDE (or of a boundary condition) and its adjoint, as one short straight-line program.

The front end traces the user's Python function once and emits this; every backend runs it: the reference prints it as
torch code, other backends print or interpret it in their own way. Registers are numbered: first the inputs, then one
per instruction. The first ``n_forward`` instructions compute the residuals; the rest, which may read any register and
the residuals' adjoints, compute the adjoints of the differentiable inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .channels import ChannelSet
from .errors import InputError

UNARY = ("neg", "reciprocal", "sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "abs", "sign")
BINARY = ("add", "mul", "div", "pow", "max", "min", "gt")


class Jet(NamedTuple):
    """Input: one derivative channel of one field at one of the term's sites. Differentiable."""

    site: int
    field: int
    channel: int


class Coordinate(NamedTuple):
    """Input: a coordinate of the point at one of the term's sites."""

    site: int
    axis: int


class Column(NamedTuple):
    """Input: a given number per point (target, normal, or a source term that depends on the coordinates alone)."""

    number: int


class Coefficient(NamedTuple):
    """Input: an unknown coefficient of the PDE, the same for all points. Differentiable."""

    number: int


class Adjoint(NamedTuple):
    """Input of the second part: dL/dr_i."""

    residual: int


Input = Jet | Coordinate | Column | Coefficient | Adjoint


class Instruction(NamedTuple):
    """registers[next] = op(registers[a], registers[b]); "const" takes ``value`` alone, unary ops no ``b``."""

    op: str
    a: int = -1
    b: int = -1
    value: float = 0.0


@dataclass(frozen=True)
class Program:
    """r = residuals of one point, and gradients = sum_i (dL/dr_i) dr_i/d(input).

    Args:
        channels: the derivative channels of every field that a backend has to supply.
        n_sites: points per residual: 1, or 2 for conditions that compare two points (periodic).
        n_columns: given numbers per point.
        inputs: meaning of registers 0, 1, ...
        instructions: see the module's text.
        n_forward: how many of them compute the residuals.
        residuals: their registers.
        gradients: (input register, register of its adjoint) for every Jet and Coefficient that matters.
    """

    channels: ChannelSet
    n_sites: int
    n_columns: int
    inputs: tuple[Input, ...]
    instructions: tuple[Instruction, ...]
    n_forward: int
    residuals: tuple[int, ...]
    gradients: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        start = len(self.inputs)
        for position, (op, a, b, _) in enumerate(self.instructions):
            arity = 0 if op == "const" else 1 if op in UNARY else 2 if op in BINARY else -1
            if arity < 0:
                raise InputError(f"instructions: unknown operation {op!r}")
            if any(not 0 <= register < start + position for register in (a, b)[:arity]):
                raise InputError(f"instructions[{position}]: {op} reads a register that is not computed yet")

    @property
    def n_residuals(self) -> int:
        return len(self.residuals)


def scaled_by_column(program: Program) -> Program:
    """The program of s r, s one more column behind the others, and of its gradients: dL/dr = s dL/d(s r)."""
    n_inputs, m, forward = len(program.inputs), program.n_residuals, program.n_forward
    scale, first_product = n_inputs, n_inputs + 1 + forward
    adjoints = [register for register, kind in enumerate(program.inputs) if isinstance(kind, Adjoint)]
    scaled = {register: first_product + m + k for k, register in enumerate(adjoints)}

    def moved(register: int) -> int:
        """Where a register of the old program is in the new one, its adjoints by the scaled ones."""
        if register < n_inputs:
            return scaled.get(register, register)
        return register + 1 + (0 if register < n_inputs + forward else m + len(adjoints))

    def instruction(old: Instruction) -> Instruction:
        return old._replace(a=old.a if old.a < 0 else moved(old.a), b=old.b if old.b < 0 else moved(old.b))

    return Program(
        program.channels,
        program.n_sites,
        program.n_columns + 1,
        (*program.inputs, Column(program.n_columns)),
        (
            *map(instruction, program.instructions[:forward]),
            *(Instruction("mul", scale, moved(register)) for register in program.residuals),
            *(Instruction("mul", scale, register) for register in adjoints),
            *map(instruction, program.instructions[forward:]),
        ),
        forward + m,
        tuple(first_product + i for i in range(m)),
        tuple((register, moved(result)) for register, result in program.gradients),
    )
