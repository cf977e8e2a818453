"""The chain rule through an activation for a channel set, and its adjoint, in torch. Tensors are (C, N, width)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..language.activations import Activation
from ..language.channels import ChannelSet, Monomial


class ActivationJet(NamedTuple):
    """What the adjoint needs: a, a', .., a^(order + 1), and the monomial sum of each nonlinear part."""

    derivatives: tuple[Tensor, ...]
    sums: tuple[Tensor, ...]


class ChainRule(NamedTuple):
    """The chain rule through a hidden layer, and its adjoint.

    ``jet(z, activation, channels, first)`` gives the jet behind the layer, for the channels from ``first`` on, and what
    ``adjoint(z, saved, h_bar, activation, channels, first)`` needs to give the gradient for all channels of z.
    """

    jet: Callable[[Tensor, Activation, ChannelSet, int], tuple[Tensor, Any]]
    adjoint: Callable[[Tensor, Any, Tensor, Activation, ChannelSet, int], Tensor]


def jet(z: Tensor, activation: Activation, channels: ChannelSet, first: int = 0) -> tuple[Tensor, ActivationJet]:
    """h_c = sum_k a^(k)(z) * sum of monomials in z's channels, for the channels from ``first`` on."""
    by_channel = z.unbind(0)
    h = z.new_empty(len(channels) - first, *z.shape[1:])
    f = activation.derivatives(activation.keep(by_channel[0]), channels.order + 1)
    if first == 0:
        h[0] = f[0]
    start = max(first, 1)
    if len(channels) > start:
        torch.mul(z[start:], f[1], out=h[start - first :])
    sums = []
    for part in channels.nonlinear:
        if part.channel >= first:
            total = evaluate(part.monomials, by_channel)
            h[part.channel - first].addcmul_(f[part.order], total)
            sums.append(total)
    return h, ActivationJet(f, tuple(sums))


def adjoint(
    z: Tensor, saved: ActivationJet, h_bar: Tensor, activation: Activation, channels: ChannelSet, first: int = 0
) -> Tensor:
    """Gradient with respect to every channel of z, from that of h's channels from ``first`` on."""
    f = saved.derivatives
    by_channel = z.unbind(0)
    z_bar = torch.empty_like(z)
    z_bar[:first].zero_()
    torch.mul(h_bar, f[1], out=z_bar[first:])
    z_bars, h_bars = z_bar.unbind(0), h_bar.unbind(0)
    start = max(first, 1)
    if len(channels) > start:
        weighted = by_channel[start] * h_bars[start - first]
        for c in range(start + 1, len(channels)):
            weighted.addcmul_(by_channel[c], h_bars[c - first])
        z_bars[0].addcmul_(f[2], weighted)
    parts = [part for part in channels.nonlinear if part.channel >= first]
    for part, total in zip(parts, saved.sums, strict=True):
        c_bar = h_bars[part.channel - first]
        z_bars[0].addcmul_(f[part.order + 1], total * c_bar)
        common = f[part.order] * c_bar
        for b, monomials in part.partials.items():
            scale, factor = _scaled(monomials, by_channel)
            z_bars[b].addcmul_(common, factor, value=scale)
    return z_bar


def evaluate(monomials: Sequence[Monomial], z: Sequence[Tensor] | Tensor) -> Tensor:
    """Sum of coefficient * product of z's channels. May be a view of z: do not write to it."""
    coefficient, total = _scaled(monomials, z)
    return total if coefficient == 1 else coefficient * total


def _scaled(monomials: Sequence[Monomial], z: Sequence[Tensor] | Tensor) -> tuple[float, Tensor]:
    """(s, v) with sum of monomials = s * v; s is the first coefficient, so that a lone monomial costs no scaling."""
    (scale, factors), *others = monomials
    total = _product(factors, z)
    for coefficient, factors in others:
        if len(factors) == 1:
            total = total.add(z[factors[0]], alpha=coefficient / scale)
        else:
            total = total.addcmul(_product(factors[:-1], z), z[factors[-1]], value=coefficient / scale)
    return scale, total


def _product(factors: Sequence[int], z: Sequence[Tensor] | Tensor) -> Tensor:
    value = z[factors[0]]
    for factor in factors[1:]:
        value = value * z[factor]
    return value


IN_TORCH = ChainRule(jet, adjoint)
