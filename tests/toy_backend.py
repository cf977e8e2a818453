"""A backend of a user's own, as short as one can be: jets by nested autograd, everything else inherited."""

from __future__ import annotations

import torch
from helpers import nested_autograd
from torch import Tensor

from psinn_fast import Backend
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.network.plan import Plan


class Toy(Backend):
    name = "toy"

    def _jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        with torch.enable_grad():
            return self._graph(plan.composed, theta, x.detach().requires_grad_(), channels).detach()

    def _jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool
    ) -> tuple[Tensor, Tensor | None]:
        with torch.enable_grad():
            theta, x = (tensor.detach().requires_grad_() for tensor in (theta, x))
            jets = self._graph(plan.composed, theta, x, channels)
            theta_bar, x_bar = torch.autograd.grad(jets, (theta, x), grad, allow_unused=True, materialize_grads=True)
        return theta_bar, x_bar if need_x else None

    def _graph(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        w, u = plan.expand(theta), x
        for number, layer in enumerate(plan.layers):
            weight = w[layer.products[0].weight].view(layer.fan_out, layer.fan_in)
            u = (torch.tanh(u) if number else u) @ weight.T + (0 if layer.bias is None else w[layer.bias])
        eye = [tuple(2 * (i == axis) for i in range(plan.d_in)) for axis in range(plan.d_in)]
        orders = [[eye[axis] for axis in c.axes] if isinstance(c, Laplacian) else [c] for c in channels.channels]
        fields = [[sum(nested_autograd(f, x, i) for i in of) for of in orders] for f in u.unbind(1)]
        return torch.stack([torch.stack(list(derivatives), 1) for derivatives in fields], 2)
