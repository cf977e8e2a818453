"""Every backend against the reference: sizes, derivatives, penalties, programs."""

from __future__ import annotations

from itertools import product

import pytest
import sympy as sp
import torch
from agreement import REFERENCE, agree, channel_sets, check_jets, check_losses
from cases import make, some_weights
from helpers import random_theta, relative_error
from residual_programs import SPECIAL, of_columns, on_network, problem_terms, random_term, unusual_programs

from psinn_fast.kernels.contract import Backend, Term
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.language.program import BINARY, UNARY
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

pytestmark = [
    pytest.mark.without("reference", reason="it is what the others are compared with"),
    pytest.mark.without("toy", reason="it inherits all but jets, which the other tests of the contract hold"),
]
slow = pytest.mark.without("triton", reason="its interpreter would take many seconds")
NONE = torch.zeros(0, dtype=torch.float64)
# (inputs, hidden, outputs, channels, points): pairs of properties, since Triton's interpreter is slow.
NETWORKS = [
    (1, (), 1, "heat", 31), (2, (), 3, "laplacian", 1), (1, (1,), 1, "all", 31), (2, (7,), 2, "second", 1),
    (3, (33,), 2, "laplacian", 31), (4, (7, 1), 1, "some", 1), (1, (7, 7), 3, "all", 17), (2, (33, 7), 1, "heat", 31),
    (2, (7,), 1, "value", 1023), (4, (2,), 1, "all", 3), (2, (128,), 1, "laplacian", 5),
    (2, (7, 3, 2, 5, 1, 4, 2, 6), 1, "first", 31),
]  # fmt: skip


@pytest.mark.parametrize(("d", "hidden", "f", "name", "n"), NETWORKS)
def test_jets(backend: Backend, d: int, hidden: tuple[int, ...], f: int, name: str, n: int) -> None:
    structure = Structure.dense([d, *hidden, f])
    check_jets(backend, lower(structure.layers), random_theta(structure, 1), channel_sets(d)[name], n)


@pytest.mark.parametrize(
    ("case", "hidden", "n"),
    [("burgers with unknown nu", (7, 33), 1), ("two outputs", (33,), 1), ("periodic", (1, 7), 31),
     ("fourth order", (7,), 33)],
)  # fmt: skip
def test_losses_and_jacobian(backend: Backend, case: str, hidden: tuple[int, ...], n: int) -> None:
    structure, theta, coefficients, terms, _ = make(case, hidden, n)
    check_losses(backend, lower(structure.layers), theta, coefficients, terms)


def test_no_points(backend: Backend) -> None:
    structure, theta, coefficients, terms, _ = make("burgers with unknown nu", (9, 5), 3)
    plan, channels = lower(structure.layers), ChannelSet.closure(2, [Laplacian((0, 1))])
    assert backend.jets(plan, theta, torch.empty(0, 2).double(), channels).shape == (0, 4, 1)
    for term in terms:
        none = backend.residual_jacobian(plan, theta, coefficients, term, slice(0, 0))
        m = term.program.n_residuals
        assert [part.shape for part in none] == [(0, m), (0, m, theta.numel() + coefficients.numel())]


@pytest.mark.parametrize("kind", ["l2", "l1", "growl"])
def test_penalties(backend: Backend, kind: str) -> None:
    structure, theta, coefficients, terms, _ = make("laplace", (5, 3), 11)
    plan, regularizer = lower(structure.layers), Regularizer(kind, 0.3)
    theta[::7] = 0
    check_losses(backend, plan, theta, coefficients, terms, False, regularizer)
    # A layer, and a column, of norm zero; equal norms are taken in order.
    theta[plan.weight_slices[1]] = 0
    theta[plan.weight_slices[0]] = 1
    check_losses(backend, plan, theta, coefficients, terms, False, regularizer)


