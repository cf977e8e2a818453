"""`TorchOptimizer` under way."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from ...kernels.contract import total_loss
from ...kernels.errors import CheckpointError, InputError, one_line
from ..checkpoint import Expectations, Expected
from ..protocol import Task
from .first_order import FirstOrder
from .torch_made import Made
from .torch_state import decoded, encoded, fitted, names, with_dtypes


class MakesOptimizers(Protocol):
    """Settings from which torch's optimiser is made."""

    @property
    def most_steps(self) -> int: ...

    def made_for(self, parameters: list[torch.nn.Parameter]) -> Made: ...


class TorchRun(FirstOrder):
    """A run by an optimiser of torch, and its schedule if it has one."""

    def __init__(self, task: Task, settings: MakesOptimizers) -> None:
        dtype, device = task.net.theta.dtype, task.net.theta.device
        super().__init__(task, settings.most_steps, dtype)
        self._settings = settings
        start = torch.tensor(task.problem.unknowns.start(task.coefficients), dtype=dtype)
        self._theta = torch.nn.Parameter(task.net.theta.detach().clone())
        self._free = torch.nn.Parameter(start.to(device))
        self._trained = [self._theta, *([self._free] if self._free.numel() else [])]
        self._made = settings.made_for(self._trained)
        self._optimizer, self._schedule = self._made.optimizer, self._made.schedule
        if device.type == "cpu" and any(group.get("capturable") for group in self._optimizer.param_groups):
            raise InputError("make: capturable=True is for GPUs, and the network is on the CPU; leave it out")
        # What it learnt of the curvature belongs to one loss.
        self._weighed.is_constant |= self._made.needs_closure
        self._done = 0
        self._good: tuple[int, list[Tensor]] | None = None

    @property
    def step(self) -> int:
        return self._done

    @property
    def theta(self) -> Tensor:
        return self._theta.detach()

    @property
    def free(self) -> Tensor:
        return self._free.detach()

    def restore_good(self) -> int:
        if self._good is not None:
            self._done, kept = self._good
            self._good = None
            with torch.no_grad():
                for now, good in zip(self._trained, kept, strict=True):
                    now.copy_(good)
        return self._done

    def _keep_good(self) -> None:
        self._good = self._done, [parameter.detach().clone() for parameter in self._trained]

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"theta": self._theta.detach(), "coefficients": self._free.detach()}
        state = self._optimizer.state_dict()
        optimizer = encoded({"state": state["state"], "groups": state["param_groups"]}, "optimizer", tensors)
        schedule = None if self._schedule is None else encoded(self._schedule.state_dict(), "scheduler", tensors)
        shared, numbers = self._saved()
        return {**tensors, **shared}, {**numbers, "optimizer": optimizer, "scheduler": schedule}

    def expected(self, numbers: Mapping[str, Any]) -> Expectations:
        own = {
            "theta": Expected(tuple(self._theta.shape), self._theta.dtype),
            "coefficients": Expected(tuple(self._free.shape), self._free.dtype),
        }
        # What an optimiser keeps it alone knows; `restore` looks at it.
        kept = [name for part in ("optimizer", "scheduler") for name in names(numbers.get(part))]
        shared = self._expected()
        return Expectations(
            {**{name: Expected(None, None, finite=False) for name in kept}, **own, **shared.tensors},
            {**shared.numbers, "optimizer": _anything, "scheduler": _anything},
        )

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self._theta.copy_(tensors["theta"])
            self._free.copy_(tensors["coefficients"])
        self._done = numbers["step"]
        # Some keep all parameters side by side, weights and unknown coefficients.
        sizes = [parameter.numel() for parameter in self._trained]
        shapes = {(), (1,), (sum(sizes),), *((size,) for size in sizes)}
        for name, times in Counter(names({"list": [numbers["optimizer"], numbers["scheduler"]]})).items():
            if times > 1:
                raise CheckpointError(f"{name}: the state names this tensor {times} times")
        for name in names(numbers["optimizer"]):
            if tuple(tensors[name].shape) not in shapes:
                raise CheckpointError(f"{name}: no optimiser of these parameters keeps {tuple(tensors[name].shape)}")
        found = fitted(
            "optimizer",
            decoded(numbers["optimizer"], tensors),
            {"state": None, "groups": self._optimizer.state_dict()["param_groups"]},
        )
        schedule = decoded(numbers["scheduler"], tensors) if numbers["scheduler"] is not None else None
        if (schedule is None) != (self._schedule is None):
            raise CheckpointError("scheduler: expected the state of one, if there is one")
        if self._schedule is not None:
            schedule = fitted("scheduler", schedule, self._schedule.state_dict())
        state = {"state": found["state"], "param_groups": found["groups"]}
        self._try_out(state, schedule)
        _load(self._made, state, schedule)
        self._restore(tensors, numbers)

    def _try_out(self, state: dict[str, Any], schedule: dict[str, Any] | None) -> None:
        """A step from this state, of copies: torch checks little when it loads one.

        Raises:
            CheckpointError: it fails.
        """
        if self._done >= self._settings.most_steps:
            return
        copies = [torch.nn.Parameter(parameter.detach().clone()) for parameter in self._trained]
        for parameter in copies:
            parameter.grad = torch.ones_like(parameter)
        made = self._settings.made_for(copies)
        devices = [self._theta.device] if self._theta.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            _load(made, copy.deepcopy(state), copy.deepcopy(schedule))
            try:
                made.step(lambda: 1.0)
                made.step_schedule(lambda: 1.0)
            except Exception as error:  # torch says so in many ways
                raise CheckpointError(_unfit(made, error)) from error

    def _own_values(self) -> Mapping[str, float]:
        rate = self._optimizer.param_groups[0].get("lr", math.nan)
        return {"lr": float(rate)}

    def _take(self, steps: int) -> tuple[Tensor, int | None]:
        losses = list[Tensor]()
        for _ in range(steps):
            row, failed = self._evaluate()
            if failed is not None:
                self.restore_good()
                return _stacked(losses, row), failed
            self._made.check_rates(self._done)
            losses.append(row)
            self._keep_good()
            try:
                self._made.step(self._closure)
                if self._schedule is not None:
                    self._made.step_schedule(partial(self._recorded, row))
            except Exception:  # maybe with half of the step done
                self.restore_good()
                raise
            self._done += 1
        return _stacked(losses, self._theta), None

    def _evaluate(self) -> tuple[Tensor, int | None]:
        """Losses and penalty, and what is not finite, as `_evaluated`; gradients go to where torch looks for them."""
        row, failed, gradient = self._evaluated()
        n = self._theta.numel()
        self._theta.grad, self._free.grad = gradient[:n], gradient[n:]
        return row, failed

    def _recorded(self, row: Tensor) -> float:
        """The loss that the history has, from those of the terms and the penalty."""
        *terms, penalty = row.tolist()
        return self.task.problem.total_loss(terms) + float(penalty)

    def _closure(self) -> float:
        row, _ = self._evaluate()
        *terms, penalty = row.tolist()
        return total_loss(terms, self._weighed.numbers()) + float(penalty)


def _stacked(losses: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(losses) if losses else like.new_empty(0, 0)


def _anything(name: str, value: Any) -> Any:
    return value


def _load(made: Made, state: dict[str, Any], schedule: dict[str, Any] | None) -> None:
    try:
        made.optimizer.load_state_dict(state)
        parameters = [p for group in made.optimizer.param_groups for p in group["params"]]
        for number, saved in state["state"].items():
            made.optimizer.state[parameters[number]] = with_dtypes(made.optimizer.state[parameters[number]], saved)
        if made.schedule is not None and schedule is not None:
            made.schedule.load_state_dict(schedule)
    except Exception as error:  # torch checks little, and says so in many ways
        raise CheckpointError(_unfit(made, error)) from error


def _unfit(made: Made, error: Exception) -> str:
    which = type(made.optimizer).__name__ + ("" if made.schedule is None else f" and {type(made.schedule).__name__}")
    return f"optimizer: its state does not fit {which} ({type(error).__name__}: {one_line(error)})"
