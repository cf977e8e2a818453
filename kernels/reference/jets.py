"""Taylor mode through a whole network and its hand-written reverse, in torch.

Inside, a jet is a tensor (C, N, width), so that one matrix product serves all channels of a layer. The first layer is
special: its pre-activation is affine in x, so its first derivatives are the same at all points (the "seeds", images of
the unit vectors) and its higher ones vanish. There h_c = tanh^(|c|)(z) * power_c, a monomial in the seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from ..channels import ChannelSet, channel_order
from ..plan import Plan
from .affine import affine, affine_input_adjoint, affine_weight_adjoint, affine_weight_adjoint_per_point
from .tanh_jet import TanhJet, evaluate, tanh_derivatives, tanh_jet, tanh_jet_adjoint


@dataclass
class Tape:
    """What the reverse pass reads.

    ``rows``: points and unit vectors as they entered the first layer; ``seeds`` (C, width): the first layer's constant
    derivatives, zero but for order 1; ``powers`` (C, width); ``first``: tanh and its derivatives there. Then per hidden
    layer its output jet ``h`` and, from the second on, its pre-activation jet ``z`` and what `tanh_jet` saved.
    """

    rows: Tensor
    seeds: Tensor
    powers: Tensor
    first: tuple[Tensor, ...] = ()
    h: list[Tensor] = field(default_factory=list)
    z: list[Tensor] = field(default_factory=list)
    saved: list[TanhJet] = field(default_factory=list)


def forward(plan: Plan, w: Tensor, x: Tensor, channels: ChannelSet) -> tuple[Tensor, Tape]:
    """Jets of all outputs, (C, N, F), for expanded weights w and points x (N, d)."""
    n, d = x.shape
    layer = plan.layers[0]
    # Points and unit vectors go through the first layer together; only the points get the bias.
    rows = torch.cat([x, torch.eye(d, dtype=x.dtype, device=x.device)])
    images = affine(layer, w, rows)
    value = images[:n]
    if layer.bias is not None:
        value += w[layer.bias]
    seeds = value.new_zeros(len(channels), layer.fan_out)
    for axis, c in _unit_channels(channels):
        seeds[c] = images[n + axis]

    if len(plan.layers) == 1:
        jet = seeds[:, None, :].repeat(1, n, 1)
        jet[0] = value
        return jet, Tape(rows, seeds, seeds)

    powers = seeds.clone()
    powers[0] = 1.0
    for part in channels.nonlinear:
        if part.order == channel_order(channels.channels[part.channel]):
            powers[part.channel] = evaluate(part.monomials, seeds)
    f = tanh_derivatives(torch.tanh(value), channels.order + 1)
    h = value.new_empty(len(channels), n, layer.fan_out)
    for run, order in _runs_of_equal_order(channels):
        torch.mul(f[order], powers[run, None, :], out=h[run])
    tape = Tape(rows, seeds, powers, f, [h])

    for number, layer in enumerate(plan.layers[1:], start=2):
        z = affine(layer, w, h.flatten(0, 1)).view(len(channels), n, layer.fan_out)
        if layer.bias is not None:
            z[0] += w[layer.bias]
        if number == len(plan.layers):
            break
        h, saved = tanh_jet(z, channels)
        tape.h.append(h)
        tape.z.append(z)
        tape.saved.append(saved)
    return z, tape


def backward(
    plan: Plan,
    w: Tensor,
    tape: Tape,
    channels: ChannelSet,
    u_bar: Tensor,
    w_bar: Tensor,
    need_x: bool = False,
    per_point: bool = False,
) -> Tensor | None:
    """Adjoint of `forward` for the output adjoint u_bar (C, N, F).

    Adds to w_bar: (n_w,), or with ``per_point`` (N, n_w), one gradient per point (rows of a Jacobian). Returns the
    gradient for x (N, d) when asked.
    """
    z_bar = u_bar
    for number in range(len(plan.layers) - 1, 0, -1):
        layer, h = plan.layers[number], tape.h[number - 1]
        if layer.bias is not None:
            w_bar[..., layer.bias] += z_bar[0] if per_point else z_bar[0].sum(0)
        if per_point:
            affine_weight_adjoint_per_point(layer, h, z_bar, w_bar)
        else:
            affine_weight_adjoint(layer, h.flatten(0, 1), z_bar.flatten(0, 1), w_bar)
        h_bar = affine_input_adjoint(layer, w, z_bar.flatten(0, 1)).view_as(h)
        if number > 1:
            z_bar = tanh_jet_adjoint(tape.z[number - 2], tape.saved[number - 2], h_bar, channels)

    if len(plan.layers) == 1:
        value_bar = u_bar[0]
        seeds_bar = u_bar if per_point else u_bar.sum(1)
    else:
        value_bar, seeds_bar = _first_tanh_adjoint(tape, h_bar, channels, per_point)

    n, d = value_bar.shape[0], plan.d_in
    first = plan.layers[0]
    if first.bias is not None:
        w_bar[..., first.bias] += value_bar if per_point else value_bar.sum(0)
    axes_bar = value_bar.new_zeros(d, *seeds_bar.shape[1:])  # (d, width) or (d, N, width)
    for axis, c in _unit_channels(channels):
        axes_bar[axis] = seeds_bar[c]
    if per_point:
        units = tape.rows[n:, None, :].expand(d, n, d)
        inputs = torch.cat([tape.rows[None, :n], units])
        affine_weight_adjoint_per_point(first, inputs, torch.cat([value_bar[None], axes_bar]), w_bar)
    else:
        affine_weight_adjoint(first, tape.rows, torch.cat([value_bar, axes_bar]), w_bar)
    return affine_input_adjoint(first, w, value_bar) if need_x else None


def _first_tanh_adjoint(tape: Tape, h_bar: Tensor, channels: ChannelSet, per_point: bool) -> tuple[Tensor, Tensor]:
    """Gradients for the first pre-activation's value (N, width) and for its seeds (C, width) or (C, N, width)."""
    f = tape.first
    value_bar: Tensor | None = None
    powers_bar = torch.empty_like(h_bar if per_point else tape.powers)
    for run, order in _runs_of_equal_order(channels):
        weighted = (h_bar[run] * tape.powers[run, None, :]).sum(0)
        value_bar = f[order + 1] * weighted if value_bar is None else value_bar.addcmul_(f[order + 1], weighted)
        scaled = h_bar[run] * f[order]
        powers_bar[run] = scaled if per_point else scaled.sum(1)
    seeds_bar = powers_bar.clone()
    for part in channels.nonlinear:
        if part.order == channel_order(channels.channels[part.channel]):
            for b, monomials in part.partials.items():
                seeds_bar[b] += powers_bar[part.channel] * evaluate(monomials, tape.seeds)
    assert value_bar is not None
    return value_bar, seeds_bar


def _unit_channels(channels: ChannelSet) -> list[tuple[int, int]]:
    """(axis, channel position) of the first derivatives in the set."""
    return [(channel.index(1), c) for c, channel in enumerate(channels.channels) if channel_order(channel) == 1]


def _runs_of_equal_order(channels: ChannelSet) -> list[tuple[slice, int]]:
    """Consecutive channels of one order, which share a derivative of tanh."""
    runs, start = [], 0
    for order, members in groupby(channel_order(channel) for channel in channels.channels):
        stop = start + len(list(members))
        runs.append((slice(start, stop), order))
        start = stop
    return runs
