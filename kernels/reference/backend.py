"""The reference backend: plain torch, any device, correct first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..contract.base import Backend
from ..contract.operations import LossAndGradient, Term
from ..contract.sums import batches, chunk_rows, losses_and_gradient
from ..language.activations import ACTIVATIONS
from ..language.channels import MAX_INPUTS, ChannelSet
from ..language.regularizer import Regularizer
from ..network.plan import Plan
from ..network.wiring import WIRINGS
from .activation_jet import IN_TORCH, ChainRule
from .affine import cut
from .network import backward, forward
from .taped import Taped


class ReferenceBackend(Backend, is_checked=False):
    """Plain torch; what it does not have of its own are the defaults of `Backend`.

    It runs composed plans: in torch a signed sum or a small product costs a pass over all points, more than the
    multiplications that it spares.
    """

    name = "reference"
    activations = tuple(ACTIVATIONS)
    most_inputs = MAX_INPUTS
    takes_embeddings = trains_embeddings = True
    wirings = WIRINGS
    # Of losses: how many numbers of a layer are alive at once; None for what suits a CPU.
    numbers: int | None = None

    def _jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        plan = plan.composed
        weights = cut(plan, plan.expand(theta))
        jets = [forward(plan, weights, x[rows], channels)[0] for rows in _rows(plan, channels, x)]
        return torch.cat(jets, 1).transpose(0, 1)

    def _jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool
    ) -> tuple[Tensor, Tensor | None]:
        plan = plan.composed
        w = plan.expand(theta)
        w_bar = torch.zeros_like(w)
        weights, weights_bar = cut(plan, w), cut(plan, w_bar)
        x_bars = []
        for rows in _rows(plan, channels, x):
            _, tape = forward(plan, weights, x[rows], channels)
            u_bar = grad[rows].transpose(0, 1).contiguous()
            x_bars.append(backward(weights, tape, channels, u_bar, weights_bar, need_x))
        x_bar = torch.cat([part for part in x_bars if part is not None]) if need_x else None
        return plan.pull_back(w, w_bar), x_bar

    def _loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        weights: Tensor,
        regularizer: Regularizer | None,
    ) -> LossAndGradient:
        return self._loss(plan, terms, weights, regularizer)(theta, coefficients)

    def _loss(
        self, plan: Plan, terms: Sequence[Term], weights: Tensor, regularizer: Regularizer | None
    ) -> Callable[[Tensor, Tensor], LossAndGradient]:
        plan, rule = plan.composed, self._rule()
        prepared = batches(plan, terms, weights, self.numbers)  # once for all steps of a training

        def loss(theta: Tensor, coefficients: Tensor) -> LossAndGradient:
            network = Taped(plan, theta, rule)
            return losses_and_gradient(network, plan, theta, coefficients, terms, prepared, regularizer)

        return loss

    def _rule(self) -> ChainRule:
        """Of losses: how hidden layers from the second on are computed."""
        return IN_TORCH


def _rows(plan: Plan, channels: ChannelSet, x: Tensor) -> list[slice]:
    step = chunk_rows(plan, channels)
    return [slice(start, start + step) for start in range(0, max(1, x.shape[0]), step)]
