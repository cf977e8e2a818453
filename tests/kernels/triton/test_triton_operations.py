"""The Triton operations against the reference backend: sizes, derivatives, programs."""

from __future__ import annotations

from itertools import product

import pytest
import test_cpu_operations
import torch
from cases import make
from helpers import random_points, random_theta
from on_device import ON_GPU, OnDevice
from test_cpu_operations import (  # noqa: F401
    REFERENCE,
    agree,
    channel_sets,
    check_jets,
    check_losses,
    on_network,
    problem_terms,
    random_term,
    test_functions_of_residuals,
    unusual_programs,
)

from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.language.program import BINARY, UNARY, Adjoint, Column, Instruction, Program
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.derivatives import derivatives
from psinn_fast.networks.mlp import TanhMLP
from psinn_fast.networks.structure import Structure

NONE = torch.zeros(0, dtype=torch.float64)
# (inputs, hidden, outputs, channels, points): pairs of properties, since the interpreter is slow.
NETWORKS = [
    (1, (), 1, "heat", 31), (2, (), 3, "laplacian", 1), (1, (1,), 1, "all", 31), (2, (7,), 2, "second", 1),
    (3, (33,), 2, "laplacian", 31), (4, (7, 1), 1, "some", 1), (1, (7, 7), 3, "all", 17), (2, (33, 7), 1, "heat", 31),
    (2, (7,), 1, "value", 1023), (4, (2,), 1, "all", 3), (2, (128,), 1, "laplacian", 5),
    (2, (7, 3, 2, 5, 1, 4, 2, 6), 1, "first", 31),
]  # fmt: skip


@pytest.mark.parametrize(("d", "hidden", "f", "name", "n"), NETWORKS)
def test_jets(backend: OnDevice, d: int, hidden: tuple[int, ...], f: int, name: str, n: int) -> None:
    structure = Structure.dense([d, *hidden, f])
    check_jets(backend, lower(structure.layers), random_theta(structure, 1), channel_sets(d)[name], n)


@pytest.mark.parametrize(
    ("case", "hidden", "n"),
    [
        ("laplace", (33,), 1023), ("burgers with unknown nu", (7, 33), 1), ("two outputs", (33,), 1),
        ("periodic", (1, 7), 31), ("fourth order", (7,), 33), ("burgers with unknown nu", (), 257),
    ],
)  # fmt: skip
def test_losses_and_jacobian(backend: OnDevice, wide: OnDevice, case: str, hidden: tuple[int, ...], n: int) -> None:
    structure, theta, coefficients, terms, _ = make(case, hidden, n)
    check_losses(wide if n > 100 else backend, lower(structure.layers), theta, coefficients, terms, jacobian=n < 100)


@pytest.mark.parametrize("kind", ["l2", "l1", "growl"])
def test_penalties(backend: OnDevice, kind: str) -> None:
    structure, theta, coefficients, terms, _ = make("laplace", (5, 3), 11)
    theta[::7] = 0
    check_losses(backend, lower(structure.layers), theta, coefficients, terms, False, Regularizer(kind, 0.3))


