"""Quasi-Newton methods on the fused loss: a direction -H g, and a step along it by the strong Wolfe conditions."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ...kernels import checks, get_backend
from ...kernels.contract import total_loss
from ...kernels.language.regularizer import Regularizer
from ...networks.mlp import PsiMLP
from ...problem.problem import Problem
from ..checkpoint import Expectations
from ..history import History
from ..identity import options_of
from ..interrupt import Interrupted, InterruptFlag
from ..protocol import Optimizer, Task
from .inverse_hessians import InverseHessian
from .line_search import Trial, strong_wolfe
from .vector_run import VectorRun


@dataclass(frozen=True)
class QuasiNewton(Optimizer):
    """What all of them can be told.

    Args:
        steps: at most.
        tolerance: it ends where no component of the gradient is larger.
    """

    needs_float64: ClassVar[bool] = True

    steps: int = 1_000
    tolerance: float = 1e-7

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", checks.integer("steps", self.steps, 0))
        object.__setattr__(self, "tolerance", checks.number("tolerance", self.tolerance, least=0))

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> dict[str, Any]:
        return options_of(self, "steps")

    def product_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return torch.float64

    def start(self, task: Task) -> QuasiNewtonRun:
        return QuasiNewtonRun(task, self)

    @abstractmethod
    def inverse_hessian(self, like: Tensor) -> InverseHessian:
        """Of variables ``like`` these (n,)."""


class _Point(NamedTuple):
    """``row``: losses of the terms and the penalty, ``gradient`` (P + K,) of the total at ``x`` (P + K,)."""

    x: Tensor
    row: list[float]
    gradient: Tensor


class QuasiNewtonRun(VectorRun):
    """`QuasiNewton` under way. Points and weights stay: what it learnt of the curvature belongs to one loss."""

    def __init__(self, task: Task, settings: QuasiNewton) -> None:
        super().__init__(task, settings.most_steps, torch.float64, changes=False)
        self._inverse = settings.inverse_hessian(self._parameters)
        self._tolerance = settings.tolerance
        # What is known at x; None: nothing yet.
        self._here: _Point | None = None
        self._reason: str | None = None

    @property
    def gradient(self) -> float:
        """Its largest component at the weights reached."""
        gradient = self._here.gradient if self._here is not None else self._evaluated()[2]
        return float(gradient.abs().max())

    def restore_good(self) -> int:
        """No step leads to where the loss is not finite, so the last weights are good."""
        return self._done

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        (tensors, numbers), (own, counts) = super().saved(), self._inverse.saved()
        return {**own, **tensors}, {**counts, **numbers}

    def expected(self, numbers: Mapping[str, Any]) -> Expectations:
        shared, own = super().expected(numbers), self._inverse.expected()
        return Expectations({**own.tensors, **shared.tensors}, {**own.numbers, **shared.numbers})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        super().restore(tensors, numbers)
        self._here = None
        self._inverse.restore(tensors, numbers)

    def _stopped_by(self) -> str | None:
        return self._reason

    def _take(self, steps: int) -> tuple[Tensor, int | None]:
        if self._here is None:
            row, failed, gradient = self._evaluated()
            if failed is not None:
                return row[None][:0], failed
            self._here = _Point(self._parameters, row.tolist(), gradient)
        rows = list[list[float]]()
        for _ in range(steps):
            rows.append(self._here.row)
            if self.gradient <= self._tolerance:
                self._reason = "gradient"
                break
            found = self._next(self._here)
            if found is None:
                self._reason = "no descent"
                break
            self._parameters, self._here = found.x, found
            self._done += 1
        return torch.tensor(rows, dtype=self._parameters.dtype), None

    def _next(self, here: _Point) -> _Point | None:
        """The end of a step; None: not even the steepest descent leads lower."""
        while True:
            direction = -self._inverse.times(here.gradient)
            slope = float(here.gradient @ direction)
            if math.isfinite(slope) and slope < 0:
                # Nothing is known of the scale yet: a move of length 1 at most.
                first = min(1.0, 1 / math.sqrt(-slope)) if self._inverse.is_blank else 1.0
                start = Trial(0.0, self._total(here.row), slope, here)
                found = strong_wolfe(partial(self._trial, here, direction), start, first)
                if found is not None:
                    self._learn(found.step, here, found.place)
                    return found.place
            if self._inverse.is_blank:
                return None
            self._inverse.forget()

    def _trial(self, here: _Point, direction: Tensor, step: float) -> Trial[_Point]:
        task, x, n = self.task, torch.add(here.x, direction, alpha=step), self._n_weights
        found = task.engine.loss_and_gradient(
            task.net.plan, x[:n], x[n:], self.terms, self._weighed.weights, task.regularizer
        )
        gradient = torch.cat([found.theta, found.coefficients])
        # One transfer from the device.
        slope, *row = torch.cat([(gradient @ direction)[None], found.losses, found.penalty[None]]).tolist()
        return Trial(step, self._total(row), slope, _Point(x, row, gradient))

    def _learn(self, step: float, here: _Point, there: _Point) -> None:
        s, y = there.x - here.x, there.gradient - here.gradient
        sy, ss, yy = torch.stack([s @ y, s @ s, y @ y]).tolist()
        # Otherwise the curvature is negative, or rounding.
        if sy > torch.finfo(s.dtype).eps * math.sqrt(ss) * math.sqrt(yy):
            self._inverse.learn(step, s, y)

    def _total(self, row: list[float]) -> float:
        *terms, penalty = row
        return total_loss(terms, self._weighed.numbers()) + penalty


def minimised(
    problem: Problem, net: PsiMLP, settings: QuasiNewton, regularizer: Regularizer | None = None, backend: str = "auto"
) -> QuasiNewtonRun:
    """A quasi-Newton method without the trainer's comforts, for small tasks within others; ``net`` gets the weights.

    Raises:
        Interrupted: on Ctrl-C.
    """
    with InterruptFlag() as interrupt:
        task = Task(
            problem, net, get_backend(backend, net.theta.device), None, regularizer, History.of((), (), (), ()),
            lambda: interrupt.raised, lambda: interrupt.raised, lambda step, note: None,
        )  # fmt: skip
        run = settings.start(task)
        while run.step < settings.steps and run.advance(settings.steps, False).stopped_by is None:
            if interrupt.signal is not None:
                raise Interrupted("training was interrupted", interrupt.signal)
    with torch.no_grad():
        net.theta.copy_(run.theta)
    return run
