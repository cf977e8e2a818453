"""Jets by operations that torch differentiates: to any order, forwards, batched; slower than the kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from ..language.activations import Activation, activation_of
from ..language.channels import ChannelSet
from ..network.plan import Plan
from .activation_jet import evaluate
from .affine import LayerWeights, layer_weights


def differentiable_jets(plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
    """What `Backend.jets` gives, (N, C, F), as a function of theta and x whose every derivative torch knows.

    For second derivatives, forward mode and the transforms of torch.func. Nothing is changed in place, since
    torch.func.vmap has no rule for that.
    """
    if plan.ansatz is not None:
        return plan.ansatz.jets(x, channels, differentiable_jets(plan.bare, theta, x, channels))
    plan, activation = plan.composed, activation_of(plan.activation)
    first, *others = layer_weights(plan, plan.expand(theta))
    embedded = plan.embedded(x, channels)
    if embedded is not None:
        z = _affine(first, embedded)
    else:
        # One row per channel: the first layer is affine in x, so that its first derivatives are constants.
        columns = {c: first.weight[:, axis] for axis, c in channels.units}
        zero = first.weight.new_zeros(first.weight.shape[0])
        z = [_biased(x @ first.weight.T, first.bias), *(columns.get(c, zero) for c in range(1, len(channels)))]
    for own in others:
        h = _activated(z, activation, channels)
        z = _affine(own, torch.stack([row.expand_as(h[0]) for row in h]))
    return torch.stack([own.expand_as(z[0]) for own in z], 1)


def _affine(layer: LayerWeights, h: Tensor) -> list[Tensor]:
    value, *higher = (h @ layer.weight.T).unbind(0)
    return [_biased(value, layer.bias), *higher]


def point_gradient(plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor) -> Tensor:
    """The adjoint of `Backend.jets` for the points: grad (N, C, F) -> (N, d)."""
    with torch.enable_grad():
        own = x.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(differentiable_jets(plan, theta.detach(), own, channels), own, grad)
    return found


def _biased(value: Tensor, bias: Tensor | None) -> Tensor:
    return value if bias is None else value + bias


def _activated(z: list[Tensor], activation: Activation, channels: ChannelSet) -> list[Tensor]:
    """h_c = sum_k a^(k)(z) * sum of monomials in z's channels."""
    f = activation.derivatives(activation.keep(z[0]), max(channels.order, 1))
    h = [f[0], *(f[1] * own for own in z[1:])]
    for part in channels.nonlinear:
        h[part.channel] = h[part.channel] + f[part.order] * evaluate(part.monomials, z)
    return h