@slow
@pytest.mark.parametrize("kind", ["l2", "l1"])
def test_penalties_of_tied_weights(backend: Backend, kind: str) -> None:
    structure, (_, _, coefficients, terms, _) = published_structure("laplace").with_width(3), make("laplace", (1,), 11)
    theta, regularizer = random_theta(structure, 1), Regularizer(kind, 0.3)
    check_losses(backend, lower(structure.layers), theta, coefficients, terms, False, regularizer)


def test_rows_of_the_jacobian(backend: Backend) -> None:
    structure, theta, coefficients, terms, _ = make("periodic", (7, 3), 21)
    plan = lower(structure.layers)
    for term in terms:
        for rows in (slice(3, 17), slice(None, None, 2), slice(-1, None)):
            agree(*(b.residual_jacobian(plan, theta, coefficients, term, rows) for b in (backend, REFERENCE)))
        none = backend.residual_jacobian(plan, theta, coefficients, term, slice(5, 5))
        m = term.program.n_residuals
        assert [part.shape for part in none] == [(0, m), (0, m, theta.numel() + coefficients.numel())]


# Residual programs.


def test_functions_of_residuals(backend: Backend) -> None:
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


# In multiples of a number's own size; Triton's functions are its own.
LAST_DIGITS = {"cpu": 1e-14, "triton": 1e-13}


@pytest.mark.parametrize("op", [*UNARY, *BINARY])
def test_operations_on_special_numbers(backend: Backend, op: str) -> None:
    """Value by value; a residual of given numbers alone is computed from columns."""
    pairs = torch.tensor(list(product(SPECIAL, SPECIAL)), dtype=torch.float64)
    term = of_columns(op, pairs)
    plan, theta, _ = on_network([], 1, 1, ())
    ours, theirs = (b.residual_jacobian(plan, theta, NONE, term)[0] for b in (backend, REFERENCE))
    if op == "sign":
        theirs[pairs[:, :1].isnan()] = torch.nan  # torch.sign makes NaN 0, which would hide it
    torch.testing.assert_close(ours, theirs, rtol=LAST_DIGITS[backend.name], atol=0, equal_nan=True)


@pytest.mark.parametrize("name", unusual_programs())
@pytest.mark.parametrize(
    "hidden", [(), (5, 4), *(pytest.param(hidden, marks=slow) for hidden in ((6,), (5, 4, 3)))]
)  # fmt: skip
def test_unusual_programs(backend: Backend, name: str, hidden: tuple[int, ...]) -> None:
    plan, theta, terms = on_network([random_term(name, unusual_programs()[name], 19)], 2, 2, hidden)
    check_losses(backend, plan, theta, torch.tensor([0.7, -0.2], dtype=torch.float64), terms)


def test_several_terms_at_once(backend: Backend) -> None:
    """Different programs, sizes and weights in one call; two terms share a program."""
    programs = unusual_programs()
    names = ["sites", "twice", "u_x", "no jets", "u_x"]
    terms = [
        random_term(f"{name} {k}", programs[name], size)
        for k, (name, size) in enumerate(zip(names, (5, 40, 1, 70, 33), strict=True))
    ]
    plan, theta, _ = on_network(terms, 2, 2, (7,))
    coefficients = torch.tensor([0.7, -0.2, 5.0], dtype=torch.float64)
    check_losses(backend, plan, theta, coefficients, terms, jacobian=False)


@slow
def test_many_terms_at_once(backend: Backend) -> None:
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
    [
        lambda u: u.lap, lambda u: u.xy, lambda u: u.x + 2 * u.y, lambda u: u.xxx * u.yyyy,
        pytest.param(lambda u: u.xx, marks=slow), pytest.param(lambda u: u.y, marks=slow),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "hidden", [(7, 5), *(pytest.param(hidden, marks=slow) for hidden in ((), (9,), (4, 3, 5)))]
)  # fmt: skip
def test_lower_channels_that_nothing_reads(backend: Backend, equation, hidden: tuple[int, ...]) -> None:
    plan, theta, terms = on_network(problem_terms("u", equation), 2, 1, hidden)
    check_losses(backend, plan, theta, NONE, terms)


def test_points_changed_in_place(backend: Backend) -> None:
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
