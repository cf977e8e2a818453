"""Adam, full batch: thousands of steps by the kernels without returning to Python (the contract's `train`)."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...kernels import checks
from ...kernels.contract import AdamState
from ...kernels.errors import InputError
from ..checkpoint import Expectations, Expected
from ..identity import options_of
from ..protocol import Optimizer, Task
from .first_order import FirstOrder

_GAMMA = 0.1
_TENSORS = ("theta", "coefficients", "first_moment", "second_moment")


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam's settings (Kingma & Ba 2015): lr is multiplied by gamma at each milestone.

    Args:
        steps: how many; None: as many as the problem's recipe says, for `solve`.
        lr: None: the recipe's, or 1e-3.
        milestones: increasing steps.
        gamma, betas, eps: as in torch.

    Raises:
        InputError: a negative number of steps; a rate that is not positive; milestones that do not increase or do not
            lie between 1 and the last step; a gamma that no milestone uses, or that makes the rate infinite; betas
            outside [0, 1).
    """

    columns: ClassVar[tuple[str, ...]] = ("lr",)

    steps: int | None = None
    lr: float | None = None
    milestones: Sequence[int] = ()
    gamma: float = _GAMMA
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        checked = {
            "steps": None if self.steps is None else checks.integer("steps", self.steps, 0, other="None or "),
            "lr": None if self.lr is None else checks.number("lr", self.lr, above=0, other="None or "),
            "milestones": checks.integers("milestones", self.milestones, 1),
            "gamma": checks.number("gamma", self.gamma, above=0),
            "betas": tuple(checks.numbers("betas", self.betas).ravel().tolist()),
            "eps": checks.number("eps", self.eps, above=0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"betas: expected two numbers >= 0 and < 1, got {self.betas}")
        if any(b <= a for a, b in pairwise(self.milestones)):
            raise InputError(f"milestones: expected increasing steps, got {list(self.milestones)}")
        if self.milestones and self.steps is not None and self.milestones[-1] >= self.steps:
            raise InputError(f"milestones: {self.milestones[-1]} has no effect on a training of {self.steps} steps")
        if self.gamma != _GAMMA and not self.milestones:
            raise InputError("gamma: has no meaning without milestones")
        largest = math.log(self.gamma) * len(self.milestones) + math.log(self.lr or 1.0)
        if largest > math.log(sys.float_info.max):
            raise InputError(
                f"gamma: {self.gamma:g} makes the rate infinite by the last of its {len(self.milestones)} milestones"
            )

    @property
    def name(self) -> str:
        return "adam"

    @property
    def most_steps(self) -> int:
        assert self.steps is not None
        return self.steps

    def identity(self) -> dict[str, Any]:
        return options_of(self, "steps")

    def start(self, task: Task) -> AdamRun:
        return AdamRun(task, self)


class AdamRun(FirstOrder):
    """`Adam` under way."""

    def __init__(self, task: Task, settings: Adam) -> None:
        theta = task.net.theta.detach()
        super().__init__(task, settings.most_steps, theta.dtype)
        start = task.problem.unknowns.start(task.coefficients)
        assert settings.lr is not None
        self._state = AdamState(
            theta.clone(),
            torch.tensor(start, dtype=theta.dtype, device=theta.device),
            settings.lr,
            tuple(settings.milestones),
            settings.gamma,
            settings.betas,
            settings.eps,
        )

    @property
    def step(self) -> int:
        return self._state.step

    @property
    def theta(self) -> Tensor:
        return self._state.theta

    @property
    def free(self) -> Tensor:
        return self._state.coefficients

    def restore_good(self) -> int:
        self._state.restore_good()
        return self.step

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, numbers = self._saved()
        return {**self._own_tensors(), **tensors}, numbers

    def expected(self, numbers: Mapping[str, Any]) -> Expectations:
        # Moments overflow where gradients are large; theta never does.
        tensors = {
            name: Expected(tuple(tensor.shape), tensor.dtype, "moment" not in name)
            for name, tensor in self._own_tensors().items()
        }
        shared = self._expected()
        return Expectations({**tensors, **shared.tensors}, shared.numbers)

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        for name in _TENSORS:
            getattr(self._state, name).copy_(tensors[name])
        self._state.step = numbers["step"]
        self._restore(tensors, numbers)

    def _own_tensors(self) -> dict[str, Tensor]:
        return {name: getattr(self._state, name) for name in _TENSORS}

    def _own_values(self) -> Mapping[str, float]:
        return {"lr": self._state.learning_rate()}

    def _take(self, steps: int) -> tuple[Tensor, int | None]:
        task = self.task
        weights = self._weighed.weights
        report = task.engine.train(task.net.plan, self._state, self.terms, weights, steps, task.regularizer)
        return report.losses, report.failure
