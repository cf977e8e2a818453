"""The losses of all terms with their gradients, for any network that can go forwards and backwards.

Terms that read the same channels go through the network together, in chunks that fit into a core's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from ..language.channels import ChannelSet
from ..language.program import Jet, Program
from ..language.regularizer import Regularizer
from ..network.plan import Plan
from .evaluation import Evaluation, by_site
from .operations import LossAndGradient, Term

if TYPE_CHECKING:
    from .base import Backend

# Numbers alive per layer, thread and chunk of points: what a layer reads and writes should stay in a core's cache.
CHUNK_ELEMENTS = 1 << 20


class Network(Protocol):
    """A network at fixed weights, which collects the gradient for them."""

    def forward(self, x: Tensor, channels: ChannelSet, first: int) -> tuple[Tensor, Any]:
        """Jets (C, M, F) at points x (M, d), and what `backward` needs; channels before ``first`` may be anything."""
        ...

    def backward(self, tape: Any, channels: ChannelSet, jets_bar: Tensor) -> None:
        """Add what d/d(jets), (C, M, F), means for the weights."""
        ...

    def gradient(self) -> Tensor:
        """(P,): what all calls of `backward` have added."""
        ...


class ByOperations:
    """The network by a backend's operations on jets. Nothing is kept between the two: the adjoint computes it anew."""

    def __init__(self, backend: Backend, plan: Plan, theta: Tensor) -> None:
        self._backend, self._plan, self._theta = backend, plan, theta
        self._theta_bar = torch.zeros_like(theta)

    def forward(self, x: Tensor, channels: ChannelSet, first: int) -> tuple[Tensor, Any]:
        return self._backend._jets(self._plan, self._theta, x, channels).transpose(0, 1), x

    def backward(self, tape: Any, channels: ChannelSet, jets_bar: Tensor) -> None:
        grad = jets_bar.transpose(0, 1).contiguous()
        self._theta_bar += self._backend._jets_backward(self._plan, self._theta, tape, channels, grad, False)[0]

    def gradient(self) -> Tensor:
        return self._theta_bar


@dataclass(frozen=True)
class TermGroup:
    """Terms with one program, side by side.

    ``spans``: (index of a term, its rows); ``factors`` (N,): 2 weight / N of its term, d loss / d r = factor * r.
    """

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
    groups: tuple[TermGroup, ...]
    x: Tensor
    first: int


def batches(plan: Plan, terms: Sequence[Term], weights: Tensor, numbers: int | None = None) -> list[Batch]:
    """Group terms by channel set, as many as fit into a chunk; a term too large for one is cut up (its index stays).

    ``numbers``: see `chunk_rows`.
    """
    factors = [weight / (term.n_points / 2) for term, weight in zip(terms, weights.detach(), strict=True)]
    by_channels: dict[ChannelSet, list[tuple[int, Term]]] = {}
    for index, term in enumerate(terms):
        by_channels.setdefault(term.program.channels, []).append((index, term))
    result = []
    for channels, members in by_channels.items():
        room = chunk_rows(plan, channels, numbers)
        small: dict[Program, list[tuple[int, Term]]] = {}
        joined = 0
        for index, term in members:
            rows = term.points.shape[0] * term.n_points
            if rows <= room:
                if joined + rows > room:
                    result.append(_batch(channels, [_group(part, factors) for part in small.values()]))
                    small, joined = {}, 0
                small.setdefault(term.program, []).append((index, term))
                joined += rows
                continue
            step = -(-term.n_points // -(-rows // room))
            for start in range(0, term.n_points, step):
                part = [(index, term.part(slice(start, start + step)))]
                result.append(_batch(channels, [_group(part, factors)]))
        if small:
            result.append(_batch(channels, [_group(part, factors) for part in small.values()]))
    return result


def chunk_rows(plan: Plan, channels: ChannelSet, numbers: int | None = None) -> int:
    """How many points go through the network at once: of a layer, ``numbers`` are then alive, or what suits a CPU."""
    numbers = numbers or CHUNK_ELEMENTS * torch.get_num_threads()
    return max(1, numbers // (len(channels) * plan.widest))


def _batch(channels: ChannelSet, groups: list[TermGroup]) -> Batch:
    read = [kind.channel for group in groups for kind in group.program.inputs if isinstance(kind, Jet)]
    x = torch.cat([group.points.flatten(0, 1) for group in groups])
    return Batch(channels, tuple(groups), x, min(read, default=0))


def _group(members: list[tuple[int, Term]], factors: Sequence[Tensor]) -> TermGroup:
    program = members[0][1].program
    spans, start = [], 0
    for index, term in members:
        spans.append((index, slice(start, start + term.n_points)))
        start += term.n_points
    points = torch.cat([term.points for _, term in members], 1)
    columns = torch.cat([term.columns for _, term in members])
    by_point = torch.cat([factors[index].expand(term.n_points) for index, term in members])
    return TermGroup(program, points, columns, tuple(spans), by_point)


def losses_and_gradient(
    network: Network,
    plan: Plan,
    theta: Tensor,
    coefficients: Tensor,
    terms: Sequence[Term],
    prepared: Sequence[Batch],
    regularizer: Regularizer | None,
) -> LossAndGradient:
    """See `Backend.loss_and_gradient`. ``network``: at theta; ``prepared``: the `batches` of the terms."""
    coefficients_bar = torch.zeros_like(coefficients)
    squares: list[list[Tensor]] = [[] for _ in terms]
    for batch in prepared:
        jets, tape = network.forward(batch.x, batch.channels, batch.first)
        jets_bar = torch.zeros_like(jets)
        start = 0
        for group in batch.groups:
            n_sites, n = group.points.shape[:2]
            stop = start + n_sites * n
            own, own_bar = (by_site(tensor[:, start:stop], n_sites) for tensor in (jets, jets_bar))
            at = Evaluation(group.program, own, group.points, group.columns, coefficients)
            residuals = at.residuals()
            for index, rows in group.spans:
                squares[index] += [part.dot(part) for part in (r[rows] for r in residuals)]
            for k, value in at.pull_back([r * group.factors for r in residuals], own_bar):
                coefficients_bar[k] += value.sum()
            start = stop
        network.backward(tape, batch.channels, jets_bar)
    losses = torch.stack([torch.stack(parts).sum() / term.n_points for parts, term in zip(squares, terms, strict=True)])
    theta_bar = network.gradient()
    penalty = losses.new_zeros(())
    if regularizer is not None:
        penalty, penalty_bar = regularizer.value_and_gradient(plan, theta)
        theta_bar = theta_bar + penalty_bar
    return LossAndGradient(losses, penalty, theta_bar, coefficients_bar)
