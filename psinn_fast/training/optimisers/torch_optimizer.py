"""Optimisers of `torch.optim`, or written like them, on the fused loss, with the comforts of the others."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from ...kernels import checks
from ...kernels.contract import total_loss
from ...kernels.errors import CheckpointError, InputError, short
from ..checkpoint import Expectations, Expected
from ..protocol import Optimizer, Task
from .first_order import FirstOrder

Make = Callable[..., torch.optim.Optimizer]


class TorchOptimizer(Optimizer):
    """An optimiser of `torch.optim`: ``TorchOptimizer(torch.optim.AdamW, 2_000, lr=1e-3, weight_decay=1e-4)``.

    The kernels compute the loss and its gradient; a step costs what `Adam`'s does and some 50 microseconds of Python.

    Args:
        make: a class of `torch.optim`, or a function of parameters that returns an optimiser.
        steps: calls of its ``step``; a closure that computes the loss anew is given to those that take one.
        options: of ``make``, by keyword.

    Raises:
        InputError: ``make`` returns no optimiser, or does not take the options.
    """

    columns: ClassVar[tuple[str, ...]] = ("lr",)

    def __init__(self, make: Make, steps: int, **options: Any) -> None:
        if isinstance(make, torch.optim.Optimizer):
            raise InputError(
                "make: got an optimiser that has parameters of its own; give its class and its options, e.g. "
                f"TorchOptimizer(torch.optim.{type(make).__name__}, 2_000, lr=1e-3)"
            )
        if not callable(make):
            raise InputError(f"make: expected a class of torch.optim, got {short(make)}")
        self.make, self.steps, self.options = make, checks.integer("steps", steps, 0), dict(options)
        self.made_for([torch.nn.Parameter(torch.zeros(2))])  # what it does not take shows now

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"TorchOptimizer({self.name}, {self.steps}{options})"

    @property
    def name(self) -> str:
        return str(getattr(self.make, "__name__", type(self.make).__name__)).lower()

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> dict[str, Any]:
        return {name: value if _is_plain(value) else repr(value) for name, value in self.options.items()}

    def start(self, task: Task) -> TorchRun:
        return TorchRun(task, self, task.net.theta.dtype)

    def made_for(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        try:
            made = self.make(parameters, **self.options)
        except Exception as error:  # of a user's own function
            raise InputError(f"make: {self.name} does not take {self.options} ({error})") from error
        if not isinstance(made, torch.optim.Optimizer):
            raise InputError(f"make: expected an optimiser of torch.optim from {self.name}, got {short(made)}")
        return made


class MakesOptimizers(Protocol):
    """Settings from which torch's optimiser is made."""

    @property
    def most_steps(self) -> int: ...

    def made_for(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer: ...


class TorchRun(FirstOrder):
    """`TorchOptimizer` under way."""

    def __init__(self, task: Task, settings: MakesOptimizers, dtype: torch.dtype, changes: bool = True) -> None:
        super().__init__(task, settings.most_steps, dtype, changes)
        start = torch.tensor(task.problem.unknowns.start(task.coefficients), dtype=dtype)
        device = task.net.theta.device
        self._theta = torch.nn.Parameter(task.net.theta.detach().to(dtype, copy=True))
        self._free = torch.nn.Parameter(start.to(device))
        self._trained = [self._theta, *([self._free] if self._free.numel() else [])]
        self._optimizer = settings.made_for(self._trained)
        # Those that cannot do without a closure, as L-BFGS, call it as often as they like.
        closure = inspect.signature(self._optimizer.step).parameters.get("closure")
        self._needs_closure = closure is not None and closure.default is inspect.Parameter.empty
        # What it learnt of the curvature belongs to one loss.
        self._weighed.is_constant |= self._needs_closure
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
        plain = _flattened({"state": state["state"], "groups": state["param_groups"]}, "optimizer", tensors)
        shared, numbers = self._saved()
        return {**tensors, **shared}, {**numbers, "optimizer": plain}

    def expected(self, numbers: Mapping[str, Any]) -> Expectations:
        own = {
            "theta": Expected(tuple(self._theta.shape), self._theta.dtype),
            "coefficients": Expected(tuple(self._free.shape), self._free.dtype),
        }
        # What an optimiser keeps it alone knows.
        kept = {name: Expected(None, None, finite=False) for name in _names(numbers.get("optimizer"))}
        shared = self._expected()
        return Expectations({**kept, **own, **shared.tensors}, {**shared.numbers, "optimizer": _anything})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self._theta.copy_(tensors["theta"])
            self._free.copy_(tensors["coefficients"])
        self._done = numbers["step"]
        # Some keep all parameters side by side, weights and unknown coefficients.
        sizes = [parameter.numel() for parameter in self._trained]
        shapes = {(), (1,), (sum(sizes),), *((size,) for size in sizes)}
        for name in _names(numbers["optimizer"]):
            if tuple(tensors[name].shape) not in shapes:
                raise CheckpointError(f"{name}: no optimiser of these parameters keeps {tuple(tensors[name].shape)}")
        try:
            found = _restored(numbers["optimizer"], tensors)
            self._optimizer.load_state_dict({"state": found["state"], "param_groups": found["groups"]})
        except Exception as error:  # torch checks little, and says so in many ways
            raise CheckpointError(f"optimizer: its state does not fit {type(self._optimizer).__name__}") from error
        self._restore(tensors, numbers)

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
            losses.append(row)
            self._keep_good()
            if self._needs_closure:
                self._optimizer.step(self._closure)
            else:
                self._optimizer.step()
            self._done += 1
        return _stacked(losses, self._theta), None

    def _evaluate(self) -> tuple[Tensor, int | None]:
        """Losses and penalty, and what is not finite, as `_evaluated`; gradients go to where torch looks for them."""
        row, failed, gradient = self._evaluated()
        n = self._theta.numel()
        self._theta.grad, self._free.grad = gradient[:n], gradient[n:]
        return row, failed

    def _closure(self) -> float:
        row, _ = self._evaluate()
        *terms, penalty = row.tolist()
        return total_loss(terms, self._weighed.numbers()) + float(penalty)


def _stacked(losses: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(losses) if losses else like.new_empty(0, 0)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def _anything(name: str, value: Any) -> Any:
    return value


def _flattened(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A state as JSON; its tensors go to ``tensors``, under their place, and are named where they were."""
    match value:
        case Tensor():
            tensors[name] = value.detach()
            return {"tensor": name}
        case dict():
            return {"items": [[key, _flattened(own, f"{name}.{key}", tensors)] for key, own in value.items()]}
        case list() | tuple():
            return {"list": [_flattened(own, f"{name}.{i}", tensors) for i, own in enumerate(value)]}
    return {"value": value if _is_plain(value) else repr(value)}


def _names(value: Any) -> Iterator[str]:
    """Of the tensors that a flattened state has."""
    match value:
        case {"tensor": str(name)}:
            yield name
        case {"items": [*pairs]}:
            for pair in pairs:
                yield from _names(pair[1] if isinstance(pair, list) and len(pair) == 2 else None)
        case {"list": [*members]}:
            for member in members:
                yield from _names(member)


def _restored(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    match value:
        case {"tensor": name}:
            return tensors[name]
        case {"items": pairs}:
            return {key: _restored(own, tensors) for key, own in pairs}
        case {"list": members}:
            return [_restored(own, tensors) for own in members]
        case {"value": plain}:
            return plain
    raise ValueError(f"no state: {short(value)}")
