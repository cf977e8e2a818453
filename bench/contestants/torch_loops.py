"""psinn_fast in training loops of torch: the layers swapped and nothing else, `accelerate`, `derivatives`, `fuse`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import psinn_fast as pf
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import AdamState

from ..suite.case import Case, Data
from ..suite.contestant import BETAS, EPSILON, LEARNING_RATE
from .ours import network_of
from .torch_peers import TorchStep, nested


class Layer(TorchStep):
    """The code of `torch_peers.Nested`, with our network in the place of nn.Sequential."""

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        self.net = self.own = network_of(case, data).to(self.x.dtype)
        self.optimizer = torch.optim.Adam(self.net.parameters(), LEARNING_RATE, BETAS, EPSILON, fused=True)
        self.x.requires_grad_()

    def derivatives(self) -> Mapping[str, Tensor]:
        return nested(self.equation, self.net, self.x)


class Accelerate(TorchStep):
    """The code of `torch_peers.Nested`, of a model that has been through `pf.accelerate`."""

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        del self.optimizer  # of weights that the model will not have
        self.net = Whole(self.net)
        pf.accelerate(self.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), LEARNING_RATE, BETAS, EPSILON, fused=True)
        self.x.requires_grad_()

    def derivatives(self) -> Mapping[str, Tensor]:
        return nested(self.equation, self.net, self.x)


class Whole(nn.Module):
    """A model with a Sequential in it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x)
        return found


class Derivatives(Layer):
    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        self.x.requires_grad_(False)

    def derivatives(self) -> Mapping[str, Tensor]:
        needs = self.equation.needs
        wanted = " ".join(["u", *(f"u_{need}" for need in needs)])
        found = pf.derivatives(self.own, self.x, wanted, coords=" ".join(self.equation.coordinates), fields="u")
        return {"u": found.u[:, None], **{need: getattr(found, f"u_{need}")[:, None] for need in needs}}


class Fuse(Layer):
    """The loss of `Layer`, recorded and fused, in the same loop."""

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        self.columns = [column.detach() for column in self.columns]  # a fused loss gives no gradient for them
        written = super().loss
        self.fused = pf.fuse(lambda net, x: written(), self.own, self.x, coords=" ".join(self.equation.coordinates))

    def loss(self) -> Tensor:
        found: Tensor = self.fused()
        return found


class FuseAndFit(Fuse):
    """The fused loss by steps as `pf.fit` takes them."""

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        problem, theta = self.fused.problem, self.own.theta.detach()  # steps move the network's own weights
        self._terms, self._weights = problem.terms(self.x.dtype), problem.weights().to(theta)
        self._backend = get_backend(case.backend)
        self._state = AdamState(theta, theta.new_empty(0), LEARNING_RATE, betas=BETAS, eps=EPSILON)

    def steps(self, count: int) -> None:
        self._backend.train(self.own.plan, self._state, self._terms, self._weights, count)
