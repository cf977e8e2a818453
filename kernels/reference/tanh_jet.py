"""The chain rule through tanh for a whole channel set, and its adjoint, in torch. Tensors are (C, N, width)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..channels import ChannelSet, Monomial


class TanhJet(NamedTuple):
    """What the adjoint needs: tanh, tanh', .., tanh^(order + 1), and the monomial sum of each nonlinear part."""

    derivatives: tuple[Tensor, ...]
    sums: tuple[Tensor, ...]


def tanh_derivatives(t: Tensor, order: int) -> tuple[Tensor, ...]:
    """tanh, tanh', ..., tanh^(order) as polynomials in t = tanh z; order <= 5."""
    t1 = torch.addcmul(torch.ones((), dtype=t.dtype, device=t.device), t, t, value=-1)
    derivatives = [t, t1]
    if order >= 2:
        derivatives.append((t * t1).mul_(-2))
    if order >= 3:
        square = t * t
        derivatives.append((6 * square - 2).mul_(t1))
    if order >= 4:
        derivatives.append((16 - 24 * square).mul_(t).mul_(t1))
    if order >= 5:
        derivatives.append(((120 * square - 120) * square + 16).mul_(t1))
    return tuple(derivatives)


def tanh_jet(z: Tensor, channels: ChannelSet) -> tuple[Tensor, TanhJet]:
    """h_c = sum_k tanh^(k)(z) * sum of monomials in z's channels."""
    f = tanh_derivatives(torch.tanh(z[0]), channels.order + 1)
    h = torch.empty_like(z)
    h[0] = f[0]
    if len(channels) > 1:
        torch.mul(z[1:], f[1], out=h[1:])
    sums = []
    for part in channels.nonlinear:
        total = evaluate(part.monomials, z)
        h[part.channel].addcmul_(f[part.order], total)
        sums.append(total)
    return h, TanhJet(f, tuple(sums))


def tanh_jet_adjoint(z: Tensor, saved: TanhJet, h_bar: Tensor, channels: ChannelSet) -> Tensor:
    """Gradient with respect to every channel of z, from that of h."""
    f = saved.derivatives
    z_bar = h_bar * f[1]
    if len(channels) > 1:
        z_bar[0].addcmul_(f[2], (z[1:] * h_bar[1:]).sum(0))
    for part, total in zip(channels.nonlinear, saved.sums, strict=True):
        c_bar = h_bar[part.channel]
        z_bar[0].addcmul_(f[part.order + 1] * total, c_bar)
        common = f[part.order] * c_bar
        for b, monomials in part.partials.items():
            z_bar[b].addcmul_(common, evaluate(monomials, z))
    return z_bar


def evaluate(monomials: Sequence[Monomial], z: Tensor) -> Tensor:
    """Sum of coefficient * product of z's channels. May be a view of z: do not write to it."""
    (coefficient, factors), *others = monomials
    total = _product(factors, z)
    if coefficient != 1:
        total = coefficient * total
    for coefficient, factors in others:
        if len(factors) == 1:
            total = total.add(z[factors[0]], alpha=coefficient)
        else:
            total = total.addcmul(_product(factors[:-1], z), z[factors[-1]], value=coefficient)
    return total


def _product(factors: Sequence[int], z: Tensor) -> Tensor:
    value = z[factors[0]]
    for factor in factors[1:]:
        value = value * z[factor]
    return value
