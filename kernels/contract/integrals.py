"""Terms whose points are one row, R = sum_i q_i r(x_i): from residuals and their adjoint at the points, any backend's.

d (w |R|^2) / d theta = sum_i (2 w q_i R) dr(x_i) / d theta, so that an integral costs what its points cost, and each
row of its Jacobian one pass back. Points go in chunks, whose sums add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..language.regularizer import Regularizer
from ..network.plan import Plan
from .operations import LossAndGradient, Term
from .sums import chunk_rows

if TYPE_CHECKING:
    from .base import Backend


def has_integrals(terms: Sequence[Term]) -> bool:
    return any(term.quadrature is not None for term in terms)


def integral_residuals(backend: Backend, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> Tensor:
    """R (1, m)."""
    total = theta.new_zeros(term.program.n_residuals)
    for q, part in _chunks(plan, term):
        total += q @ backend._residuals(plan, theta, coefficients, part)
    return total[None]


def integral_backward(
    backend: Backend, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, s: Tensor
) -> tuple[Tensor, Tensor]:
    """J^T s for s (1, m), J the Jacobian of R."""
    theta_bar, coefficients_bar = torch.zeros_like(theta), torch.zeros_like(coefficients)
    for q, part in _chunks(plan, term):
        by_theta, by_coefficients = backend._residuals_backward(
            plan, theta, coefficients, part, (q[:, None] * s).contiguous()
        )
        theta_bar += by_theta
        coefficients_bar += by_coefficients
    return theta_bar, coefficients_bar


def integral_jacobian(
    backend: Backend, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term
) -> tuple[Tensor, Tensor]:
    """R (1, m) and its Jacobian (1, m, P + K)."""
    r = integral_residuals(backend, plan, theta, coefficients, term)
    units = torch.eye(term.program.n_residuals, dtype=theta.dtype, device=theta.device)
    rows = [torch.cat(integral_backward(backend, plan, theta, coefficients, term, unit[None])) for unit in units]
    return r, torch.stack(rows)[None]


def integral_loss(
    backend: Backend,
    plan: Plan,
    theta: Tensor,
    coefficients: Tensor,
    terms: Sequence[Term],
    weights: Tensor,
    regularizer: Regularizer | None,
) -> LossAndGradient:
    """`Backend.loss_and_gradient`: the backend's own for all other terms, to which integrals are added."""
    others = [i for i, term in enumerate(terms) if term.quadrature is None]
    losses, penalty = theta.new_zeros(len(terms)), theta.new_zeros(())
    theta_bar, coefficients_bar = torch.zeros_like(theta), torch.zeros_like(coefficients)
    if others:
        found = backend._loss_and_gradient(
            plan, theta, coefficients, [terms[i] for i in others], weights[others], regularizer
        )
        losses[others], penalty = found.losses, found.penalty
        theta_bar, coefficients_bar = found.theta.clone(), found.coefficients.clone()
    elif regularizer is not None:
        penalty, theta_bar = regularizer.value_and_gradient(plan, theta)
    for i, term in enumerate(terms):
        if term.quadrature is not None:
            r = integral_residuals(backend, plan, theta, coefficients, term)
            losses[i] = r.square().sum()
            by_theta, by_coefficients = integral_backward(backend, plan, theta, coefficients, term, 2 * weights[i] * r)
            theta_bar, coefficients_bar = theta_bar + by_theta, coefficients_bar + by_coefficients
    return LossAndGradient(losses, penalty, theta_bar, coefficients_bar)


def integral_gradients(
    backend: Backend, plan: Plan, theta: Tensor, coefficients: Tensor, terms: Sequence[Term]
) -> tuple[Tensor, Tensor]:
    """`Backend.term_gradients`."""
    others = [i for i, term in enumerate(terms) if term.quadrature is None]
    losses = theta.new_zeros(len(terms))
    gradients = theta.new_zeros(len(terms), theta.numel() + coefficients.numel())
    if others:
        losses[others], gradients[others] = backend._term_gradients(
            plan, theta, coefficients, [terms[i] for i in others]
        )
    for i, term in enumerate(terms):
        if term.quadrature is not None:
            r = integral_residuals(backend, plan, theta, coefficients, term)
            losses[i] = r.square().sum()
            gradients[i] = torch.cat(integral_backward(backend, plan, theta, coefficients, term, 2 * r))
    return losses, gradients


def _chunks(plan: Plan, term: Term) -> Iterator[tuple[Tensor, Term]]:
    """(q, the term at some points, as rows of their own)."""
    assert term.quadrature is not None
    step = max(1, chunk_rows(plan, term.program.channels) // term.program.n_sites)
    for start in range(0, term.n_points, step):
        part = term.part(slice(start, start + step))
        assert part.quadrature is not None
        yield part.quadrature, part.pointwise
