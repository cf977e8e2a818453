"""Jets, losses and Jacobians against nested autograd, for every backend."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from cases import CASES, HIDDEN, Case, Plain, make, plain_losses, plain_residuals, some_weights
from helpers import random_points, random_theta, relative_error
from torch import Tensor

from psinn_fast.kernels.contract import Backend, Term
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.networks.published import laplace_even


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_loss_and_gradient(backend: Backend, case: str, hidden: tuple[int, ...]) -> None:
    structure, theta, coefficients, terms, plains = make(case, hidden, 31)
    losses, theta_bar, coefficients_bar = plain_losses(structure, theta, coefficients, terms, plains)
    result = backend.loss_and_gradient(lower(structure.layers), theta, coefficients, terms, some_weights(terms))
    assert relative_error(result.losses, losses) < 1e-12
    assert relative_error(result.theta, theta_bar) < 1e-11
    assert relative_error(result.coefficients, coefficients_bar) < 1e-11
    assert float(result.penalty) == 0


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_few_points(backend: Backend, case: str, n: int) -> None:
    structure, theta, coefficients, terms, plains = make(case, (7, 3), n)
    _, theta_bar, coefficients_bar = plain_losses(structure, theta, coefficients, terms, plains)
    result = backend.loss_and_gradient(lower(structure.layers), theta, coefficients, terms, some_weights(terms))
    assert relative_error(result.theta, theta_bar) < 1e-11
    assert relative_error(result.coefficients, coefficients_bar) < 1e-11


def test_regularizer_is_added(backend: Backend) -> None:
    structure, theta, coefficients, terms, _ = make("laplace", (5, 4), 11)
    plan, regularizer = lower(structure.layers), Regularizer("l2", 1e-2)
    plain = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    result = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms), regularizer)
    penalty, gradient = regularizer.value_and_gradient(plan, theta)
    assert torch.equal(result.losses, plain.losses)
    assert float(result.penalty) == float(penalty) > 0
    torch.testing.assert_close(result.theta, plain.theta + gradient, rtol=1e-14, atol=0)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tied", [False, True])
def test_residual_jacobian(backend: Backend, case: str, tied: bool) -> None:
    structure, theta, coefficients, terms, plains = make(case, (7, 3), 5)
    if tied and (structure.n_inputs, structure.n_outputs) == (2, 1):
        structure = laplace_even()
        theta = random_theta(structure, 4)
    plan = lower(structure.layers)
    for term, plain in zip(terms, plains, strict=True):
        r, jacobian = backend.residual_jacobian(plan, theta, coefficients, term)
        assert jacobian.shape == (5, term.program.n_residuals, theta.numel() + coefficients.numel())

        def residuals(theta: Tensor, c: Tensor, term: Term = term, plain: Plain = plain) -> Tensor:
            return plain_residuals(structure, theta, c, term, plain)

        by_theta, by_coefficients = torch.autograd.functional.jacobian(residuals, (theta, coefficients))
        assert relative_error(r, residuals(theta, coefficients)) < 1e-12
        assert relative_error(jacobian, torch.cat([by_theta, by_coefficients], 2)) < 1e-11
        # J^T r is half the gradient of the sum of squares.
        gradient = backend.loss_and_gradient(plan, theta, coefficients, [term], some_weights([term]))
        expected = torch.einsum("nm,nmp->p", r, jacobian) * (2 * some_weights([term])[0] / term.n_points)
        assert relative_error(torch.cat([gradient.theta, gradient.coefficients]), expected) < 1e-12
        # A slice of the points gives those rows.
        part = backend.residual_jacobian(plan, theta, coefficients, term, slice(1, 4))
        assert relative_error(part[0], r[1:4]) < 1e-12
        assert relative_error(part[1], jacobian[1:4]) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_call_gives_the_same_bits(backend: Backend, dtype: torch.dtype) -> None:
    structure, theta, coefficients, terms, _ = make("two outputs", (7, 7), 31, dtype)
    plan = lower(laplace_even().layers) if structure.n_inputs == 2 else lower(structure.layers)
    before = theta.clone()
    first, second = (backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    first, second = (backend.residual_jacobian(plan, theta, coefficients, terms[0]) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(theta, before)
    assert not any(tensor.requires_grad for tensor in first)


def test_no_points_and_no_grad_through_the_operations(backend: Backend) -> None:
    structure, theta, *_ = make("laplace", (4,), 3)
    plan, channels = lower(structure.layers), ChannelSet.closure(2, [(1, 1)])
    empty = torch.empty(0, 2, dtype=torch.float64)
    assert backend.jets(plan, theta.requires_grad_(), empty, channels).shape == (0, 4, 1)
    gradient, x_bar = backend.jets_backward(plan, theta, empty, channels, torch.empty(0, 4, 1).double(), True)
    assert not gradient.any()
    assert x_bar is not None
    assert x_bar.shape == (0, 2)
    assert not backend.jets(plan, theta, random_points(3, 2), channels).requires_grad
    assert backend.jets_backward(plan, theta, empty, channels, torch.empty(0, 4, 1).double())[1] is None


def arguments() -> tuple[Plan, Tensor, Tensor, list[Term]]:
    structure, theta, coefficients, terms, _ = make("burgers with unknown nu", (4,), 3)
    return lower(structure.layers), theta, coefficients, terms


def nested_points() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own prototype
        return torch.nested.nested_tensor([torch.zeros(3, 2).double()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": torch.zeros(17, dtype=torch.int64)}, "theta: expected float32 or float64, got torch.int64"),
        ({"theta": torch.zeros(16)}, r"theta: expected shape \(17,\), got \(16,\)"),
        ({"x": torch.zeros(3, 2)}, "x: expected torch.float64 like theta, got torch.float32"),
        ({"x": torch.zeros(3, 3).double()}, r"x: expected shape \(N, 2\), got \(3, 3\)"),
        ({"x": torch.zeros(2).double()}, r"x: expected shape \(N, 2\), got \(2,\)"),
        ({"x": torch.zeros(3, 2, device="meta").double()}, "x: expected device cpu like theta, got meta"),
        ({"channels": ChannelSet.closure(3, [])}, "channels: made for 3 inputs, the network has 2"),
        ({"grad": torch.zeros(3, 2, 1).double()}, r"grad: expected shape \(3, 1, 1\), got \(3, 2, 1\)"),
        ({"grad": torch.zeros(3, 1, 1)}, "grad: expected torch.float64 like theta, got torch.float32"),
        ({"x": [[0.0, 1.0]]}, "x: expected a torch.Tensor, got list"),
        ({"x": np.zeros((3, 2))}, "x: expected a torch.Tensor, got ndarray"),
        ({"theta": None}, "theta: expected a torch.Tensor, got NoneType"),
        ({"x": torch.zeros(3, 2).double().to_sparse()}, "x: expected a dense tensor, got layout torch.sparse_coo"),
        ({"grad": torch.zeros(3, 1, 1).to_mkldnn()}, "grad: expected a dense tensor, got layout torch._mkldnn"),
        ({"x": nested_points()}, "x: expected a dense tensor, got a nested tensor"),
        (
            {"x": torch.zeros(3, 2, dtype=torch.complex128)},
            "x: expected torch.float64 like theta, got torch.complex128",
        ),
    ],
)
def test_bad_jets(direct: Backend, change: dict[str, object], message: str) -> None:
    plan, theta, _, _ = arguments()
    given = {"theta": theta, "x": torch.zeros(3, 2).double(), "channels": ChannelSet.closure(2, [])} | change
    grad = given.pop("grad", torch.zeros(3, 1, 1).double())
    if "grad" not in change:
        with pytest.raises(InputError, match=message):
            direct.jets(plan, **given)
    with pytest.raises(InputError, match=message):
        direct.jets_backward(plan, **given, grad=grad)


def test_bad_terms(direct: Backend) -> None:
    plan, theta, nu, terms = arguments()
    term = terms[0]
    other = CASES["two outputs"].build(3)[0][0]
    two_fields = Case("t x", "u v", lambda u, v: u + v.t, lambda *_: [], {}).build(3)[0]
    short = Term(term.name, term.program, term.points.float(), term.columns)
    mixed = Term(terms[1].name, terms[1].program, terms[1].points, terms[1].columns.float())
    for coefficients, bad, message in [
        (nu, [], "terms: expected at least one loss term"),
        (nu.float(), terms, "coefficients: expected torch.float64 like theta, got torch.float32"),
        (nu[None], terms, r"coefficients: expected shape \(N\), got \(1, 1\)"),
        (nu[:0], terms, "coefficients: term 'residual' asks for number 1, got 0"),
        (nu, [other], r"term 'residual': points: expected shape \(N, N, 2\), got \(1, 3, 3\)"),
        (nu, two_fields, "term 'residual': asks for field 2, the network has 1"),
        (nu, [short], "term 'residual': points: expected torch.float64 like theta, got torch.float32"),
        (nu, [mixed], "term 'data': columns: expected torch.float64 like theta, got torch.float32"),
    ]:
        with pytest.raises(InputError, match=message):
            direct.loss_and_gradient(plan, theta, coefficients, bad, some_weights(bad))
    with pytest.raises(InputError, match="theta: expected shape"):
        direct.loss_and_gradient(plan, theta[1:], nu, terms, some_weights(terms))
    with pytest.raises(InputError, match=r"term 'a': points: expected shape \(1, N >= 1, 2\), got \(3, 2\)"):
        Term("a", term.program, term.points[0], term.columns)
    with pytest.raises(InputError, match=r"term 'a': points: expected shape .* got \(1, 0, 2\)"):
        Term("a", term.program, term.points[:, :0], term.columns[:0])
    with pytest.raises(InputError, match=r"term 'a': columns: expected shape \(3, 0\), got \(3, 1\)"):
        Term("a", term.program, term.points, torch.zeros(3, 1).double())
