"""Terms whose points are one row, sum_i q_i r(x_i), against float64 autograd, for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from cases import Plain, make, plain_residuals, some_weights
from helpers import random_theta, refused, relative_error
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend, Term
from psinn_fast.kernels.contract import integrals as integrals_module
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.published import laplace_even
from psinn_fast.networks.structure import Structure

SLOW = pytest.mark.without("triton", reason="its interpreter would take seconds")
ROUNDING = 1e-11
CASES = ["burgers with unknown nu", "two outputs", "periodic"]


def summed(term: Term) -> Term:
    return replace(term, quadrature=torch.linspace(-0.2, 0.7, term.n_points, dtype=term.points.dtype))


def plain_loss(structure: Structure, trained: tuple[Tensor, Tensor], term: Term, plain: Plain) -> tuple[Tensor, Tensor]:
    """Rows (n_rows, m) and loss, with their graph."""
    rows = plain_residuals(structure, *trained, term, plain)
    rows = rows if term.quadrature is None else (term.quadrature @ rows)[None]
    return rows, rows.square().sum(1).mean()


def mixed(case: str) -> tuple[Structure, Tensor, Tensor, list[Term], Sequence[Plain]]:
    """The first term is an integral; where there are more, the others have rows of their own."""
    structure, theta, coefficients, (first, *others), plains = make(case, (7, 3), 5)
    return structure, theta, coefficients, [summed(first), *others], plains


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients(backend: Backend, case: str) -> None:
    structure, theta, coefficients, terms, plains = mixed(case)
    plan, weights, penalty = lower(structure.layers), some_weights(terms), Regularizer("l2", 1e-2)
    trained = theta.clone().requires_grad_(), coefficients.clone().requires_grad_()
    losses = [plain_loss(structure, trained, *pair)[1] for pair in zip(terms, plains, strict=True)]
    each = [
        torch.cat(torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True, materialize_grads=True))
        for loss in losses
    ]
    value, slope = penalty.value_and_gradient(plan, theta)
    expected = weights @ torch.stack(each)
    expected[: theta.numel()] += slope
    found = backend.loss_and_gradient(plan, theta, coefficients, terms, weights, penalty)
    assert relative_error(found.losses, torch.stack(losses)) < ROUNDING
    assert relative_error(found.penalty, value) < ROUNDING
    assert relative_error(torch.cat([found.theta, found.coefficients]), expected) < ROUNDING
    apart, gradients = backend.term_gradients(plan, theta, coefficients, terms)
    assert relative_error(apart, torch.stack(losses)) < ROUNDING
    assert relative_error(gradients, torch.stack(each)) < ROUNDING


@pytest.mark.parametrize("case", CASES)
def test_rows(backend: Backend, case: str) -> None:
    structure, theta, coefficients, (term, *_), (plain, *_) = mixed(case)
    plan, m = lower(structure.layers), term.program.n_residuals
    trained = theta.clone().requires_grad_(), coefficients.clone().requires_grad_()
    rows, _ = plain_loss(structure, trained, term, plain)
    assert relative_error(backend.residuals(plan, theta, coefficients, term), rows) < ROUNDING
    s = torch.linspace(-1, 2, m, dtype=torch.float64)[None]
    options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    back = torch.cat(torch.autograd.grad(rows, trained, s, **options))
    assert (
        relative_error(torch.cat(backend.residuals_backward(plan, theta, coefficients, term, s)[:2]), back) < ROUNDING
    )
    both = backend.residuals_backward(plan, theta, coefficients, term, s, need_x=True, need_r=True)
    assert both.points is not None
    assert both.points.shape == term.points.shape
    assert both.residuals is not None
    assert relative_error(both.residuals, rows) < ROUNDING
    r, jacobian = backend.residual_jacobian(plan, theta, coefficients, term)
    slopes = torch.stack([torch.cat(torch.autograd.grad(rows[0, k], trained, **options)) for k in range(m)])[None]
    assert relative_error(r, rows) < ROUNDING
    assert relative_error(jacobian, slopes) < ROUNDING
    parts = [backend.residual_jacobian(plan, theta, coefficients, term, rows) for rows in (slice(2), slice(2, 5))]
    assert relative_error(sum(part[0] for part in parts), rows) < ROUNDING
    assert relative_error(sum(part[1] for part in parts), slopes) < ROUNDING


def test_training_follows_the_gradient(backend: Backend) -> None:
    structure, theta, coefficients, terms, _ = mixed("burgers with unknown nu")
    plan, weights = lower(structure.layers), some_weights(terms)
    ours, by_hand = (AdamState(theta.clone(), coefficients.clone(), lr=1e-2) for _ in range(2))
    report = backend.train(plan, ours, terms, weights, 3)
    losses = []
    for _ in range(3):
        found = backend.loss_and_gradient(plan, by_hand.theta, by_hand.coefficients, terms, weights)
        losses.append(torch.cat([found.losses, found.penalty[None]]))
        by_hand.advance(torch.cat([found.theta, found.coefficients]))
    assert report.failure is None
    assert torch.equal(report.losses, torch.stack(losses).cpu())
    assert torch.equal(ours.theta, by_hand.theta)
    terms[0].points[0, 1] = torch.nan
    assert backend.train(plan, ours, terms, weights, 2).failure == 0
    assert bool(torch.isfinite(ours.theta).all())


@SLOW
def test_chunks_add_up(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    structure, theta, coefficients, terms, _ = mixed("two outputs")
    plan, weights = lower(structure.layers), some_weights(terms)
    whole = backend.loss_and_gradient(plan, theta, coefficients, terms, weights)
    monkeypatch.setattr(integrals_module, "chunk_rows", lambda plan, channels: 2)
    found = backend.loss_and_gradient(plan, theta, coefficients, terms, weights)
    assert relative_error(found.losses, whole.losses) < ROUNDING
    assert relative_error(found.theta, whole.theta) < ROUNDING
    assert relative_error(found.coefficients, whole.coefficients) < ROUNDING


@SLOW
def test_only_integrals(backend: Backend) -> None:
    """Without another term there is still a penalty."""
    structure, theta, coefficients, (term, *_), _ = mixed("two outputs")
    plan, penalty = lower(structure.layers), Regularizer("l2", 1e-2)
    found = backend.loss_and_gradient(plan, theta, coefficients, [term], some_weights([term]), penalty)
    value, slope = penalty.value_and_gradient(plan, theta)
    alone = backend.loss_and_gradient(plan, theta, coefficients, [term], some_weights([term]))
    assert relative_error(found.penalty, value) < ROUNDING
    assert relative_error(found.theta, alone.theta + slope) < ROUNDING


@SLOW
def test_float32(backend: Backend) -> None:
    structure, theta, coefficients, (term, *_), _ = mixed("two outputs")
    plan = lower(structure.layers)
    exact = backend.loss_and_gradient(plan, theta, coefficients, [term], some_weights([term]))
    small = [
        replace(
            term,
            points=term.points.float(),
            columns=term.columns.float(),
            quadrature=term.quadrature.float() if term.quadrature is not None else None,
        )
    ]
    found = backend.loss_and_gradient(plan, theta.float(), coefficients.float(), small, some_weights(small))
    assert relative_error(found.losses, exact.losses) < 1e-4
    assert relative_error(found.theta, exact.theta) < 1e-4


def test_what_is_refused(direct: Backend) -> None:
    structure, theta, coefficients, (term, *_), _ = mixed("two outputs")
    plan = lower(structure.layers)
    refused("quadrature: expected shape (5,), got (4,)", lambda: replace(term, quadrature=torch.ones(4)))
    single = replace(term, quadrature=torch.ones(5))
    refused("quadrature: expected torch.float64", lambda: direct.residuals(plan, theta, coefficients, single))
    s = torch.ones(5, term.program.n_residuals, dtype=torch.float64)
    refused("s: expected shape (1, 3)", lambda: direct.residuals_backward(plan, theta, coefficients, term, s))


@SLOW
def test_a_tied_network(backend: Backend) -> None:
    """The row of the Jacobian is the weighted sum of the points' rows."""
    _, _, coefficients, (term, *_), _ = make("laplace", (3,), 9)
    structure, term = laplace_even(), summed(term)
    plan, theta = lower(structure.layers), random_theta(structure, 2)
    _, rows = backend.residual_jacobian(plan, theta, coefficients, term.pointwise)
    _, row = backend.residual_jacobian(plan, theta, coefficients, term)
    assert relative_error(row[0], torch.einsum("n,nmp->mp", term.quadrature, rows)) < ROUNDING
