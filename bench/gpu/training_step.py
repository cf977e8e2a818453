"""Training steps that are timed: by a backend, and by torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import AdamState, Backend, Term
from psinn_fast.kernels.network.plan import Plan


class Step(Protocol):
    """What is timed (``steps``) and checked; gradient and parameters in the order W1 (row-major), b1, W2, ..."""

    def steps(self, count: int) -> None: ...

    def loss_and_gradient(self) -> tuple[float, Tensor]: ...

    def parameters(self) -> Tensor: ...


class TrainStep:
    """Operations 3 and 4 of a backend on any plan and terms; ``steps`` is one call of ``train``."""

    def __init__(
        self,
        plan: Plan,
        theta: Tensor,
        terms: Sequence[Term],
        backend: str | Backend = "reference",
        lr: float = 1e-3,
        weights: Tensor | None = None,
    ) -> None:
        self._backend = get_backend(backend) if isinstance(backend, str) else backend
        self._plan, self.terms = plan, terms
        theta = theta.detach().clone()
        self._weights = theta.new_ones(len(terms)) if weights is None else weights.to(theta)
        self._state = AdamState(theta, theta.new_empty(0), lr)

    def step(self) -> None:
        self.steps(1)

    def steps(self, count: int) -> None:
        self._backend.train(self._plan, self._state, self.terms, self._weights, count)

    def loss_and_gradient(self) -> tuple[float, Tensor]:
        state = self._state
        result = self._backend.loss_and_gradient(self._plan, state.theta, state.coefficients, self.terms, self._weights)
        return float(result.losses @ self._weights.to(result.losses)), result.theta

    def parameters(self) -> Tensor:
        return self._state.theta


class TorchStep:
    """A loss of a torch module, its gradient by autograd, and a step of torch.optim.Adam."""

    net: nn.Module
    optimizer: torch.optim.Optimizer

    def loss(self) -> Tensor:
        raise NotImplementedError

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def loss_and_gradient(self) -> tuple[float, Tensor]:
        loss = self.loss()
        gradients = torch.autograd.grad(loss, list(self.net.parameters()))
        return float(loss.detach()), torch.cat([gradient.flatten() for gradient in gradients])

    def parameters(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.net.parameters()])
