"""A whole network, however its inputs are made and its layers are wired: jets of its outputs, and their adjoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..language.activations import activation_of
from ..language.channels import ChannelSet
from ..language.closed_form import ClosedForm
from ..network.plan import Plan
from ..network.wiring import PLAIN
from . import jets, wired
from .activation_jet import IN_TORCH, ChainRule
from .affine import Weights


@dataclass
class Tape:
    """What `backward` reads: of the layers, and jets of features with the unknown numbers (N, K) that made them."""

    layers: jets.Tape | wired.WiredTape
    features: Tensor | None = None
    unknown: Tensor | None = None


def forward(
    plan: Plan,
    weights: Weights,
    x: Tensor,
    channels: ChannelSet,
    first: int = 0,
    rule: ChainRule = IN_TORCH,
) -> tuple[Tensor, Tape]:
    """(C, N, F) at points x (N, d), and what `backward` reads. ``plan``: composed; the rest as for `jets.forward`."""
    activation, unknown = activation_of(plan.activation), None
    if weights.unknown is None:
        embedded = features = plan.embedded(x, channels)
    else:
        # torch leads gradients back to them, point by point.
        with torch.enable_grad():
            unknown = weights.unknown.detach().expand(len(x), -1).clone().requires_grad_()
            features = plan.embedded(x, channels, unknown)
        assert features is not None
        embedded = features.detach()
    if plan.wiring == PLAIN:
        u, own = jets.forward(weights.layers, x, activation, channels, first, rule, embedded)
        return u, Tape(own, features, unknown)
    inputs = ClosedForm.identity(plan.d_in).jets(x, channels) if embedded is None else embedded
    u, wires = wired.forward(weights.layers, inputs, activation, channels, plan.wiring)
    return u, Tape(wires, features, unknown)


def backward(
    weights: Weights,
    tape: Tape,
    channels: ChannelSet,
    u_bar: Tensor,
    weights_bar: Weights,
    need_x: bool = False,
    per_point: bool = False,
) -> Tensor | None:
    """See `jets.backward`; the gradient for x only of networks that act on x itself."""
    if tape.unknown is None:
        inputs_bar = _backward(weights, tape, channels, u_bar, weights_bar, need_x, per_point)
        if inputs_bar is None or isinstance(tape.layers, jets.Tape):
            return inputs_bar
        return inputs_bar[0]  # x is the value of its jet, whose derivatives are constants
    features_bar = _backward(weights, tape, channels, u_bar, weights_bar, True, per_point)
    assert tape.features is not None
    assert weights_bar.unknown is not None
    (unknown_bar,) = torch.autograd.grad(tape.features, tape.unknown, features_bar, retain_graph=True)
    weights_bar.unknown.add_(unknown_bar if per_point else unknown_bar.sum(0))
    return None


def _backward(
    weights: Weights,
    tape: Tape,
    channels: ChannelSet,
    u_bar: Tensor,
    weights_bar: Weights,
    need_inputs: bool,
    per_point: bool,
) -> Tensor | None:
    """Through the layers; the gradient for what the first ones act on, if asked: x, or jets (C, N, m)."""
    pair = weights.layers, weights_bar.layers
    if isinstance(tape.layers, jets.Tape):
        return jets.backward(pair[0], tape.layers, channels, u_bar, pair[1], need_inputs, per_point)
    inputs_bar = wired.backward(pair[0], tape.layers, channels, u_bar, pair[1], per_point)
    return inputs_bar if need_inputs else None
