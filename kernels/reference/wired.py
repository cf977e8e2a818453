"""Taylor mode through gated and residual networks and its reverse, in torch: a list of steps on jets (C, N, width)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import torch
from torch import Tensor

from ..language.activations import Activation
from ..language.channels import ChannelSet
from ..network.wiring import GATED
from .activation_jet import ActivationJet, adjoint, jet
from .affine import LayerWeights, add_weight_adjoint, add_weight_adjoint_per_point, affine, affine_input_adjoint


@dataclass
class Layer:
    """An affine layer and the activation behind it, as they were computed: number of the layer, its input's jet, its
    pre-activation's jet, what the chain rule saved, and a(z)."""

    number: int
    h: Tensor
    z: Tensor
    saved: ActivationJet
    activated: Tensor


@dataclass
class WiredTape:
    """What the reverse pass reads: ``gates`` U and V, the hidden ``layers``, the last hidden jet."""

    activation: Activation
    wiring: str
    gates: list[Layer] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    last: Tensor = field(default_factory=lambda: torch.empty(0))


def forward(
    weights: Sequence[LayerWeights], inputs: Tensor, activation: Activation, channels: ChannelSet, wiring: str
) -> tuple[Tensor, WiredTape]:
    """Jets of all outputs (C, N, F), from those of what the first layers act on, (C, N, m)."""
    tape = WiredTape(activation, wiring)

    def layer(number: int, h: Tensor) -> Layer:
        z = _affine(weights[number], h)
        activated, saved = jet(z, activation, channels)
        return Layer(number, h, z, saved, activated)

    if wiring == GATED:
        tape.gates = [layer(0, inputs), layer(1, inputs)]
    h = inputs
    for number in range(len(tape.gates), len(weights) - 1):
        own = layer(number, h)
        tape.layers.append(own)
        if tape.gates:
            u, v = (gate.activated for gate in tape.gates)
            h = v + product(own.activated, u - v, channels)  # a u + (1 - a) v
        else:
            h = own.activated + (h if len(tape.layers) > 1 else 0)
    tape.last = h
    return _affine(weights[-1], h), tape


def backward(
    weights: Sequence[LayerWeights],
    tape: WiredTape,
    channels: ChannelSet,
    u_bar: Tensor,
    weights_bar: Sequence[LayerWeights],
    per_point: bool = False,
) -> Tensor:
    """Adjoint of `forward`: the gradient for the inputs' jets; adds to weights_bar, see `jets.backward`."""
    h_bar = _affine_adjoint(weights[-1], weights_bar[-1], tape.last, u_bar, per_point)
    gates_bar = [torch.zeros_like(h_bar) for _ in tape.gates]

    def through(layer: Layer, activated_bar: Tensor) -> Tensor:
        z_bar = adjoint(layer.z, layer.saved, activated_bar, tape.activation, channels)
        return _affine_adjoint(weights[layer.number], weights_bar[layer.number], layer.h, z_bar, per_point)

    for own in reversed(tape.layers):
        if tape.gates:
            u, v = (gate.activated for gate in tape.gates)
            difference_bar = product_adjoint(own.activated, h_bar, channels)
            gates_bar[0] += difference_bar
            gates_bar[1] += h_bar - difference_bar
            h_bar = through(own, product_adjoint(u - v, h_bar, channels))
        else:
            past = h_bar if own is not tape.layers[0] else torch.zeros_like(own.h)
            h_bar = through(own, h_bar) + past
    return sum((through(gate, own) for gate, own in zip(tape.gates, gates_bar, strict=True)), h_bar)


def product(a: Tensor, b: Tensor, channels: ChannelSet) -> Tensor:
    """Of two jets (C, ...), by Leibniz."""
    rows = [[n * (a[p] * b[q]) for n, p, q in parts] for parts in channels.product_rule]
    return torch.stack([reduce(torch.add, row) for row in rows])


def product_adjoint(a: Tensor, c_bar: Tensor, channels: ChannelSet) -> Tensor:
    """Gradient for b of the product a b, from that of the product."""
    b_bar = torch.zeros_like(c_bar)
    for c, parts in enumerate(channels.product_rule):
        for n, p, q in parts:
            b_bar[q].addcmul_(a[p], c_bar[c], value=n)
    return b_bar


def _affine(w: LayerWeights, h: Tensor) -> Tensor:
    z = affine(w, h.flatten(0, 1)).view(*h.shape[:2], w.weight.shape[0])
    if w.bias is not None:
        z[0] += w.bias
    return z


def _affine_adjoint(w: LayerWeights, w_bar: LayerWeights, h: Tensor, z_bar: Tensor, per_point: bool) -> Tensor:
    """Gradient for h; adds those of weights and biases."""
    if w_bar.bias is not None:
        w_bar.bias.add_(z_bar[0] if per_point else z_bar[0].sum(0))
    if per_point:
        add_weight_adjoint_per_point(w_bar.weight, h, z_bar)
    else:
        add_weight_adjoint(w_bar.weight, h.flatten(0, 1), z_bar.flatten(0, 1))
    return affine_input_adjoint(w, z_bar.flatten(0, 1)).view_as(h)
