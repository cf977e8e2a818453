"""Iterations of Gauss-Newton, theta - (J^T J + damping)^-1 J^T r, where |r|^2 is the loss: ours and torch.func's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from psinn_fast.kernels import get_backend
from psinn_fast.training.least_squares import linearise
from psinn_fast.training.residuals import Residuals

from ..suite.case import Case, Data
from .ours import Ours
from .torch_peers import Func

DAMPING = 1e-3
# Rows of the peer's Jacobian at a time: all at once take gigabytes.
_ROWS = 1_024


class OurIteration(Ours):
    """`residual_jacobian`, the Gram matrix by chunks, Cholesky; without the rule by which `fit` damps."""

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        self._engine = get_backend(case.backend)
        self._residuals = Residuals(self._engine, self.plan, self._terms, [1.0] * len(self._terms))

    def steps(self, count: int) -> None:
        x, found = self._state.theta, self._residuals
        for _ in range(count):
            equations = linearise(self._engine, partial(found.chunks, x), found.rows, x, DAMPING)
            equations.damp(DAMPING, torch.ones_like(x))
            x += equations.step()

    def work(self) -> dict[str, Any]:
        """Multiply-adds are those of gradients: an iteration has others."""
        return {name: value for name, value in super().work().items() if name != "multiply_adds"}


class TorchIteration(Func):
    """torch.func's vmap of reverse over nested derivatives, with the same algebra."""

    def steps(self, count: int) -> None:
        for _ in range(count):
            self._step()

    def _step(self) -> None:
        parameters = {name: parameter.detach() for name, parameter in self.net.named_parameters()}
        n = sum(parameter.numel() for parameter in parameters.values())
        gram, gradient = self.x.new_zeros(n, n), self.x.new_zeros(n)

        def boundary(parameters: dict[str, Tensor], point: Tensor, value: Tensor) -> Tensor:
            found: Tensor = functional_call(self.net, parameters, (point,)) - value
            return found.squeeze(-1)

        def inside(parameters: dict[str, Tensor], point: Tensor) -> Tensor:
            d = self.at(parameters, point)
            found: Tensor = self.equation.residual(torch, list(point), d)
            return found

        self._add(gram, gradient, inside, parameters, self.x.detach())
        self._add(gram, gradient, boundary, parameters, self.edge, self.values)
        gram.diagonal().add_(DAMPING)
        step = -torch.cholesky_solve(gradient[:, None], torch.linalg.cholesky(gram))[:, 0]
        torch.nn.utils.vector_to_parameters(
            torch.nn.utils.parameters_to_vector(parameters.values()) + step, self.net.parameters()
        )

    @staticmethod
    def _add(
        gram: Tensor, gradient: Tensor, residual: Callable[..., Tensor], parameters: dict[str, Tensor], *data: Tensor
    ) -> None:
        """J^T J and J^T r of one mean square."""
        scale = len(data[0]) ** -0.5
        shared = (None, *(0 for _ in data))
        for part in zip(*(array.split(_ROWS) for array in data), strict=True):
            jacobian = vmap(jacrev(residual), shared)(parameters, *part)
            rows = scale * torch.cat([found.flatten(1) for found in jacobian.values()], 1)
            r = scale * vmap(residual, shared)(parameters, *part)
            gram.addmm_(rows.T, rows)
            gradient.addmv_(rows.T, r)
