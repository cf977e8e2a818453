"""Taylor mode through a whole network and its hand-written reverse, in torch.

Inside, a jet is a tensor (C, N, width), so that one matrix product serves all channels of a layer. The first layer is
special: its pre-activation is affine in x, so its first derivatives are the same at all points (the "seeds", images of
the unit vectors) and its higher ones vanish. There h_c = a^(|c|)(z) * power_c, a monomial in the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..language.activations import TANH, Activation
from ..language.channels import ChannelSet
from .activation_jet import IN_TORCH, ChainRule, evaluate
from .affine import LayerWeights, add_weight_adjoint, add_weight_adjoint_per_point, affine, affine_input_adjoint


@dataclass
class Tape:
    """What the reverse pass reads.

    ``x`` (N, d); ``seeds`` (C, width): the first layer's constant derivatives, zero but for order 1; ``powers``
    (C, width); ``f``: the activation and its derivatives there. Then per hidden layer its output jet ``h`` and, from
    the second on, its pre-activation jet ``z`` and what the chain rule saved. ``first``: the last hidden layer's jet
    starts there.
    """

    x: Tensor
    seeds: Tensor
    powers: Tensor
    first: int = 0
    f: tuple[Tensor, ...] = ()
    h: list[Tensor] = field(default_factory=list)
    z: list[Tensor] = field(default_factory=list)
    saved: list[Any] = field(default_factory=list)
    rule: ChainRule = IN_TORCH
    activation: Activation = TANH


def forward(
    weights: Sequence[LayerWeights],
    x: Tensor,
    activation: Activation,
    channels: ChannelSet,
    first: int = 0,
    rule: ChainRule = IN_TORCH,
    embedded: Tensor | None = None,
) -> tuple[Tensor, Tape]:
    """Jets of all outputs, (C, N, F), for a network's layers and points x (N, d), or the jets ``embedded`` (C, N, m) of
    what its first layer acts on.

    Of the outputs, only the channels from ``first`` on are computed (the others are zero): a PDE that reads nothing
    but the Laplacian spares the last layers the other channels. ``rule``: how hidden layers from the second on are
    computed.
    """
    if embedded is not None:
        tape = Tape(x, x, x, first if len(weights) > 1 else 0, (), [embedded], rule=rule, activation=activation)
        return _behind(weights, embedded, tape, channels), tape
    n, last = x.shape[0], len(weights) - 1
    value = affine(weights[0], x)
    _add_bias(value, weights[0])
    seeds = value.new_zeros(len(channels), value.shape[1])
    for axis, c in channels.units:
        seeds[c] = weights[0].weight[:, axis]

    if last == 0:
        jet = seeds[:, None, :].repeat(1, n, 1)
        jet[0] = value
        return jet, Tape(x, seeds, seeds)

    powers = seeds.clone()
    for part in channels.leading:
        powers[part.channel] = evaluate(part.monomials, seeds)
    h = value.new_empty(len(channels), *value.shape)
    f = activation.derivatives(activation.keep(value), channels.order + 1)
    h[0] = f[0]
    for run, order in channels.runs[1:]:
        torch.mul(f[order], powers[run, None, :], out=h[run])
    # With one hidden layer there is nothing to spare.
    tape = Tape(x, seeds, powers, first if last > 1 else 0, f, [h], rule=rule, activation=activation)
    return _behind(weights[1:], h, tape, channels), tape


def _behind(weights: Sequence[LayerWeights], h: Tensor, tape: Tape, channels: ChannelSet) -> Tensor:
    """From jets h that general layers act on to those of the outputs; kept on the tape."""
    *hidden, last = weights
    for number, own in enumerate(hidden, start=1):
        z = _affine_jet(own, h)
        _add_bias(z[0], own)
        h, saved = tape.rule.jet(z, tape.activation, channels, tape.first if number == len(hidden) else 0)
        tape.h.append(h)
        tape.z.append(z)
        tape.saved.append(saved)
    u = _affine_jet(last, h)
    if tape.first:
        return torch.cat([u.new_zeros(tape.first, *u.shape[1:]), u])
    _add_bias(u[0], last)
    return u


def backward(
    weights: Sequence[LayerWeights],
    tape: Tape,
    channels: ChannelSet,
    u_bar: Tensor,
    weights_bar: Sequence[LayerWeights],
    need_x: bool = False,
    per_point: bool = False,
) -> Tensor | None:
    """Adjoint of `forward` for the output adjoint u_bar (C, N, F).

    Adds to weights_bar, views of (n_w,), or with ``per_point`` of (N, n_w), one gradient per point (rows of a
    Jacobian). Returns the gradient for x (N, d), or for jets that were given instead, (C, N, m), when asked.
    """
    last, first = len(weights) - 1, tape.first
    # Of a network that acts on jets all layers are general, and what they act on is given.
    ahead = last + 1 - len(tape.h)
    z_bar = u_bar[first:]
    for number in range(last, ahead - 1, -1):
        h, weight_bar = tape.h[number - ahead], weights_bar[number].weight
        if number < last or first == 0:
            _add_bias_adjoint(z_bar[0], weights_bar[number], per_point)
        if per_point:
            add_weight_adjoint_per_point(weight_bar, h, z_bar)
        else:
            add_weight_adjoint(weight_bar, h.flatten(0, 1), z_bar.flatten(0, 1))
        if number == 0:
            return affine_input_adjoint(weights[0], z_bar.flatten(0, 1)).view_as(h) if need_x else None
        h_bar = affine_input_adjoint(weights[number], z_bar.flatten(0, 1)).view_as(h)
        if number > ahead:
            z, saved = tape.z[number - ahead - 1], tape.saved[number - ahead - 1]
            z_bar = tape.rule.adjoint(z, saved, h_bar, tape.activation, channels, first if number == last else 0)

    if last == 0:
        value_bar = u_bar[0]
        seeds_bar = u_bar if per_point else u_bar.sum(1)
    else:
        value_bar, seeds_bar = _first_adjoint(tape, h_bar, channels, per_point)

    _add_bias_adjoint(value_bar, weights_bar[0], per_point)
    weight_bar = weights_bar[0].weight
    if per_point:
        add_weight_adjoint_per_point(weight_bar, tape.x[None], value_bar[None])
    else:
        add_weight_adjoint(weight_bar, tape.x, value_bar)
    for axis, c in channels.units:
        weight_bar[..., axis] += seeds_bar[c]
    return affine_input_adjoint(weights[0], value_bar) if need_x else None


def _first_adjoint(tape: Tape, h_bar: Tensor, channels: ChannelSet, per_point: bool) -> tuple[Tensor, Tensor]:
    """Gradients for the first pre-activation's value (N, width) and for its seeds (C, width) or (C, N, width)."""
    f, powers = tape.f, tape.powers
    value_bar = f[1] * h_bar[0]
    powers_bar = torch.zeros_like(h_bar if per_point else powers)
    for run, order in channels.runs[1:]:
        weighted = h_bar[run.start] * powers[run.start]
        for c in range(run.start + 1, run.stop):
            weighted.addcmul_(h_bar[c], powers[c])
        value_bar.addcmul_(f[order + 1], weighted)
        scaled = h_bar[run] * f[order]
        powers_bar[run] = scaled if per_point else scaled.sum(1)
    seeds_bar = powers_bar.clone()
    for part in channels.leading:
        for b, monomials in part.partials.items():
            seeds_bar[b] += powers_bar[part.channel] * evaluate(monomials, tape.seeds)
    return value_bar, seeds_bar


def _affine_jet(w: LayerWeights, h: Tensor) -> Tensor:
    """W h without the bias: (C, N, fan_in) -> (C, N, fan_out), one matrix product."""
    return affine(w, h.flatten(0, 1)).view(*h.shape[:2], w.weight.shape[0])


def _add_bias(value: Tensor, w: LayerWeights) -> None:
    if w.bias is not None:
        value += w.bias


def _add_bias_adjoint(value_bar: Tensor, w_bar: LayerWeights, per_point: bool) -> None:
    if w_bar.bias is not None:
        w_bar.bias.add_(value_bar if per_point else value_bar.sum(0))
