"""Losses of all terms with their gradients, and the residual Jacobian, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..channels import ChannelSet
from ..contract import LossAndGradient, Term
from ..plan import Plan
from ..program import Coefficient, Jet
from ..regularizer import Regularizer
from .jets import backward, forward
from .torch_program import torch_program

# Numbers alive per layer and chunk of points: bounds the memory, whatever N is.
CHUNK_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Batch:
    """Terms with one channel set, whose points go through the network in one call."""

    channels: ChannelSet
    members: tuple[tuple[int, Term], ...]
    x: Tensor


def batches(plan: Plan, terms: Sequence[Term]) -> list[Batch]:
    """Group terms by channel set; a term too large for one chunk is cut into several (its index stays)."""
    grouped: dict[ChannelSet, list[tuple[int, Term]]] = {}
    for index, term in enumerate(terms):
        grouped.setdefault(term.program.channels, []).append((index, term))
    result = []
    for channels, members in grouped.items():
        room = max(1, CHUNK_ELEMENTS // (len(channels) * plan.widest))
        small = []
        for index, term in members:
            rows = term.points.shape[0] * term.n_points
            if rows <= room:
                small.append((index, term))
                continue
            step = max(1, room // term.points.shape[0])
            for start in range(0, term.n_points, step):
                result.append(_batch(channels, [(index, _cut(term, slice(start, start + step)))]))
        if small:
            result.append(_batch(channels, small))
    return result


def _batch(channels: ChannelSet, members: list[tuple[int, Term]]) -> Batch:
    points = [term.points.flatten(0, 1) for _, term in members]
    return Batch(channels, tuple(members), points[0] if len(points) == 1 else torch.cat(points))


def _cut(term: Term, rows: slice) -> Term:
    return Term(term.name, term.program, term.points[:, rows], term.columns[rows], term.weight)


def losses_and_gradient(
    plan: Plan,
    theta: Tensor,
    coefficients: Tensor,
    terms: Sequence[Term],
    prepared: Sequence[Batch],
    regularizer: Regularizer | None,
) -> LossAndGradient:
    w = plan.expansion.apply(theta)
    w_bar = torch.zeros_like(w)
    coefficients_bar = torch.zeros_like(coefficients)
    losses = theta.new_zeros(len(terms))
    for batch in prepared:
        jets, tape = forward(plan, w, batch.x, batch.channels)
        jets_bar = torch.zeros_like(jets)
        start = 0
        for index, term in batch.members:
            n_sites, n = term.points.shape[:2]
            stop = start + n_sites * n
            own, own_bar = (_by_site(tensor[:, start:stop], n_sites) for tensor in (jets, jets_bar))
            run = torch_program(term.program)
            arguments = (own, term.points, term.columns, coefficients)
            residuals = [_per_point(r, term.columns) for r in run.residuals(*arguments)]
            total = terms[index].n_points  # of the uncut term
            for r in residuals:
                losses[index] += r.dot(r) / total
            r_bar = [r * (2 * term.weight / total) for r in residuals]
            gradients = run.adjoint(*arguments, r_bar)
            for (register, _), value in zip(term.program.gradients, gradients, strict=True):
                match term.program.inputs[register]:
                    case Jet(site, field, channel):
                        own_bar[site, channel, :, field] = value
                    case Coefficient(k):
                        coefficients_bar[k] += _per_point(value, term.columns).sum()
            start = stop
        backward(plan, w, tape, batch.channels, jets_bar, w_bar)
    theta_bar = plan.expansion.transpose(w_bar)
    penalty = losses.new_zeros(())
    if regularizer is not None:
        penalty, penalty_bar = regularizer.value_and_gradient(plan, theta)
        theta_bar = theta_bar + penalty_bar
    return LossAndGradient(losses, penalty, theta_bar, coefficients_bar)


def residual_jacobian(plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> tuple[Tensor, Tensor]:
    """r (N, m) and J (N, m, P + K) of one term."""
    w = plan.expansion.apply(theta)
    program, channels = term.program, term.program.channels
    n_sites, n = term.points.shape[:2]
    jets, tape = forward(plan, w, term.points.flatten(0, 1), channels)
    run = torch_program(program)
    arguments = (_by_site(jets, n_sites), term.points, term.columns, coefficients)
    residuals = torch.stack([_per_point(r, term.columns) for r in run.residuals(*arguments)], 1)
    jacobian = theta.new_zeros(n, program.n_residuals, plan.n_parameters + coefficients.numel())
    for i in range(program.n_residuals):
        r_bar = [theta.new_full((n,), float(i == k)) for k in range(program.n_residuals)]
        jets_bar = torch.zeros_like(jets)
        own_bar = _by_site(jets_bar, n_sites)
        for (register, _), value in zip(program.gradients, run.adjoint(*arguments, r_bar), strict=True):
            match program.inputs[register]:
                case Jet(site, field, channel):
                    own_bar[site, channel, :, field] = value
                case Coefficient(k):
                    jacobian[:, i, plan.n_parameters + k] = value
        w_bar = w.new_zeros(n_sites * n, w.numel())
        backward(plan, w, tape, channels, jets_bar, w_bar, per_point=True)
        per_residual = w_bar.view(n_sites, n, -1).sum(0)
        jacobian[:, i, : plan.n_parameters] = plan.expansion.transpose_rows(per_residual)
    return residuals, jacobian


def _per_point(value: Tensor | float, columns: Tensor) -> Tensor:
    """A residual or adjoint as (N,); programs give plain numbers for what is the same at all points."""
    return torch.as_tensor(value, dtype=columns.dtype, device=columns.device).expand(columns.shape[0])


def _by_site(jets: Tensor, n_sites: int) -> Tensor:
    """(C, n_sites * N, F) seen as (n_sites, C, N, F)."""
    n_channels, rows, n_fields = jets.shape
    return jets.view(n_channels, n_sites, rows // n_sites, n_fields).transpose(0, 1)
