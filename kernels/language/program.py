"""The residual of a PDE (or of a boundary condition) and its adjoint, as one short straight-line program.

The front end traces the user's Python function once and emits this; every backend runs it: the reference prints it as
torch code, other backends print or interpret it in their own way. Registers are numbered: first the inputs, then one
per instruction. The first ``n_forward`` instructions compute the residuals; the rest, which may read any register and
the residuals' adjoints, compute the adjoints of the differentiable inputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property, partial, reduce
from typing import Any, NamedTuple

from ..errors import InputError
from .channels import ChannelSet

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


def arity(op: str) -> int:
    """How many registers an operation reads.

    Raises:
        InputError: an unknown operation.
    """
    found = 0 if op == "const" else 1 if op in UNARY else 2 if op in BINARY else -1
    if found < 0:
        raise InputError(f"instructions: unknown operation {op!r}")
    return found


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
            if any(not 0 <= register < start + position for register in (a, b)[: arity(op)]):
                raise InputError(f"instructions[{position}]: {op} reads a register that is not computed yet")

    @property
    def n_residuals(self) -> int:
        return len(self.residuals)

    @cached_property
    def n_fields(self) -> int:
        """How many fields a network must have: one more than the highest that is read."""
        return max((kind.field + 1 for kind in self.inputs if isinstance(kind, Jet)), default=0)

    @cached_property
    def n_coefficients(self) -> int:
        """How many unknown coefficients there must be: one more than the highest that is read."""
        return max((kind.number + 1 for kind in self.inputs if isinstance(kind, Coefficient)), default=0)

    def digest(self) -> str:
        """Of all that it says, the same in every process."""
        return hashlib.sha256(json.dumps(_plain(self)).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Tuples with the names of their classes, floats bit by bit."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [type(value).__name__, *map(_plain, value)]
    if is_dataclass(value):
        return [type(value).__name__, *(_plain(getattr(value, part.name)) for part in fields(value))]
    return value


def linear_in_jets(program: Program) -> tuple[Program, tuple[tuple[int, int], ...]]:
    """The program of sum_j s_ij jet_j, i = 1, ..., n_residuals: how a change of the fields changes the residuals.

    Returns:
        The program, whose columns are the slopes s_ij = dr_i/djet_j alone, and (i, position in ``program.gradients``)
        for each of them.
    """
    jets = [n for n, (register, _) in enumerate(program.gradients) if isinstance(program.inputs[register], Jet)]
    m = program.n_residuals
    slopes = tuple((i, n) for i in range(m) for n in jets)
    inputs = (
        *(program.inputs[program.gradients[n][0]] for n in jets),
        *map(Column, range(len(slopes))),
        *map(Adjoint, range(m)),
    )
    instructions: list[Instruction] = []

    def emit(op: str, a: int = -1, b: int = -1) -> int:
        instructions.append(Instruction(op, a, b))
        return len(inputs) + len(instructions) - 1

    def dot(pairs: Sequence[tuple[int, int]]) -> int:
        products = [emit("mul", a, b) for a, b in pairs] or [emit("const")]
        return reduce(partial(emit, "add"), products)

    column = {pair: len(jets) + k for k, pair in enumerate(slopes)}
    residuals = tuple(dot([(k, column[i, n]) for k, n in enumerate(jets)]) for i in range(m))
    n_forward, adjoint = len(instructions), len(jets) + len(slopes)
    gradients = tuple((k, dot([(adjoint + i, column[i, n]) for i in range(m)])) for k, n in enumerate(jets))
    made = replace(
        program, n_columns=len(slopes), inputs=inputs, instructions=tuple(instructions), n_forward=n_forward,
        residuals=residuals, gradients=gradients,
    )  # fmt: skip
    return made, slopes


def scaled_by_column(program: Program) -> Program:
    """The program of s r, s one more column behind the others, and of its gradients: dL/dr = s dL/d(s r)."""
    column = len(program.inputs)
    wider = replace(program, n_columns=program.n_columns + 1)
    return _rewritten(wider, (Column(program.n_columns),), (), {}, [column] * program.n_residuals, {})


def in_units(program: Program, residuals: Sequence[float], coefficients: Sequence[float] = ()) -> Program:
    """The program of f_i r_i with unknown coefficients u_k z_k, and of its gradients for jets and z.

    Args:
        residuals: f, one per residual.
        coefficients: u, one per unknown coefficient; () is 1 each.
    """
    start = len(program.inputs)
    prelude, meant, slopes = [Instruction("const", value=factor) for factor in residuals], {}, {}
    for register, kind in enumerate(program.inputs):
        if isinstance(kind, Coefficient) and coefficients and coefficients[kind.number] != 1:
            slopes[register] = start + len(prelude)
            meant[register] = slopes[register] + 1
            prelude += [
                Instruction("const", value=coefficients[kind.number]),
                Instruction("mul", slopes[register], register),
            ]
    return _rewritten(program, (), tuple(prelude), meant, [start + i for i in range(len(residuals))], slopes)


def _rewritten(
    program: Program,
    inputs: tuple[Input, ...],
    prelude: tuple[Instruction, ...],
    meant: Mapping[int, int],
    scales: Sequence[int],
    slopes: Mapping[int, int],
) -> Program:
    """Residuals times other registers, inputs read from other registers.

    Args:
        inputs, prelude: behind the program's own inputs, before its instructions; registers count in that order.
        meant: registers of the prelude that take the place of inputs.
        scales: per residual, the register of its factor.
        slopes: per input that has its place taken, the register of that one's derivative by it.
    """
    n_inputs, m, forward = len(program.inputs), program.n_residuals, program.n_forward
    ahead = len(inputs) + len(prelude)
    first_product = n_inputs + ahead + forward
    adjoints = [(register, kind) for register, kind in enumerate(program.inputs) if isinstance(kind, Adjoint)]
    meant = {**meant, **{register: first_product + m + k for k, (register, _) in enumerate(adjoints)}}
    behind = first_product + m + len(adjoints) + len(program.instructions) - forward

    def moved(register: int) -> int:
        """Where what a register of the old program holds is in the new one."""
        if register < n_inputs:
            return meant.get(register, register)
        return register + ahead + (0 if register < n_inputs + forward else m + len(adjoints))

    def instruction(old: Instruction) -> Instruction:
        return old._replace(a=old.a if old.a < 0 else moved(old.a), b=old.b if old.b < 0 else moved(old.b))

    chained = [(register, moved(result)) for register, result in program.gradients if register in slopes]
    last = {register: behind + k for k, (register, _) in enumerate(chained)}
    return replace(
        program,
        inputs=(*program.inputs, *inputs),
        instructions=(
            *prelude,
            *map(instruction, program.instructions[:forward]),
            *(
                Instruction("mul", scale, moved(register))
                for scale, register in zip(scales, program.residuals, strict=True)
            ),
            *(Instruction("mul", scales[kind.residual], register) for register, kind in adjoints),
            *map(instruction, program.instructions[forward:]),
            *(Instruction("mul", slopes[register], result) for register, result in chained),
        ),
        n_forward=len(prelude) + forward + m,
        residuals=tuple(first_product + i for i in range(m)),
        gradients=tuple((register, last.get(register, moved(result))) for register, result in program.gradients),
    )
