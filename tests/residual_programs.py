"""Residuals: as the front end writes them, and by hand, which it does not write."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from helpers import random_points, random_theta
from torch import Tensor

from psinn_fast.domains import Box
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.language.program import (
    BINARY,
    Adjoint,
    Coefficient,
    Column,
    Coordinate,
    Instruction,
    Jet,
    Program,
)
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem


def on_network(terms: list[Term], d: int, f: int, hidden: Sequence[int]) -> tuple[Plan, Tensor, list[Term]]:
    structure = Structure.dense([d, *hidden, f])
    return lower(structure.layers), random_theta(structure, 6), terms


def problem_terms(fields: str, equation, n: int = 23, unknown: dict[str, float] | None = None) -> list[Term]:
    box = Box(x=(-1, 1), y=(-1, 1))
    pde = PDE("x y", fields, equation, unknown=unknown or {})
    return Problem("p", pde, box, [Residual(box.random(n, seed=1))]).terms(torch.float64)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -2.5, 3.7, 30.0, -100.0, 1e-300, 1e300, torch.inf, -torch.inf, torch.nan]


def by_hand(inputs, instructions, n_forward, residuals, gradients, wanted=(), n_columns=0, n_sites=1) -> Program:
    return Program(
        ChannelSet.closure(2, wanted), n_sites, n_columns, tuple(inputs), tuple(instructions), n_forward,
        tuple(residuals), tuple(gradients),
    )  # fmt: skip


def random_term(name: str, program: Program, n: int) -> Term:
    points = random_points(n * program.n_sites, 2, n).view(program.n_sites, n, 2)
    return Term(name, program, points, random_points(n, program.n_columns, n + 1))


def unusual_programs() -> dict[str, Program]:
    three = Instruction("const", value=3.0)
    return {
        "constant": by_hand([], [three], 1, [0], []),
        "coordinate": by_hand([Coordinate(0, 1), Adjoint(0)], [], 0, [0], []),
        "column": by_hand([Column(1)], [], 0, [0], [], n_columns=2),
        "coefficient": by_hand([Coefficient(1), Adjoint(0)], [], 0, [0], [(0, 1)]),
        # The value itself, its adjoint that of the residual: no instruction at all.
        "value": by_hand([Jet(0, 0, 0), Adjoint(0)], [], 0, [0], [(0, 1)]),
        # One register for two residuals; a channel of the closure that nothing reads.
        "twice": by_hand(
            [Jet(0, 0, 3), Adjoint(0), Adjoint(1)], [Instruction("add", 1, 2)], 0, [0, 0], [(0, 3)], [(1, 1)]
        ),
        # The adjoint reads a register of the residual, a coordinate of the second site and a constant.
        "sites": by_hand(
            [Jet(0, 1, 1), Jet(1, 0, 0), Coordinate(1, 0), Adjoint(0)],
            [Instruction("mul", 0, 1), Instruction("mul", 4, 2), three, Instruction("div", 3, 6),
             Instruction("mul", 2, 3), Instruction("mul", 8, 1), Instruction("mul", 8, 0)],
            3, [5], [(0, 9), (1, 10)], [(1, 0)], n_sites=2,
        ),
        # The residual depends on a jet, but the adjoint is declared for the coefficient alone.
        "no jets": by_hand(
            [Jet(0, 0, 0), Coefficient(0), Adjoint(0)], [Instruction("mul", 0, 1), Instruction("mul", 0, 2)], 1, [3],
            [(1, 4)],
        ),
        "second outputs' Laplacian": by_hand(
            [Jet(0, 1, 3), Adjoint(0)], [], 0, [0], [(0, 1)], [Laplacian((0, 1))],
        ),
        "u_xx": by_hand([Jet(0, 0, 2), Adjoint(0)], [], 0, [0], [(0, 1)], [(2, 0)]),
        "u_x": by_hand([Jet(0, 0, 1), Adjoint(0)], [], 0, [0], [(0, 1)], [(0, 2)]),
    }  # fmt: skip


def of_columns(op: str, columns: Tensor) -> Term:
    """The residual op(column 0, column 1), value by value."""
    instruction = Instruction(op, 0, 1 if op in BINARY else -1)
    inputs = Column(0), Column(1), Adjoint(0)
    program = Program(ChannelSet.closure(1, []), 1, 2, inputs, (instruction,), 1, (3,), ())
    return Term("special", program, columns.new_zeros(1, len(columns), 1), columns)
