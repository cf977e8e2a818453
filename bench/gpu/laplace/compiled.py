"""The hand-written step in torch.compile: loss and backward pass compiled, or the whole step with Adam in one graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.contestants.torch_peers import adam
from bench.suite.contestant import BETAS

from .case import Case
from .eager import ByTorch, EagerStep
from .formulations import Formulation, loss


class FormStep(EagerStep):
    """A formulation in torch, eager or compiled; the backward pass by autograd, Adam fused."""

    def __init__(self, case: Case, form: Formulation, compiler: dict[str, Any] | None = None) -> None:
        super().__init__(case)
        function = partial(_loss, form=form, n_edges=self.n_edges)
        # Sizes never change; without this the second case would be compiled for any size.
        self._loss = function if compiler is None else torch.compile(function, dynamic=False, **compiler)

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        if isinstance(self.net, ByTorch):
            return self.net.layers()
        linears = [module for module in self.net.modules() if isinstance(module, nn.Linear)]
        return [(linear.weight, linear.bias) for linear in linears]

    def loss(self) -> Tensor:
        return self._loss(self.layers(), self.x, self.edge_x, self.edge_u)


class WholeStep:
    """Loss, gradient and Adam as one function of tensors, compiled as one graph unless ``compiler`` is None.

    Dense networks only.
    """

    def __init__(self, case: Case, form: Formulation, compiler: dict[str, Any] | None) -> None:
        data = EagerStep(case)
        self._initial = [parameter.detach().clone() for parameter in data.net.parameters()]
        self._flat = [parameter.clone() for parameter in self._initial]
        self._moments = [[torch.zeros_like(p) for p in self._flat] for _ in BETAS]
        self._done = data.x.new_zeros(())
        self._data = data.x, data.edge_x, data.edge_u
        self._value_and_gradient = partial(_value_and_gradient, form=form, n_edges=data.n_edges)
        step = partial(_adam_step, self._value_and_gradient, lr=case.lr)
        self._step = step if compiler is None else torch.compile(step, dynamic=False, **compiler)

    def steps(self, count: int) -> None:
        with torch.no_grad():
            for _ in range(count):
                self._step(self._flat, *self._moments, self._done, self._data)

    def loss_and_gradient(self) -> tuple[float, Tensor]:
        value, gradients = self._value_and_gradient(self._flat, self._data)
        return float(value), torch.cat([gradient.flatten() for gradient in gradients])

    def parameters(self) -> Tensor:
        return torch.cat([parameter.flatten() for parameter in self._flat])

    def restart(self) -> None:
        """See `EagerStep.restart`."""
        for parameter, value in zip(self._flat, self._initial, strict=True):
            parameter.copy_(value)
        for tensor in (*self._moments[0], *self._moments[1], self._done):
            tensor.zero_()


def _loss(layers: Any, x: Tensor, edge_x: Tensor, edge_u: Tensor, form: Formulation, n_edges: int) -> Tensor:
    return loss(torch, form, layers, x, edge_x, edge_u, n_edges)


def _value_and_gradient(
    flat: Sequence[Tensor], data: tuple[Tensor, Tensor, Tensor], form: Formulation, n_edges: int
) -> tuple[Tensor, Sequence[Tensor]]:
    def of(parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        value = _loss(list(zip(parameters[::2], parameters[1::2], strict=True)), *data, form, n_edges)
        return value, value

    gradients, value = torch.func.grad(of, has_aux=True)(list(flat))
    return value, gradients


def _adam_step(
    value_and_gradient: Callable[..., tuple[Tensor, Sequence[Tensor]]],
    flat: list[Tensor],
    first: list[Tensor],
    second: list[Tensor],
    done: Tensor,
    data: tuple[Tensor, Tensor, Tensor],
    lr: float,
) -> None:
    _, gradients = value_and_gradient(flat, data)
    adam(flat, first, second, done, gradients, lr)
