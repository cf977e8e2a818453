"""An optimiser of `torch.optim` and its schedule, as a user's functions make them; what cannot train is refused."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from ...kernels.errors import CheckpointError, InputError, one_line, short
from .torch_state import encoded, fitted, lost

# Users' own functions return what they please.
Make = Callable[..., Any]
MakeSchedule = Callable[[torch.optim.Optimizer], Any]
EXAMPLE = "scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 100)"
_TRIED = 3
# Rates below zero by less than this part of the first one are rounding errors.
_ROUNDING = 1e-12


class Made:
    """An optimiser and its schedule, if it has one.

    ``needs_closure``: it cannot do without one, as L-BFGS, which calls it as often as it likes.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: LRScheduler | None) -> None:
        self.optimizer, self.schedule = optimizer, schedule
        self.needs_closure = _lacks(optimizer.step, "closure")
        steps = inspect.signature(schedule.step).parameters if schedule is not None else {}
        # As ReduceLROnPlateau.
        self._needs_loss = schedule is not None and any(_lacks(schedule.step, name) for name in steps)

    def step(self, evaluate: Callable[[], float]) -> None:
        """One step of the optimiser. ``evaluate`` computes the loss anew, and the gradients."""
        if self.needs_closure:
            self.optimizer.step(evaluate)
        else:
            self.optimizer.step()

    def step_schedule(self, loss: Callable[[], float]) -> None:
        """One step of the schedule, if there is one. ``loss``: at the weights before the optimiser's.

        Raises:
            InputError: it fails.
        """
        if self.schedule is None:
            return
        step: Callable[..., None] = self.schedule.step
        try:
            step(loss()) if self._needs_loss else step()
        except Exception as error:  # of a user's own function
            raise InputError(f"scheduler: a step of {type(self.schedule).__name__} failed ({_said(error)})") from error

    def check_rates(self, step: int) -> None:
        """Every rate for the next ``step`` leads downhill.

        Raises:
            InputError: one is negative, NaN or infinite.
        """
        groups, name = self.optimizer.param_groups, type(self.optimizer).__name__
        for number, group in enumerate(groups):
            rate = float(group.get("lr", 0.0))
            if -_ROUNDING * abs(float(group.get("initial_lr", 0.0))) <= rate < math.inf:
                continue
            by = (
                f"make: {name} gave itself"
                if self.schedule is None
                else (f"scheduler: {type(self.schedule).__name__} gave {name}")
            )
            where = f" in its parameter group {number}" if len(groups) > 1 else ""
            raise InputError(f"{by} the rate {rate:g} for step {step}{where}; expected a finite one >= 0")


def _lacks(function: Callable[..., Any], name: str) -> bool:
    """Whether it cannot do without this argument."""
    found = inspect.signature(function).parameters.get(name)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return found is not None and found.kind in positional and found.default is inspect.Parameter.empty


