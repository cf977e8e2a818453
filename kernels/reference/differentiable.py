"""Jets by operations that torch differentiates: to any order, forwards, batched; slower than the kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from ..language.activations import Activation, activation_of
from ..language.channels import ChannelSet
from ..network.plan import Plan
from ..network.wiring import RESIDUAL, encoders
from .activation_jet import evaluate
from .affine import LayerWeights, cut
from .wired import product


def differentiable_jets(plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
    """What `Backend.jets` gives, (N, C, F), as a function of theta and x whose every derivative torch knows.

    For second derivatives, forward mode and the transforms of torch.func. Nothing is changed in place, since
    torch.func.vmap has no rule for that.
    """
    if plan.ansatz is not None:
        return plan.ansatz.jets(x, channels, differentiable_jets(plan.bare, theta, x, channels))
    plan, activation = plan.composed, activation_of(plan.activation)
    weights, unknown = cut(plan, plan.expand(theta))
    embedded = plan.embedded(x, channels, unknown)

    def on_inputs(own: LayerWeights) -> list[Tensor]:
        if embedded is not None:
            return _affine(own, embedded)
        # One row per channel: the layer is affine in x, so that its first derivatives are constants.
        columns = {c: own.weight[:, axis] for axis, c in channels.units}
        zero = own.weight.new_zeros(own.weight.shape[0])
        return [_biased(x @ own.weight.T, own.bias), *(columns.get(c, zero) for c in range(1, len(channels)))]

    def hidden(z: list[Tensor]) -> Tensor:
        h = _activated(z, activation, channels)
        return torch.stack([row.expand_as(h[0]) for row in h])

    ahead = encoders(plan.wiring)
    gates = [hidden(on_inputs(own)) for own in weights[:ahead]]
    z = on_inputs(weights[ahead])
    h: Tensor | None = None
    for own in weights[ahead + 1 :]:
        activated = hidden(z)
        if gates:
            h = gates[1] + product(activated, gates[0] - gates[1], channels)
        else:
            h = activated if h is None or plan.wiring != RESIDUAL else h + activated
        z = _affine(own, h)
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
