"""A whole network, however its inputs are made and its layers are wired: jets of its outputs, and their adjoint."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..language.activations import activation_of
from ..language.channels import ChannelSet
from ..language.closed_form import ClosedForm
from ..network.plan import Plan
from ..network.wiring import PLAIN
from . import jets, wired
from .activation_jet import IN_TORCH, ChainRule
from .affine import LayerWeights

Tape = jets.Tape | wired.WiredTape


def forward(
    plan: Plan,
    weights: Sequence[LayerWeights],
    x: Tensor,
    channels: ChannelSet,
    first: int = 0,
    rule: ChainRule = IN_TORCH,
) -> tuple[Tensor, Tape]:
    """(C, N, F) at points x (N, d), and what `backward` reads. ``plan``: composed; the rest as for `jets.forward`."""
    activation, embedded = activation_of(plan.activation), plan.embedded(x, channels)
    if plan.wiring == PLAIN:
        return jets.forward(weights, x, activation, channels, first, rule, embedded)
    inputs = ClosedForm.identity(plan.d_in).jets(x, channels) if embedded is None else embedded
    return wired.forward(weights, inputs, activation, channels, plan.wiring)


def backward(
    weights: Sequence[LayerWeights],
    tape: Tape,
    channels: ChannelSet,
    u_bar: Tensor,
    weights_bar: Sequence[LayerWeights],
    need_x: bool = False,
    per_point: bool = False,
) -> Tensor | None:
    """See `jets.backward`; the gradient for x only of networks that act on x itself."""
    if isinstance(tape, jets.Tape):
        return jets.backward(weights, tape, channels, u_bar, weights_bar, need_x, per_point)
    inputs_bar = wired.backward(weights, tape, channels, u_bar, weights_bar, per_point)
    return inputs_bar[0] if need_x else None  # x is the value of its jet, whose derivatives are constants
