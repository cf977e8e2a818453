"""Losses of all terms with their gradients, and the residual Jacobian, in torch. Plans are composed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..channels import ChannelSet
from ..contract import LossAndGradient, Term
from ..plan import Plan
from ..program import Coefficient, Jet, Program
from ..regularizer import Regularizer
from ..torch_program import TorchProgram, torch_program
from .affine import layer_weights
from .jets import backward, forward

# Numbers alive per layer, thread and chunk of points: what a layer reads and writes should stay in a core's cache.
CHUNK_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Group:
    """Terms with one program, side by side.

    ``spans``: (index of a term, its rows); ``factors`` (N,): 2 weight / N of its term, d loss / d r = factor * r.
    """

    run: TorchProgram
    program: Program
    points: Tensor
    columns: Tensor
    spans: tuple[tuple[int, slice], ...]
    factors: Tensor


@dataclass(frozen=True)
class Batch:
    """Groups with one channel set, whose points x go through the network in one call.

    ``first``: no program reads a channel before it.
    """

    channels: ChannelSet
    groups: tuple[Group, ...]
    x: Tensor
    first: int


def batches(plan: Plan, terms: Sequence[Term]) -> list[Batch]:
    """Group terms by channel set; a term too large for one chunk is cut into several (its index stays)."""
    factors = [2 * term.weight / term.n_points for term in terms]
    by_channels: dict[ChannelSet, list[tuple[int, Term]]] = {}
    for index, term in enumerate(terms):
        by_channels.setdefault(term.program.channels, []).append((index, term))
    result = []
    for channels, members in by_channels.items():
        room = chunk_rows(plan, channels)
        small: dict[Program, list[tuple[int, Term]]] = {}
        for index, term in members:
            n_chunks = -(-term.points.shape[0] * term.n_points // room)
            if n_chunks == 1:
                small.setdefault(term.program, []).append((index, term))
                continue
            step = -(-term.n_points // n_chunks)
            for start in range(0, term.n_points, step):
                part = [(index, _cut(term, slice(start, start + step)))]
                result.append(_batch(channels, [_group(part, factors)]))
        if small:
            result.append(_batch(channels, [_group(part, factors) for part in small.values()]))
    return result


def chunk_rows(plan: Plan, channels: ChannelSet) -> int:
    """How many points go through the network at once."""
    return max(1, CHUNK_ELEMENTS * torch.get_num_threads() // (len(channels) * plan.widest))


def _batch(channels: ChannelSet, groups: list[Group]) -> Batch:
    read = [kind.channel for group in groups for kind in group.program.inputs if isinstance(kind, Jet)]
    x = torch.cat([group.points.flatten(0, 1) for group in groups])
    return Batch(channels, tuple(groups), x, min(read, default=0))


def _group(members: list[tuple[int, Term]], factors: Sequence[float]) -> Group:
    program = members[0][1].program
    spans, start = [], 0
    for index, term in members:
        spans.append((index, slice(start, start + term.n_points)))
        start += term.n_points
    points = torch.cat([term.points for _, term in members], 1)
    columns = torch.cat([term.columns for _, term in members])
    weights = torch.cat([term.points.new_full((term.n_points,), factors[index]) for index, term in members])
    return Group(torch_program(program), program, points, columns, tuple(spans), weights)


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
    w = plan.expand(theta)
    w_bar = torch.zeros_like(w)
    weights, weights_bar = layer_weights(plan, w), layer_weights(plan, w_bar)
    coefficients_bar = torch.zeros_like(coefficients)
    squares: list[list[Tensor]] = [[] for _ in terms]
    for batch in prepared:
        jets, tape = forward(weights, batch.x, batch.channels, batch.first)
        jets_bar = torch.zeros_like(jets)
        start = 0
        for group in batch.groups:
            n_sites, n = group.points.shape[:2]
            stop = start + n_sites * n
            own, own_bar = (_by_site(tensor[:, start:stop], n_sites) for tensor in (jets, jets_bar))
            arguments = (own, group.points, group.columns, coefficients)
            residuals = [_per_point(r, group.columns) for r in group.run.residuals(*arguments)]
            for index, rows in group.spans:
                squares[index] += [part.dot(part) for part in (r[rows] for r in residuals)]
            gradients = group.run.adjoint(*arguments, [r * group.factors for r in residuals])
            for (register, _), value in zip(group.program.gradients, gradients, strict=True):
                match group.program.inputs[register]:
                    case Jet(site, field, channel):
                        own_bar[site, channel, :, field] = value
                    case Coefficient(k):
                        coefficients_bar[k] += _per_point(value, group.columns).sum()
            start = stop
        backward(weights, tape, batch.channels, jets_bar, weights_bar)
    losses = torch.stack([torch.stack(parts).sum() / term.n_points for parts, term in zip(squares, terms, strict=True)])
    theta_bar = plan.pull_back(w, w_bar)
    penalty = losses.new_zeros(())
    if regularizer is not None:
        penalty, penalty_bar = regularizer.value_and_gradient(plan, theta)
        theta_bar = theta_bar + penalty_bar
    return LossAndGradient(losses, penalty, theta_bar, coefficients_bar)


def residual_jacobian(plan: Plan, theta: Tensor, coefficients: Tensor, term: Term) -> tuple[Tensor, Tensor]:
    """r (N, m) and J (N, m, P + K) of one term."""
    w = plan.expand(theta)
    weights = layer_weights(plan, w)
    program, channels = term.program, term.program.channels
    n_sites, n = term.points.shape[:2]
    jets, tape = forward(weights, term.points.flatten(0, 1), channels)
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
        w_bar = theta.new_zeros(n_sites * n, plan.expansion.shape[0])
        backward(weights, tape, channels, jets_bar, layer_weights(plan, w_bar), per_point=True)
        per_residual = w_bar.view(n_sites, n, -1).sum(0)
        jacobian[:, i, : plan.n_parameters] = plan.pull_back_rows(w, per_residual)
    return residuals, jacobian


def _per_point(value: Tensor | float, columns: Tensor) -> Tensor:
    """A residual or adjoint as (N,); programs give plain numbers for what is the same at all points."""
    return torch.as_tensor(value, dtype=columns.dtype, device=columns.device).expand(columns.shape[0])


def _by_site(jets: Tensor, n_sites: int) -> Tensor:
    """(C, n_sites * N, F) seen as (n_sites, C, N, F)."""
    n_channels, rows, n_fields = jets.shape
    return jets.view(n_channels, n_sites, rows // n_sites, n_fields).transpose(0, 1)
