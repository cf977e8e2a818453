"""Exact conditions: u = g(x) + d(x) N(x) for a network N, with g and d known and d zero where a condition holds.

Derivatives of u are those of N times numbers that each point has once and for all (Leibniz). So a residual of u is one
of N with more columns, and every backend has ansatzes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial, reduce
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import InputError
from ..language.channels import ChannelSet
from ..language.program import Column, Input, Instruction, Jet, Program


class Known(Protocol):
    """A function of the coordinates that training does not change."""

    @property
    def n_inputs(self) -> int: ...

    @property
    def n_outputs(self) -> int: ...

    def jets(self, x: Tensor, channels: ChannelSet) -> Tensor:
        """Values and derivatives at points x (N, d), float64: (C, N, n_outputs)."""
        ...

    def support(self, channels: ChannelSet) -> tuple[frozenset[int], ...]:
        """Of each output: which channels are not zero at all points, whatever these are."""
        ...


class KnownColumn(NamedTuple):
    """A derivative of g (``is_factor`` False) or d, of one field at one site, as a program's column."""

    site: int
    field: int
    is_factor: bool
    channel: int


@dataclass(frozen=True)
class Ansatz:
    """u_f = g_f(x) + d_f(x) N_f(x) for each field f.

    Args:
        offset: g, one output for each field.
        factor: d, likewise.
    """

    offset: Known
    factor: Known

    def __post_init__(self) -> None:
        ends = [(own.n_inputs, own.n_outputs) for own in (self.offset, self.factor)]
        if ends[0] != ends[1]:
            raise InputError(f"factor: it has {ends[1]} inputs and outputs, the offset {ends[0]}")

    def jets(self, x: Tensor, channels: ChannelSet, inner: Tensor) -> Tensor:
        """Of u at points x (N, d), from those of the network: (N, C, F) -> (N, C, F)."""
        g, d = (own.jets(x.double(), channels).to(inner.dtype) for own in (self.offset, self.factor))
        return composed(g, d, channels, inner)

    def pulled_back(self, x: Tensor, channels: ChannelSet, grad: Tensor) -> Tensor:
        """The adjoint of `jets` for the network's: (N, C, F) -> (N, C, F)."""
        d = self.factor.jets(x.double(), channels).to(grad.dtype)
        found = torch.zeros_like(grad)
        for c, parts in enumerate(channels.product_rule):
            for n, p, q in parts:
                found[:, q] += n * (d[p] * grad[:, c])
        return found

    def program(self, program: Program) -> tuple[Program, tuple[KnownColumn, ...]]:
        """A program of u as one of N, whose last columns are those named."""
        supports = tuple(own.support(program.channels) for own in (self.offset, self.factor))
        return _program(program, *supports)

    def columns(self, points: Tensor, channels: ChannelSet, wanted: Sequence[KnownColumn]) -> Tensor:
        """At points (n_sites, N, d): (N, n)."""
        found = {}
        for site, is_factor in {(own.site, own.is_factor) for own in wanted}:
            known = self.factor if is_factor else self.offset
            found[site, is_factor] = known.jets(points[site].double(), channels)
        rows = [found[own.site, own.is_factor][own.channel, :, own.field] for own in wanted]
        empty = points.new_empty(0, points.shape[1], dtype=torch.float64)
        return torch.cat([empty, *(row[None] for row in rows)]).T.to(points.dtype).contiguous()


def composed(g: Tensor, d: Tensor, channels: ChannelSet, inner: Tensor) -> Tensor:
    """Jets of g + d N from those of g and d (C, N, F) and of N (N, C, F): (N, C, F)."""
    rows = [
        reduce(torch.add, (n * (d[p] * inner[:, q]) for n, p, q in parts), g[c])
        for c, parts in enumerate(channels.product_rule)
    ]
    return torch.stack(rows, 1)


@lru_cache(maxsize=256)
def _program(
    program: Program, offset: tuple[frozenset[int], ...], factor: tuple[frozenset[int], ...]
) -> tuple[Program, tuple[KnownColumn, ...]]:
    rule = program.channels.product_rule
    asked = {register: kind for register, kind in enumerate(program.inputs) if isinstance(kind, Jet)}
    # Of each jet of u: (n, derivative of d, jet of N), without those whose derivative of d is zero.
    parts = {
        register: [
            (n, KnownColumn(jet.site, jet.field, True, p), Jet(jet.site, jet.field, q))
            for n, p, q in rule[jet.channel]
            if p in factor[jet.field]
        ]
        for register, jet in asked.items()
    }
    offsets = {
        register: KnownColumn(jet.site, jet.field, False, jet.channel)
        for register, jet in asked.items()
        if jet.channel in offset[jet.field]
    }
    inner = list(dict.fromkeys(jet for own in parts.values() for _, _, jet in own))
    known = list(dict.fromkeys([*offsets.values(), *(column for own in parts.values() for _, column, _ in own)]))
    others = [register for register in range(len(program.inputs)) if register not in asked]
    inputs: tuple[Input, ...] = (
        *inner,
        *(program.inputs[register] for register in others),
        *(Column(program.n_columns + k) for k in range(len(known))),
    )
    register_of = {jet: k for k, jet in enumerate(inner)}
    column_of = {column: len(inner) + len(others) + k for k, column in enumerate(known)}
    moved = {register: len(inner) + k for k, register in enumerate(others)}
    instructions: list[Instruction] = []

    def emit(op: str, a: int = -1, b: int = -1, value: float = 0.0) -> int:
        instructions.append(Instruction(op, a, b, value))
        return len(inputs) + len(instructions) - 1

    def times(n: float, a: int, b: int) -> int:
        once = emit("mul", a, b)
        return once if n == 1 else emit("mul", emit("const", value=n), once)

    def total(terms: list[int]) -> int:
        return reduce(partial(emit, "add"), terms) if terms else emit("const")

    for register, own in parts.items():
        terms = [column_of[offsets[register]]] if register in offsets else []
        terms += [times(n, column_of[column], register_of[jet]) for n, column, jet in own]
        moved[register] = total(terms)

    def copied(old: Sequence[Instruction], start: int) -> None:
        for number, (op, a, b, value) in enumerate(old, start=start):
            moved[number] = emit(op, moved.get(a, -1), moved.get(b, -1), value)

    first = len(program.inputs)
    copied(program.instructions[: program.n_forward], first)
    n_forward = len(instructions)
    copied(program.instructions[program.n_forward :], first + program.n_forward)
    adjoints: dict[Jet, list[int]] = {}
    gradients = [(moved[register], moved[result]) for register, result in program.gradients if register not in asked]
    for register, result in program.gradients:
        for n, column, jet in parts.get(register, ()):
            adjoints.setdefault(jet, []).append(times(n, column_of[column], moved[result]))
    gradients += [(register_of[jet], total(terms)) for jet, terms in adjoints.items()]
    made = replace(
        program,
        n_columns=program.n_columns + len(known),
        inputs=inputs,
        instructions=tuple(instructions),
        n_forward=n_forward,
        residuals=tuple(moved[register] for register in program.residuals),
        gradients=tuple(gradients),
    )
    return made, tuple(known)
