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
from .operations import LossAndGradient, PulledBack, Term
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
    backend: Backend,
    plan: Plan,
    theta: Tensor,
    coefficients: Tensor,
    term: Term,
    s: Tensor,
    need_x: bool = False,
    need_r: bool = False,
) -> PulledBack:
    """J^T s for s (1, m), J the Jacobian of R."""
    theta_bar, coefficients_bar = torch.zeros_like(theta), torch.zeros_like(coefficients)
    by_points: list[Tensor] = []
    total = theta.new_zeros(term.program.n_residuals) if need_r else None
    for q, part in _chunks(plan, term):
        found = backend._residuals_backward(
            plan, theta, coefficients, part, (q[:, None] * s).contiguous(), need_x, need_r
        )
        theta_bar += found.theta
        coefficients_bar += found.coefficients
        by_points += [] if found.points is None else [found.points]
        if total is not None and found.residuals is not None:
            total += q @ found.residuals
    x_bar = torch.cat(by_points, 1) if need_x else None
    return PulledBack(theta_bar, coefficients_bar, x_bar, None if total is None else total[None])


def integral_jacobian(
    backend: Backend, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term
) -> tuple[Tensor, Tensor]:
    """R (1, m) and its Jacobian (1, m, P + K)."""
    r = integral_residuals(backend, plan, theta, coefficients, term)
    units = torch.eye(term.program.n_residuals, dtype=theta.dtype, device=theta.device)
    rows = [torch.cat(integral_backward(backend, plan, theta, coefficients, term, unit[None])[:2]) for unit in units]
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
            s = 2 * weights[i] * r
            by_term = integral_backward(backend, plan, theta, coefficients, term, s)
            theta_bar, coefficients_bar = theta_bar + by_term.theta, coefficients_bar + by_term.coefficients
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
            gradients[i] = torch.cat(integral_backward(backend, plan, theta, coefficients, term, 2 * r)[:2])
    return losses, gradients


def _chunks(plan: Plan, term: Term) -> Iterator[tuple[Tensor, Term]]:
    """(q, the term at some points, as rows of their own)."""
    assert term.quadrature is not None
    step = max(1, chunk_rows(plan, term.program.channels) // term.program.n_sites)
    for start in range(0, term.n_points, step):
        part = term.part(slice(start, start + step))
        assert part.quadrature is not None
        yield part.quadrature, part.pointwise
