"""Residuals, J^T s and the gradients of single terms against float64 autograd, for every backend."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import CASES, make, plain_losses, plain_residuals, some_weights
from helpers import random_theta, relative_error

from psinn_fast.kernels.contract import Backend
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.published import laplace_even

# Two exact methods in float64, some hundred operations long.
ROUNDING = 1e-11


@pytest.mark.parametrize("case", CASES)
def test_residuals_and_their_adjoint(backend: Backend, case: str) -> None:
    structure, theta, coefficients, terms, plains = make(case, (7, 3), 5)
    plan = lower(structure.layers)
    for term, plain in zip(terms, plains, strict=True):
        trained = theta.clone().requires_grad_(), coefficients.clone().requires_grad_()
        expected = plain_residuals(structure, *trained, term, plain)
        assert relative_error(backend.residuals(plan, theta, coefficients, term), expected) < ROUNDING
        s = torch.linspace(-1, 2, expected.numel(), dtype=torch.float64).view_as(expected)
        wanted = torch.autograd.grad(expected, trained, s, allow_unused=True, materialize_grads=True)
        found = backend.residuals_backward(plan, theta, coefficients, term, s)
        assert (found.points, found.residuals) == (None, None)
        assert [tuple(part.shape) for part in found[:2]] == [tuple(part.shape) for part in trained]
        assert relative_error(torch.cat(found[:2]), torch.cat(wanted)) < ROUNDING
        with_r = backend.residuals_backward(plan, theta, coefficients, term, s, need_r=True)
        assert with_r.residuals is not None
        assert relative_error(with_r.residuals, expected) < ROUNDING
        assert torch.equal(with_r.theta, found.theta)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [5, 70])
def test_the_gradient_for_the_points(backend: Backend, case: str, n: int) -> None:
    """As far as the network reads them: a residual's own coordinates count as given."""
    structure, theta, coefficients, terms, plains = make(case, (7, 3), n)
    plan = lower(structure.layers)
    for term, plain in zip(terms, plains, strict=True):
        read = replace(term, points=term.points.clone().requires_grad_())
        residuals = plain_residuals(structure, theta, coefficients, read, plain, coordinates=term.points)
        s = torch.linspace(-1, 2, residuals.numel(), dtype=torch.float64).view_as(residuals)
        (wanted,) = torch.autograd.grad(residuals, read.points, s, allow_unused=True, materialize_grads=True)
        found = backend.residuals_backward(plan, theta, coefficients, term, s, need_x=True)
        assert found.points is not None
        assert found.points.shape == term.points.shape
        assert relative_error(found.points, wanted) < ROUNDING
        without = backend.residuals_backward(plan, theta, coefficients, term, s)
        assert torch.equal(found.theta, without.theta)
        assert torch.equal(found.coefficients, without.coefficients)


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_single_terms(backend: Backend, case: str) -> None:
    structure, theta, coefficients, terms, plains = make(case, (7, 3), 5)
    losses, gradients = backend.term_gradients(lower(structure.layers), theta, coefficients, terms)
    assert gradients.shape == (len(terms), theta.numel() + coefficients.numel())
    for term, plain, loss, gradient in zip(terms, plains, losses, gradients, strict=True):
        (expected,), *slopes = plain_losses(structure, theta, coefficients, [term], [plain])
        assert relative_error(loss, expected) < ROUNDING
        assert relative_error(gradient, torch.cat(slopes) / some_weights([term])) < ROUNDING


def test_a_tied_network(backend: Backend) -> None:
    """J^T s is the Jacobian's transpose times s."""
    _, _, coefficients, (term, *_), _ = make("laplace", (3,), 9)
    structure = laplace_even()
    plan, theta = lower(structure.layers), random_theta(structure, 2)
    r, jacobian = backend.residual_jacobian(plan, theta, coefficients, term)
    s = torch.linspace(-1, 2, 9, dtype=torch.float64)[:, None]
    assert relative_error(backend.residuals(plan, theta, coefficients, term), r) < ROUNDING
    found = torch.cat(backend.residuals_backward(plan, theta, coefficients, term, s)[:2])
    assert relative_error(found, torch.einsum("nmp,nm->p", jacobian, s)) < ROUNDING


def test_not_a_number_stays_where_it_is(backend: Backend) -> None:
    structure, theta, coefficients, (term, *_), _ = make("laplace", (4,), 5)
    term.points[0, 2] = torch.nan
    r = backend.residuals(lower(structure.layers), theta, coefficients, term)
    assert r.isnan().any(1).tolist() == [False, False, True, False, False]


def test_bad_input(backend: Backend) -> None:
    structure, theta, coefficients, terms, _ = make("burgers with unknown nu", (4,), 3)
    plan, term = lower(structure.layers), terms[0]
    s = torch.zeros(3, 1, dtype=torch.float64)
    for bad, message in [
        (s[:2], r"s: expected shape \(3, 1\), got \(2, 1\)"),
        (s.float(), "s: expected torch.float64 like theta, got torch.float32"),
        (s.to("meta"), "s: expected device cpu like theta, got meta"),
    ]:
        with pytest.raises(InputError, match=message):
            backend.residuals_backward(plan, theta, coefficients, term, bad)
    with pytest.raises(InputError, match="coefficients: term 'residual' asks for number 1, got 0"):
        backend.residuals(plan, theta, coefficients[:0], term)
    with pytest.raises(InputError, match="terms: expected at least one loss term"):
        backend.term_gradients(plan, theta, coefficients, [])
    with pytest.raises(InputError, match=r"theta: expected shape \(17,\), got \(16,\)"):
        backend.residuals(plan, theta[1:], coefficients, term)
