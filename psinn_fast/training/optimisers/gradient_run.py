"""The simplest run along the gradient: one change of the parameters a step. Optimisers of one's own begin here."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ...kernels.errors import InputError, short
from ..protocol import Task
from .vector_run import VectorRun


class GradientRun(VectorRun):
    """x <- x + `change` (gradient), x the weights and the free numbers behind the unknown coefficients.

    Args:
        task: what to train.
        steps: at most.
    """

    def __init__(self, task: Task, steps: int) -> None:
        super().__init__(task, steps, task.net.theta.dtype)
        self._good: Tensor | None = None

    @abstractmethod
    def change(self, gradient: Tensor) -> Tensor:
        """What one step adds to the parameters (P + K,), from the gradient of the loss there: of its shape and dtype.

        Called once a step. What it keeps from one call to the next (a momentum) belongs to `saved`, `expected` and
        `restore`, or a resumed run goes on without it, to other weights.
        """

    def restore_good(self) -> int:
        if self._good is not None:
            self._parameters, self._good, self._done = self._good, None, self._done - 1
        return self._done

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
