"""Gradients that are notes of derivatives, as one residual program: one fused pass instead of two.

torch's own formulas have led back to the derivatives J_c, and give for each of them what it is to be multiplied by,
g_c, as notes of these very derivatives. So the gradient for theta is that of sum_n sum_c <g_c, J_c> with g held fixed,
and a program that computes g from J where others compute adjoints of residuals is all it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..kernels.contract import Term
from ..kernels.language.channels import ChannelSet
from ..kernels.language.program import Adjoint, Coefficient, Column, Input, Instruction, Jet, Program
from .noted_laplacians import Leaf, Step, Steps, with_laplacians
from .notes import Call, ConstantNote, GivenNote, JetNote, Note, below, numbers

# Programs of more instructions are left to torch's operations, which take memory for one after the other.
_MOST = 1000


class _Emitter:
    def __init__(self, call: Call) -> None:
        self.call, self.n_points = call, call.n_points
        # With their types: a column and a coefficient of one number are equal tuples.
        self.inputs: dict[tuple[type, Any], int] = {}
        self.steps: dict[Step, int] = {}
        # What columns and coefficients of the program are.
        self.columns: list[Tensor] = []
        self.shared: list[Tensor] = []
        self._registers: dict[Any, int] = {}

    def input(self, meaning: Any) -> int:
        return self.inputs.setdefault((type(meaning), meaning), -1 - len(self.inputs))

    def jet(self, number: int) -> int:
        field, channel = self.call.asked[number]
        return self.input(Leaf(field, self.call.channels.channels[channel]))

    def add(self, op: str, *operands: int) -> int:
        return self.steps.setdefault(Step(op, operands), len(self.steps))

    def number(self, value: float) -> int:
        return self.steps.setdefault(Step("const", (), float(value)), len(self.steps))

    def of(self, item: Any) -> int:
        """The register of a note, a tensor or a number."""
        if isinstance(item, Note):
            known = self._registers
            if item not in known:
                for own in below(item, lambda note: note not in known):
                    known[own] = self._computed(own)
            return known[item]
        return self._given(item) if isinstance(item, Tensor) else self.number(item)

    def _computed(self, note: Note) -> int:
        if self.call not in note.calls:
            return self._given(numbers(note))
        if isinstance(note, JetNote):
            return self.jet(note.number)
        if isinstance(note, ConstantNote):
            return self.number(note.number)
        if isinstance(note, GivenNote):
            return self._given(numbers(note))
        return self.by_rule(note)

    def by_rule(self, note: Note) -> int:
        register: int = note.rule(self, *note.args, **note.options)
        return register

    def _given(self, tensor: Tensor) -> int:
        if id(tensor) not in self._registers:
            kind, held = (Column, self.columns) if tensor.dim() else (Coefficient, self.shared)
            self._registers[id(tensor)] = self.input(kind(len(held)))
            held.append(tensor)
        return self._registers[id(tensor)]


def gradient(
    call: Call, cotangents: Mapping[int, Note | Tensor], need_x: bool = False, others: Sequence[Note] = ()
) -> tuple[Tensor | None, Tensor | None]:
    """For theta (P,) and, if asked, the points (N, d): of the sum of cotangents times derivatives.

    Their numbers are not needed for it. None where they are.

    What was made of the derivatives and has one number, as a loss, is known from then on, and so are ``others``.

    Args:
        cotangents: by number of the derivative, (N,).
        need_x: asks for the points' gradient.
        others: of this call alone, and whose numbers are wanted, too.
    """
    to, sums = _Emitter(call), call.open_sums()
    # A residual for its adjoint, which is 1 at points, and 0 where kernels fill up their vectors.
    to.number(1.0)
    outputs = tuple(map(to.of, others))
    n_forward = len(to.steps)
    one = to.input(Adjoint(0))
    by_input: dict[int, int] = {}
    for number, cotangent in cotangents.items():
        jet, own = to.jet(number), to.of(cotangent)
        by_input[jet] = to.add("add", by_input[jet], own) if jet in by_input else own
    gradients = [(own, to.add("mul", one, value)) for own, value in by_input.items()]
    # The derivative by a coefficient is a sum, over the points alone.
    summed = list(map(to.by_rule, sums))
    first = len(to.shared)
    gradients += [(to.input(Coefficient(first + k)), own) for k, own in enumerate(summed)]
    if len(to.steps) > _MOST:
        return None, None
    steps = Steps(tuple(to.inputs), tuple(to.steps), tuple(gradients), outputs, n_forward)
    program = program_of(call.plan.d_in, steps)
    theta, n = call.theta, call.n_points
    columns = _side_by_side(to.columns) if to.columns else theta.new_empty(n, 0)
    coefficients = theta.new_zeros(len(sums))
    if to.shared:
        coefficients = torch.cat([torch.stack(to.shared), coefficients])
    term = Term("derivatives", program, call.x[None], columns)
    ones = _ones(n, 1 + len(others), theta.dtype, theta.device)
    found = call.engine.residuals_backward(call.plan, theta, coefficients, term, ones, need_x, bool(others))
    for k, note in enumerate(sums):
        note.settle(found.coefficients[first + k])
    if found.residuals is not None:
        for note, known in zip(others, found.residuals.t()[1:].contiguous(), strict=True):
            note.settle(known)
    call.settle()
    return found.theta, None if found.points is None else found.points[0]


def _side_by_side(columns: list[Tensor]) -> Tensor:
    return torch.stack(columns, 1) if len(columns) > 1 else columns[0].unsqueeze(1)


@lru_cache(maxsize=256)
def _ones(n: int, m: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(n, m, dtype=dtype, device=device)


@lru_cache(maxsize=256)
def program_of(n_inputs: int, given: Steps) -> Program:
    """Residuals are the first step and the outputs."""
    given = with_laplacians(given)
    inputs, steps, gradients = given.inputs, given.steps, given.gradients
    channels = ChannelSet.closure(n_inputs, [own.channel for _, own in inputs if isinstance(own, Leaf)])
    meanings: list[Input] = [
        Jet(0, own.field, channels.position(own.channel)) if isinstance(own, Leaf) else own for _, own in inputs
    ]

    def moved(register: int) -> int:
        return -1 - register if register < 0 else len(inputs) + register

    def instruction(step: Step) -> Instruction:
        a, b = (*map(moved, step.operands), -1, -1)[:2]
        return Instruction(step.op, a, b, step.value)

    return Program(
        channels,
        1,
        sum(isinstance(meaning, Column) for meaning in meanings),
        tuple(meanings),
        tuple(map(instruction, steps)),
        given.n_forward,
        (moved(0), *map(moved, given.outputs)),
        tuple((-1 - own, moved(value)) for own, value in gradients),
    )
