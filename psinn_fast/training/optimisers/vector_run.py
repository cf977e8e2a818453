"""Runs whose parameters are one vector, weights and the free numbers behind the unknown coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..checkpoint import Expectations, Expected
from ..protocol import Task
from .first_order import FirstOrder


class VectorRun(FirstOrder):
    """Keeps the parameters (P + K,) and the number of steps done, and saves both."""

    def __init__(self, task: Task, steps: int, dtype: torch.dtype, changes: bool = True) -> None:
        super().__init__(task, steps, dtype, changes=changes)
        theta = task.net.theta.detach().to(dtype)
        free = torch.tensor(task.problem.unknowns.start(task.coefficients), dtype=dtype, device=theta.device)
        self._parameters, self._n_weights, self._done = torch.cat([theta, free]), theta.numel(), 0

    @property
    def step(self) -> int:
        return self._done

    @property
    def theta(self) -> Tensor:
        return self._parameters[: self._n_weights]

    @property
    def free(self) -> Tensor:
        return self._parameters[self._n_weights :]

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, numbers = self._saved()
        return {"parameters": self._parameters, **tensors}, numbers

    def expected(self, numbers: Mapping[str, Any]) -> Expectations:
        shape = Expected(tuple(self._parameters.shape), self._parameters.dtype)
        tensors, checks = self._expected()
        return Expectations({"parameters": shape, **tensors}, checks)

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self._parameters = tensors["parameters"].to(self._parameters)
        self._done = numbers["step"]
        self._restore(tensors, numbers)
