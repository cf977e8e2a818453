"""The simplest run along the gradient: one change of the parameters a step. Optimisers of one's own begin here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...kernels.errors import InputError, short
from ..checkpoint import Expectations, Expected
from ..protocol import Task
from .first_order import FirstOrder


class GradientRun(FirstOrder):
    """x <- x + `change` (gradient), x the weights and the free numbers behind the unknown coefficients.

    Args:
        task: what to train.
        steps: at most.
    """

    def __init__(self, task: Task, steps: int) -> None:
        theta = task.net.theta.detach()
        super().__init__(task, steps, theta.dtype)
        free = torch.tensor(task.problem.unknowns.start(task.coefficients), dtype=theta.dtype, device=theta.device)
        self._parameters, self._n_weights, self._done = torch.cat([theta, free]), theta.numel(), 0
        self._good: Tensor | None = None

    @abstractmethod
    def change(self, gradient: Tensor) -> Tensor:
        """What one step adds to the parameters (P + K,), from the gradient of the loss there: of its shape and dtype.

        Called once a step. What it keeps from one call to the next (a momentum) belongs to `saved`, `expected` and
        `restore`, or a resumed run goes on without it, to other weights.
        """

    @property
    def step(self) -> int:
        return self._done

    @property
    def theta(self) -> Tensor:
        return self._parameters[: self._n_weights]

    @property
    def free(self) -> Tensor:
        return self._parameters[self._n_weights :]

    def restore_good(self) -> int:
        if self._good is not None:
            self._parameters, self._good, self._done = self._good, None, self._done - 1
        return self._done

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

    def _take(self, steps: int) -> tuple[Tensor, int | None]:
        losses = list[Tensor]()
        for _ in range(steps):
            row, failed, gradient = self._evaluated()
            if failed is not None:
                self.restore_good()
                return torch.stack(losses) if losses else row[None][:0], failed
            losses.append(row)
            self._good, self._parameters = self._parameters, self._parameters + self._changed(gradient)
            self._done += 1
        return torch.stack(losses), None

    def _changed(self, gradient: Tensor) -> Tensor:
        # These are good, and no step leads away from them, if what follows raises.
        self._good = None
        found = self.change(gradient)
        here = self._parameters
        if not isinstance(found, Tensor) or (found.shape, found.dtype, found.device) != (
            here.shape, here.dtype, here.device,
        ):  # fmt: skip
            got = f"{tuple(found.shape)} of {found.dtype}" if isinstance(found, Tensor) else short(found)
            raise InputError(
                f"optimizer: {type(self).__name__}.change(gradient): expected a tensor {tuple(here.shape)} of "
                f"{here.dtype}, what step {self._done} adds to the parameters, got {got}"
            )
        return found.detach()