def test_rows_of_the_jacobian(backend: OnDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    structure, theta, coefficients, terms, _ = make("periodic", (7, 3), 21)
    plan, term = lower(structure.layers), terms[1]
    for rows in (slice(3, 17), slice(None, None, 2), slice(-1, None)):
        agree(*(b.residual_jacobian(plan, theta, coefficients, term, rows) for b in (backend, REFERENCE)))
    m = term.program.n_residuals
    none = backend.residual_jacobian(plan, theta, coefficients, term, slice(5, 5))
    assert [part.shape for part in none] == [(0, m), (0, m, theta.numel() + coefficients.numel())]
    # In parts: what lies on the device at once has a bound.
    monkeypatch.setattr("psinn_fast.kernels.triton.backend.JACOBIAN_NUMBERS", 1)
    agree(*(b.residual_jacobian(plan, theta, coefficients, term) for b in (backend, REFERENCE)))


# Residual programs.


@pytest.mark.parametrize("name", unusual_programs())
def test_unusual_programs(backend: OnDevice, name: str) -> None:
    for hidden in ((), (5, 4)):
        plan, theta, terms = on_network([random_term(name, unusual_programs()[name], 19)], 2, 2, hidden)
        check_losses(backend, plan, theta, torch.tensor([0.7, -0.2], dtype=torch.float64), terms)


def test_many_terms_at_once(backend: OnDevice) -> None:
    """Different programs, sizes and weights in one launch; two terms share a program."""
    programs = unusual_programs()
    names = ["sites", "twice", "u_x", "no jets", "u_x"]
    terms = [
        random_term(f"{name} {k}", programs[name], size)
        for k, (name, size) in enumerate(zip(names, (5, 40, 1, 70, 33), strict=True))
    ]
    plan, theta, _ = on_network(terms, 2, 2, (7,))
    coefficients = torch.tensor([0.7, -0.2, 5.0], dtype=torch.float64)
    check_losses(backend, plan, theta, coefficients, terms, jacobian=False)


@pytest.mark.parametrize(
    "equation", [lambda u: u.lap, lambda u: u.xy, lambda u: u.x + 2 * u.y, lambda u: u.xxx * u.yyyy]
)
def test_lower_channels_that_nothing_reads(backend: OnDevice, equation) -> None:
    plan, theta, terms = on_network(problem_terms("u", equation), 2, 1, (7, 5))
    check_losses(backend, plan, theta, NONE, terms)


def of_columns(op: str, columns: torch.Tensor) -> tuple[Program, Term]:
    """The residual op(column 0, column 1), value by value."""
    instruction = Instruction(op, 0, 1 if op in BINARY else -1)
    inputs = Column(0), Column(1), Adjoint(0)
    program = Program(ChannelSet.closure(1, []), 1, 2, inputs, (instruction,), 1, (3,), ())
    return program, Term("special", program, columns.new_zeros(1, len(columns), 1), columns)


@pytest.mark.parametrize("op", [*UNARY, *BINARY])
def test_operations_on_special_numbers(backend: OnDevice, op: str) -> None:
    special = test_cpu_operations.SPECIAL
    pairs = torch.tensor(list(product(special, special)), dtype=torch.float64)
    _, term = of_columns(op, pairs)
    plan, theta, _ = on_network([], 1, 1, ())
    ours, theirs = (b.residual_jacobian(plan, theta, NONE, term)[0] for b in (backend, REFERENCE))
    if op == "sign":
        theirs[pairs[:, :1].isnan()] = torch.nan  # torch.sign makes NaN 0, which would hide it
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("op", ["tanh", "sinh", "atan", "sqrt", "reciprocal"])
def test_functions_to_the_last_digits(wide: OnDevice, op: str, dtype: torch.dtype) -> None:
    """In units of the last place, over all sizes of arguments."""
    size = torch.logspace(-30, 1.9, 4000, dtype=torch.float64).to(dtype)
    x = torch.cat([size, -size]) if op != "sqrt" else size
    _, term = of_columns(op, torch.stack([x, x], 1))
    plan, theta, _ = on_network([], 1, 1, ())
    ours = wide.residual_jacobian(plan, theta.to(dtype), NONE.to(dtype), term)[0][:, 0]
    exact = getattr(torch, op)(x.double())
    last_place = exact.to(dtype).abs() * torch.finfo(dtype).eps
    # The reference in float64 is itself only right to about one.
    error = ((ours.double() - exact).abs() / last_place.double()).max()
    # All other precision rests on that of tanh.
    single = {"tanh": 2.5 if ON_GPU else 1.4} if dtype == torch.float32 else {}
    bound = {"tanh": 4, "atan": 4, "sqrt": 4, "reciprocal": 4, "sinh": 30} | single
    assert error <= bound[op], f"{float(error):.2f}"


def test_points_changed_in_place(backend: OnDevice) -> None:
    """Kernels and tables are kept, and with terms that share a program copies of their points: they follow."""
    structure, theta, coefficients, terms, _ = make("laplace", (5,), 11)
    plan = lower(structure.layers)
    terms = [*terms, Term("more", terms[1].program, terms[1].points + 0.1, terms[1].columns * 2)]
    for _ in range(2):
        check_losses(backend, plan, theta, coefficients, terms, jacobian=False)
        terms[0].points[0, 3, 1] += 0.25
        terms[2].columns[4] -= 1
    with torch.inference_mode():
        inside = [Term(t.name, t.program, t.points.clone(), t.columns.clone()) for t in terms]
        for _ in range(2):
            check_losses(backend, plan, theta, coefficients, inside, jacobian=False)
            inside[2].columns[4] -= 1


def test_compiled_code(device: torch.device) -> None:
    """`derivatives` as an operator of torch, with these kernels behind it."""
    net, points = TanhMLP([2, 5, 1], seed=0, device=device), random_points(9, 2).float().to(device)

    def loss() -> torch.Tensor:
        d = derivatives(net, points, "u_x u_lap", coords="x y", fields="u", backend="triton")
        return (d.u_lap - d.u_x).square().sum()

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    ours, theirs = (torch.autograd.grad(function(), net.theta)[0] for function in (compiled, loss))
    torch.testing.assert_close(ours, theirs)
