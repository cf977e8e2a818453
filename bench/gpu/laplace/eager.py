"""One training step, by a backend and in eager torch: same weights, same data, same loss, Adam.

loss = mean (u_xx + u_yy)^2 + sum over the four edges of mean (u - u*)^2
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.contestants.torch_peers import nested
from bench.suite.equations import EQUATIONS
from psinn_fast.kernels.contract import Backend
from psinn_fast.networks.mlp import PsiMLP

from ..training_step import TorchStep, TrainStep
from .case import Case


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
        return nested(EQUATIONS["laplace"], self.net, self.x)["lap"]