def made_optimizer(
    make: Make, options: Mapping[str, Any], parameters: list[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """An optimiser of these parameters.

    Raises:
        InputError: there is none; it has other parameters; it could not train.
    """
    name = getattr(make, "__name__", type(make).__name__)
    try:
        made = make(parameters, **options)
    except Exception as error:  # of a user's own function
        raise InputError(
            f"make: {name} does not take {options or 'its parameters'} ({_said(error)}); they are a list of the "
            "weights, one vector, and, where the problem has unknown coefficients, a second one of these"
        ) from error
    if not isinstance(made, torch.optim.Optimizer):
        advice = f"; give a schedule by itself, {EXAMPLE}" if isinstance(made, (tuple, list)) else ""
        raise InputError(f"make: expected an optimiser of torch.optim from {name}, got {short(made)}{advice}")
    _check_optimizer(made, parameters)
    return made


def _check_optimizer(made: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> None:
    name, groups = type(made).__name__, made.param_groups
    # torch's schedules wrap the step of their optimiser, all but ReduceLROnPlateau.
    if hasattr(made.step, "_wrapped_by_lr_sched") or any(isinstance(own, LRScheduler) for own in vars(made).values()):
        raise InputError(
            f"make: {name} has a learning-rate schedule made within it, which would not be stepped, saved or resumed; "
            f"write TorchOptimizer(make, steps, {EXAMPLE})"
        )
    ours, its = {id(p) for p in parameters}, {id(p) for group in groups for p in group["params"]}
    if not its <= ours or not its:
        raise InputError(
            f"make: {name} trains other tensors than the parameters that it was given; write "
            f"lambda parameters: torch.optim.{name}(parameters, ...)"
        )
    for setting, advice in (
        ("differentiable", "no gradient passes through the steps"),
        ("maximize", "training minimises the loss"),
    ):
        if any(group.get(setting) for group in groups):
            raise InputError(f"make: {name}: {setting}=True: {advice}; leave it out")
    for group in groups:
        for setting, value in group.items():
            if isinstance(value, float) and math.isnan(value):
                raise InputError(f"make: {name}: {setting}: expected a number, got nan")


def made_schedule(make: MakeSchedule, optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
    """A schedule of this optimiser.

    Raises:
        InputError: there is none; it is of another optimiser; it ends before ``steps``.
    """
    name = getattr(make, "__name__", type(make).__name__)
    if isinstance(make, LRScheduler) or not callable(make):
        raise InputError(f"scheduler: expected a function of the optimiser, got {short(make)}; e.g. {EXAMPLE}")
    try:
        made = make(optimizer)
    except Exception as error:  # of a user's own function
        raise InputError(
            f"scheduler: {name} does not take the optimiser alone ({_said(error)}); write {EXAMPLE}"
        ) from error
    if not isinstance(made, LRScheduler):
        raise InputError(
            f"scheduler: expected a schedule of torch.optim.lr_scheduler from {name}, got {short(made)}; several are "
            "one by SequentialLR or ChainedScheduler"
        )
    if getattr(made, "optimizer", optimizer) is not optimizer:
        raise InputError(f"scheduler: {type(made).__name__} is of another optimiser than {name} was given")
    if isinstance(made, OneCycleLR) and made.total_steps < steps:
        raise InputError(
            f"scheduler: OneCycleLR: total_steps={made.total_steps} are fewer than the {steps} of training"
        )
    return made


def try_out(made: Made, parameters: Sequence[Tensor], steps: int) -> None:
    """A few steps on |p - 1|^2 / 2.

    Raises:
        InputError: they cannot be taken, or saved.
    """
    schedule, own = made.schedule, dict[str, Tensor]()
    first = None if schedule is None else _state_of(schedule)

    def evaluate() -> float:
        for p in parameters:
            p.grad = p.detach() - 1
        return sum(float((p.detach() - 1).square().sum()) for p in parameters) / 2

    name = type(made.optimizer).__name__
    for step in range(min(_TRIED, steps)):
        loss = evaluate()
        made.check_rates(step)
        try:
            made.step(evaluate)
        except Exception as error:  # of a user's own class, or of torch
            raise InputError(f"make: {name} cannot train here: its step failed ({_said(error)})") from error
        made.step_schedule(partial(float, loss))
    for missing in lost(encoded(made.optimizer.state_dict()["state"], "its state", own)):
        raise InputError(f"make: {name} keeps what a checkpoint cannot hold: {missing}; {_SAVED}")
    if schedule is not None and first is not None:
        _check_form(schedule, first)


_SAVED = "it holds numbers, texts, tensors, and lists and dicts of them"


def _state_of(schedule: LRScheduler) -> dict[str, Any]:
    name = type(schedule).__name__
    try:
        found = schedule.state_dict()
    except Exception as error:  # of built-in functions in a LambdaLR, for instance
        raise InputError(
            f"scheduler: {name} cannot be saved ({_said(error)}); write its functions in Python"
        ) from error
    for missing in lost(encoded(found, name, {})):
        raise InputError(f"scheduler: {name} keeps what a checkpoint cannot hold: {missing}; {_SAVED}")
    return copy.deepcopy(found)


def _check_form(schedule: LRScheduler, first: dict[str, Any]) -> None:
    """``first``: its state when it was made."""
    name = type(schedule).__name__
    try:
        fitted(name, _state_of(schedule), first)
    except CheckpointError as error:
        raise InputError(f"scheduler: {name} cannot be resumed: what it keeps changes its form ({error})") from None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"
