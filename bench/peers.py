"""One training step, written by several means: same weights, same data, same loss, Adam.

loss = mean (u_xx + u_yy)^2 + sum over the four edges of mean (u - u*)^2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import AdamState, Backend, Term
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.networks.mlp import PsiMLP

from .cases import Case


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


class OursStep(TrainStep):
    """A case as a backend trains it."""

    def __init__(self, case: Case, backend: str | Backend = "reference") -> None:
        net = case.network()
        super().__init__(net.plan, net.theta, case.terms(), backend, case.lr)


class ByTorch(nn.Module):
    """A tied network by torch's own operations, which `PsiMLP` leaves to the kernels."""

    def __init__(self, net: PsiMLP) -> None:
        super().__init__()
        self.net = net

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        return self.net.structure.expand(self.net.theta)

    def forward(self, x: Tensor) -> Tensor:
        *hidden, (weight, bias) = self.layers()
        for hidden_weight, hidden_bias in hidden:
            x = torch.tanh(F.linear(x, hidden_weight, hidden_bias))
        return F.linear(x, weight, bias)


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


class EagerStep(TorchStep):
    """Ordinary torch modules, autograd and torch.optim.Adam; subclasses say how the Laplacian is found.

    A tied network is expanded from its theta in every step, by differentiable torch operations.
    """

    def __init__(self, case: Case, dtype: torch.dtype = torch.float32) -> None:
        net = case.network().to(dtype)
        self.net = net.to_sequential() if case.structure is None else ByTorch(net)
        residual, *edges = case.terms(dtype)
        self.x = residual.points[0]
        self.edge_x = torch.cat([edge.points[0] for edge in edges])
        self.edge_u = torch.cat([edge.columns for edge in edges])
        self.n_edges = len(edges)
        # Measured fastest of fused, foreach and the plain loop, by 0.1 to 0.3 ms of 5.7.
        # On a GPU its step count lies on the device: that can be captured in a CUDA graph, and no step waits for it.
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=case.lr, fused=True, capturable=self.x.is_cuda)
        self._initial = [parameter.detach().clone() for parameter in self.net.parameters()]

    def laplacian(self) -> Tensor:
        raise NotImplementedError

    def edge_values(self) -> Tensor:
        return self.net(self.edge_x)

    def loss(self) -> Tensor:
        edge_misfit = (self.edge_values() - self.edge_u).square().mean()  # the edges have equally many points
        return self.laplacian().square().mean() + self.n_edges * edge_misfit

    @torch.no_grad()
    def restart(self) -> None:
        """Back to the initial weights, in place: a CUDA graph knows tensors by where they lie."""
        for parameter, value in zip(self.net.parameters(), self._initial, strict=True):
            parameter.copy_(value)
        for state in self.optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()


class NestedAutogradStep(EagerStep):
    """The usual PINN: torch.autograd.grad of the gradient."""

    def __init__(self, case: Case, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(case, dtype)
        self.x.requires_grad_()

    def laplacian(self) -> Tensor:
        u = self.net(self.x)
        (grad_u,) = torch.autograd.grad(u.sum(), self.x, create_graph=True)
        second = (
            torch.autograd.grad(grad_u[:, axis].sum(), self.x, create_graph=True)[0][:, axis] for axis in range(2)
        )
        return sum(second, start=u.new_zeros(()))


class TaylorStep(EagerStep):
    """Forward Laplacian by hand (value, u_x, u_y, lap), gradients by autograd.

    Written for speed in eager torch. Features come first, (width, N): about 10 % faster at widths 8-16 than points
    first. One product per channel: stacking the channels for a single product costs more in copies than it saves.
    The first layer's derivatives are constants; the last layer maps only the channel that the loss reads.
    """

    def __init__(self, case: Case, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(case, dtype)
        self.first, *self.hidden, self.last = [module for module in self.net.modules() if isinstance(module, nn.Linear)]
        self.x, self.edge_x = self.x.T.contiguous(), self.edge_x.T.contiguous()
        self.one = self.x.new_ones(())

    def laplacian(self) -> Tensor:
        weight = self.first.weight
        t = torch.tanh(_linear(self.first, self.x))
        t1 = torch.addcmul(self.one, t, t, value=-1)
        h_x, h_y = t1 * weight[:, :1], t1 * weight[:, 1:]
        h_lap = (t * t1) * (-2 * weight.square().sum(1, keepdim=True))
        for layer in self.hidden:
            weight = layer.weight
            z_x, z_y, z_lap = weight @ h_x, weight @ h_y, weight @ h_lap
            t = torch.tanh(_linear(layer, t))
            t1 = torch.addcmul(self.one, t, t, value=-1)
            h_x, h_y = t1 * z_x, t1 * z_y
            h_lap = t1 * torch.addcmul(z_lap, t, torch.addcmul(z_x * z_x, z_y, z_y), value=-2)
        return self.last.weight @ h_lap

    def edge_values(self) -> Tensor:
        h = self.edge_x
        for layer in (self.first, *self.hidden):
            h = torch.tanh(_linear(layer, h))
        return F.linear(h.T, self.last.weight, self.last.bias)


def _linear(layer: nn.Linear, h: Tensor) -> Tensor:
    """W h + b for features-first h, (fan_in, N)."""
    return torch.addmm(layer.bias[:, None], layer.weight, h)


PEERS: dict[str, type[OursStep] | type[TaylorStep] | type[NestedAutogradStep]] = {
    "ours": OursStep,
    "taylor": TaylorStep,
    "nested": NestedAutogradStep,
}
