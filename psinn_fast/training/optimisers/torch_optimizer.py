"""Optimisers of `torch.optim`, or written like them, on the fused loss, with the comforts of the others."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...kernels import checks
from ...kernels.errors import InputError, short
from ..identity import differences
from ..protocol import Optimizer, Task
from .torch_made import Made, Make, MakeSchedule, made_optimizer, made_schedule, try_out
from .torch_run import TorchRun
from .torch_state import described, optimizer_settings, schedule_settings

_PARAMETERS = ("weights", "coefficients")


class TorchOptimizer(Optimizer):
    """An optimiser of `torch.optim`: ``TorchOptimizer(torch.optim.AdamW, 2_000, lr=1e-3, weight_decay=1e-4)``.

    The kernels compute the loss and its gradient; a step costs what `Adam`'s does and some 50 microseconds of Python.

    Args:
        make: a class of `torch.optim`, or a function of parameters that returns an optimiser. They are a list of the
            weights (P,) and, where the problem has unknown coefficients, the free numbers behind them (K,).
        steps: calls of its ``step``; a closure that computes the loss anew is given to those that take one.
        scheduler: a function of the optimiser that returns a schedule of `torch.optim.lr_scheduler`, e.g.
            ``lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.999)``. It is stepped after every
            step, with the history's loss before it where it takes one (ReduceLROnPlateau).
        options: of ``make``, by keyword.

    Raises:
        InputError: ``make`` returns no optimiser, or does not take the options; an optimiser that cannot train on dense
            gradients, that has other parameters, a schedule of its own inside, or a state that no checkpoint can hold;
            a schedule of which one of this is true.
    """

    columns: ClassVar[tuple[str, ...]] = ("lr",)

    def __init__(self, make: Make, steps: int, *, scheduler: MakeSchedule | None = None, **options: Any) -> None:
        if isinstance(make, torch.optim.Optimizer):
            raise InputError(
                "make: got an optimiser that has parameters of its own; give its class and its options, e.g. "
                f"TorchOptimizer(torch.optim.{type(make).__name__}, 2_000, lr=1e-3)"
            )
        if not callable(make):
            raise InputError(f"make: expected a class of torch.optim, got {short(make)}")
        own: Any = make
        if isinstance(own, partial) and not own.args:
            make, options = own.func, {**own.keywords, **options}
        self.make, self.steps, self.options = make, checks.integer("steps", steps, 0), dict(options)
        self.scheduler = scheduler
        self._name, self._settings = self._tried_somehow()

    def __repr__(self) -> str:
        scheduler = {} if self.scheduler is None else {"scheduler": described(self.scheduler)}
        options = "".join(f", {name}={value!r}" for name, value in {**self.options, **scheduler}.items())
        return f"TorchOptimizer({self.name}, {self.steps}{options})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> dict[str, Any]:
        return self._settings

    def start(self, task: Task) -> TorchRun:
        return TorchRun(task, self)

    def made_for(self, parameters: list[torch.nn.Parameter]) -> Made:
        """The optimiser of these parameters, and its schedule.

        Raises:
            InputError: see the class.
        """
        optimizer = made_optimizer(self.make, self._own_options(), parameters)
        return Made(optimizer, self.scheduler and made_schedule(self.scheduler, optimizer, self.steps))

    def check(self, has_unknown: bool) -> None:
        """Whether it can train a problem with unknown coefficients, or one without.

        Raises:
            InputError: it cannot.
        """
        self._tried(_PARAMETERS if has_unknown else _PARAMETERS[:1])

    def _own_options(self) -> dict[str, Any]:
        """Tensors are copied: schedules change rates that are some in place."""
        return {name: value.clone() if isinstance(value, Tensor) else value for name, value in self.options.items()}

    def _tried_somehow(self) -> tuple[str, dict[str, Any]]:
        """Before the problem is known: a function may be for those with unknown coefficients, or without."""
        try:
            return self._tried(_PARAMETERS)
        except InputError as error:
            try:
                return self._tried(_PARAMETERS[:1])
            except InputError:
                raise error from error.__cause__

    def _tried(self, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
        """Name and settings, from parameters of these names."""
        parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in names]
        named = dict(zip(names, parameters, strict=True))
        with torch.random.fork_rng(devices=[]):  # what it draws is not training's
            made, settings = self._described(named)
            # On the CPU, where these cannot be tried.
            if not any(group.get("capturable") for group in made.optimizer.param_groups):
                try_out(made, parameters, self.steps)
            again = self._described(named)[1]
        for difference in differences(settings, again):
            which = "scheduler" if difference.startswith("scheduler") else "make"
            raise InputError(f"{which}: it has other settings at every call ({difference}); make all of it anew there")
        return type(made.optimizer).__name__.lower(), settings

    def _described(self, parameters: dict[str, torch.nn.Parameter]) -> tuple[Made, dict[str, Any]]:
        """What is made of parameters by name, and its settings."""
        optimizer = made_optimizer(self.make, self._own_options(), [*parameters.values()])
        settings = {name: described(value) for name, value in self.options.items()}
        settings |= optimizer_settings(optimizer, parameters)
        if self.scheduler is None:
            return Made(optimizer, None), settings
        before = [dict(group) for group in optimizer.param_groups]
        schedule = made_schedule(self.scheduler, optimizer, self.steps)
        settings["scheduler"] = schedule_settings(schedule, before, optimizer.param_groups)
        return Made(optimizer, schedule), settings
