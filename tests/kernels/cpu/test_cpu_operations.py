"""The C++ operations against the reference backend, in double precision; in single precision against autograd."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import sympy as sp
import torch
from cases import CASES, make, some_weights
from helpers import random_points, random_theta, relative_error
from torch import Tensor

from psinn_fast.domains import Box
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian
from psinn_fast.kernels.language.program import (
    BINARY,
    UNARY,
    Adjoint,
    Coefficient,
    Column,
    Coordinate,
    Instruction,
    Jet,
    Program,
)
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Data, Periodic, Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

REFERENCE = ReferenceBackend()


def agree(ours: Sequence[Tensor | None], theirs: Sequence[Tensor | None], tolerance: float = 1e-12) -> None:
    """``floor``: where all cancels, rounding errors are what is left."""
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert (a is None) == (b is None)
        if a is None or b is None:
            continue
        assert (a.shape, a.dtype, a.requires_grad) == (b.shape, b.dtype, False)
        error = relative_error(a, b, floor=1e-2)
        assert error < tolerance, f"result {number}: relative error {error:.1e}"


def check_jets(backend: CpuBackend, plan: Plan, theta: Tensor, channels: ChannelSet, n: int) -> None:
    """Each channel has to be right by itself: fourth derivatives are far larger than the value."""
    x = random_points(n, plan.d_in, n)
    grad = random_points(n * len(channels), plan.d_out, 1).view(n, len(channels), plan.d_out)
    ours, theirs = (b.jets(plan, theta, x, channels) for b in (backend, REFERENCE))
    assert ours.shape == theirs.shape
    agree(ours.unbind(1), theirs.unbind(1), 1e-11 if channels.order > 2 else 1e-12)
    agree(*(b.jets_backward(plan, theta, x, channels, grad, need_x=True) for b in (backend, REFERENCE)))
    agree(*(b.jets_backward(plan, theta, x, channels, grad) for b in (backend, REFERENCE)))


def check_losses(
    backend: CpuBackend,
    plan: Plan,
    theta: Tensor,
    coefficients: Tensor,
    terms: Sequence[Term],
    jacobian: bool = True,
    regularizer: Regularizer | None = None,
) -> None:
    arguments = plan, theta, coefficients
    agree(*(b.loss_and_gradient(*arguments, terms, some_weights(terms), regularizer) for b in (backend, REFERENCE)))
    for term in terms if jacobian else ():
        agree(*(b.residual_jacobian(*arguments, term) for b in (backend, REFERENCE)))


def unit(d: int, axis: int, order: int = 1) -> tuple[int, ...]:
    return tuple(order * (i == axis) for i in range(d))


def channel_sets(d: int) -> dict[str, ChannelSet]:
    """Those with code of their own (value; u_x, u_xx; u_t, u_x, u_xx; Laplacian in 2d and 3d) and others."""
    firsts: list[Channel] = [unit(d, axis) for axis in range(d)]
    wanted: dict[str, list[Channel]] = {
        "value": [],
        "first": firsts[:1],
        "all first": firsts,
        "heat": [*firsts, unit(d, d - 1, 2)],
        "laplacian": [Laplacian(tuple(range(d)))],
        "some": [Laplacian((0,)), unit(d, d - 1, 3), tuple(1 for _ in range(d))],
        "second": [
            tuple(a + b for a, b in zip(unit(d, i), unit(d, j), strict=True)) for i in range(d) for j in range(i)
        ],
        "all": [index for index in product(range(5), repeat=d) if sum(index) == 4],
    }
    return {name: ChannelSet.closure(d, channels) for name, channels in wanted.items()}


NETWORKS = [
    (1, (), 1), (2, (), 3), (1, (1,), 1), (2, (7,), 1), (2, (8, 8), 2), (3, (16, 1, 33), 3), (4, (31, 7), 1),
    (1, (8, 8, 8), 1), (2, (64, 64), 1), (3, (256,), 2), (2, (256, 7), 1), (3, (5, 4, 3, 2, 6), 2), (4, (3, 33, 64), 2),
]  # fmt: skip


@pytest.mark.parametrize(("d", "hidden", "f"), NETWORKS)
def test_jets(backend: CpuBackend, d: int, hidden: tuple[int, ...], f: int) -> None:
    structure = Structure.dense([d, *hidden, f])
    plan, theta = lower(structure.layers), random_theta(structure, 1)
    for number, channels in enumerate(channel_sets(d).values()):
        check_jets(backend, plan, theta, channels, (17, 31, 64, 15)[(number + len(hidden)) % 4])


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 31, 63, 64, 65, 255, 1023])
def test_numbers_of_points(backend: CpuBackend, n: int) -> None:
    """Panels of 1, 2 and 4 vectors, tiles of several panels, and what is left over."""
    for d, hidden, name in [
        (2, (7, 5), "value"), (2, (6, 4), "first"), (2, (7, 5), "laplacian"), (1, (), "heat"), (3, (9,), "some"),
    ]:  # fmt: skip
        structure = Structure.dense([d, *hidden, 1])
        check_jets(backend, lower(structure.layers), random_theta(structure, 2), channel_sets(d)[name], n)
    for case in ("laplace", "periodic", "burgers with unknown nu") if n else ():
        structure, theta, coefficients, terms, _ = make(case, (7, 3), n)
        check_losses(backend, lower(structure.layers), theta, coefficients, terms, jacobian=n < 100)


def test_many_tiles(backend: CpuBackend) -> None:
    """More tiles than a thread sums up in one go."""
    for case, n in (("laplace", 4609), ("periodic", 3001), ("burgers with unknown nu", 5000)):
        structure, theta, coefficients, terms, _ = make(case, (5, 4), n)
        check_losses(backend, lower(structure.layers), theta, coefficients, terms, jacobian=False)
    check_jets(backend, lower(structure.layers), theta, channel_sets(2)["value"], 20_000)


def test_wide_layers(backend: CpuBackend) -> None:
    """Tiles of one panel, larger than the cache."""
    structure = Structure.dense([2, 700, 300, 1])
    plan, theta = lower(structure.layers), random_theta(structure, 1) / 10
    check_jets(backend, plan, theta, channel_sets(2)["all"], 17)
    terms, coefficients = CASES["laplace"].build(19)[0], torch.zeros(0, dtype=torch.float64)
    check_losses(backend, plan, theta, coefficients, terms, jacobian=False)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("hidden", [(), (1,), (33,), (8, 8), (64, 16, 31), (7, 1, 5, 3, 2)])
def test_losses_and_jacobian(backend: CpuBackend, case: str, hidden: tuple[int, ...]) -> None:
    structure, theta, coefficients, terms, _ = make(case, hidden, 21)
    check_losses(backend, lower(structure.layers), theta, coefficients, terms)


@pytest.mark.parametrize("kind", ["l2", "l1", "growl"])
def test_penalties(backend: CpuBackend, kind: str) -> None:
    structure, theta, coefficients, terms, _ = make("laplace", (9, 5), 11)
    theta[::7] = 0
    plan = lower(structure.layers)
    check_losses(backend, plan, theta, coefficients, terms, False, Regularizer(kind, 0.3))
    # A layer, and a column, of norm zero; equal norms are taken in order.
    theta[plan.weight_slices[1]] = 0
    theta[plan.weight_slices[0]] = 1
    check_losses(backend, plan, theta, coefficients, terms, False, Regularizer(kind, 0.3))
    if kind != "growl":
        tied = published_structure("laplace").with_width(3)
        check_losses(
            backend, lower(tied.layers), random_theta(tied, 1), coefficients, terms, False, Regularizer(kind, 0.3)
        )


def test_rows_of_the_jacobian(backend: CpuBackend) -> None:
    structure, theta, coefficients, terms, _ = make("periodic", (7, 3), 21)
    plan = lower(structure.layers)
    for term in terms:
        for rows in (slice(3, 17), slice(None, None, 2), slice(-1, None)):
            agree(*(b.residual_jacobian(plan, theta, coefficients, term, rows) for b in (backend, REFERENCE)))
        none = backend.residual_jacobian(plan, theta, coefficients, term, slice(5, 5))
        m = term.program.n_residuals
        assert [part.shape for part in none] == [(0, m), (0, m, theta.numel() + coefficients.numel())]


# Residual programs.


def on_network(terms: list[Term], d: int, f: int, hidden: Sequence[int]) -> tuple[Plan, Tensor, list[Term]]:
    structure = Structure.dense([d, *hidden, f])
    return lower(structure.layers), random_theta(structure, 6), terms


def problem_terms(fields: str, equation, n: int = 23, unknown: dict[str, float] | None = None) -> list[Term]:
    box = Box(x=(-1, 1), y=(-1, 1))
    pde = PDE("x y", fields, equation, unknown=unknown or {})
    return Problem("p", pde, box, [Residual(box.random(n, seed=1))]).terms(torch.float64)


def test_functions_of_residuals(backend: CpuBackend) -> None:
    """With their derivatives, as the front end writes them."""

    def functions(u, v, x, c):
        return [
            sp.sqrt(2 + u**2) + sp.exp(u.x) * sp.log(3 + v.y**2) - sp.sin(u) * sp.cos(c * v.x),
            sp.tan(u / 5) + sp.sinh(u.xx / 7) * sp.cosh(v) - sp.tanh(u * v) + sp.atan(u.y - v),
            sp.Abs(u.x - c) + sp.Max(u, v, u.y * x) - sp.Min(u.lap, v.x) + sp.Heaviside(v) * u,
            -u / (2 + v**2) + (2 + u**2) ** sp.Rational(3, 5) + sp.sign(v) * v.x + 1 / (3 + u.x**2),
        ]

    terms = problem_terms("u v", functions, unknown={"c": 0.7})
    used = {instruction.op for instruction in terms[0].program.instructions}
    assert used >= {*UNARY, *BINARY}
    plan, theta, terms = on_network(terms, 2, 2, (9, 5))
    for c in (-0.3, 0.7):
        check_losses(backend, plan, theta, torch.tensor([c], dtype=torch.float64), terms)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -2.5, 3.7, 30.0, -100.0, 1e-300, 1e300, torch.inf, -torch.inf, torch.nan]


@pytest.mark.parametrize("op", [*UNARY, *BINARY])
def test_operations_on_special_numbers(backend: CpuBackend, op: str) -> None:
    """Value by value; a residual of given numbers alone is computed from columns."""
    pairs = torch.tensor(list(product(SPECIAL, SPECIAL)), dtype=torch.float64)
    program = Program(
        ChannelSet.closure(1, []), 1, 2, (Column(0), Column(1), Adjoint(0)),
        (Instruction(op, 0, 1 if op in BINARY else -1),), 1, (3,), (),
    )  # fmt: skip
    term = Term("special", program, torch.zeros(1, len(pairs), 1, dtype=torch.float64), pairs)
    plan, theta, none = on_network([], 1, 1, ())[0], torch.ones(2, dtype=torch.float64), torch.zeros(0).double()
    ours, theirs = (b.residual_jacobian(plan, theta, none, term)[0] for b in (backend, REFERENCE))
    if op == "sign":
        theirs[pairs[:, :1].isnan()] = torch.nan  # torch.sign makes NaN 0, which would hide it
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0, equal_nan=True)


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


@pytest.mark.parametrize("name", unusual_programs())
@pytest.mark.parametrize("hidden", [(), (6,), (5, 4, 3)])
def test_unusual_programs(backend: CpuBackend, name: str, hidden: tuple[int, ...]) -> None:
    term = random_term(name, unusual_programs()[name], 19)
    plan, theta, terms = on_network([term], 2, 2, hidden)
    check_losses(backend, plan, theta, torch.tensor([0.7, -0.2], dtype=torch.float64), terms)


def test_many_terms_at_once(backend: CpuBackend) -> None:
    """Different channel sets, programs, sizes and weights in one call."""
    terms = [
        random_term(name, program, 5 + 7 * number) for number, (name, program) in enumerate(unusual_programs().items())
    ]
    terms += problem_terms("u v", lambda u, v, c: [u.xxyy + c * v.x, u * v], 40, {"c": 0.1})
    terms += problem_terms("u v", lambda u, v: u.lap + v, 1)
    plan, theta, terms = on_network(terms, 2, 2, (8, 8))
    coefficients = torch.tensor([0.7, -0.2, 5.0], dtype=torch.float64)
    check_losses(backend, plan, theta, coefficients, terms)
    result = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    assert float(result.coefficients[2]) == 0  # in no residual
    for index in (0, 7, len(terms) - 1):
        alone = backend.loss_and_gradient(plan, theta, coefficients, [terms[index]], some_weights([terms[index]]))
        assert relative_error(result.losses[index], alone.losses[0]) < 1e-14


@pytest.mark.parametrize(
    "equation",
    [lambda u: u.lap, lambda u: u.xx, lambda u: u.xy, lambda u: u.x + 2 * u.y, lambda u: u.xxx * u.yyyy, lambda u: u.y],
)
@pytest.mark.parametrize("hidden", [(), (9,), (7, 5), (4, 3, 5)])
def test_lower_channels_that_nothing_reads(backend: CpuBackend, equation, hidden: tuple[int, ...]) -> None:
    plan, theta, terms = on_network(problem_terms("u", equation), 2, 1, hidden)
    check_losses(backend, plan, theta, torch.zeros(0, dtype=torch.float64), terms)


@pytest.mark.parametrize("d", [1, 3])
def test_second_derivatives_alone(backend: CpuBackend, d: int) -> None:
    coords = "xyz"[:d]
    box = Box(**dict.fromkeys(coords, (-1, 1)))
    conditions = [
        Residual(box.random(33, seed=1)),
        Periodic(box.random(8, seed=2), box.random(8, seed=3), "u_xx"),
        Data(box.random(9, seed=1), u=lambda first, *others: np.cos(first)),
    ]
    pde = PDE(" ".join(coords), "u", lambda u: u.lap if d == 3 else u.xx)
    for hidden in ((7,), (9, 5, 3)):
        plan, theta, terms = on_network(Problem("p", pde, box, conditions).terms(torch.float64), d, 1, hidden)
        check_losses(backend, plan, theta, torch.zeros(0, dtype=torch.float64), terms)
