"""L-BFGS on the fused loss: torch's, with a strong Wolfe line search, in float64, where it does not stall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...kernels import checks, get_backend
from ...kernels.language.regularizer import Regularizer
from ...networks.mlp import PsiMLP
from ...problem.problem import Problem
from ..history import History
from ..interrupt import Interrupted, InterruptFlag
from ..protocol import Optimizer, Task
from .torch_optimizer import TorchRun

# Evaluations of a line search, at most.
_SEARCHES = 25


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """Settings of L-BFGS (Liu & Nocedal 1989), in float64 whatever the network's dtype.

    Args:
        steps: iterations at most.
        memory: pairs of steps and changes of the gradient that it remembers. 10, a usual default, needs several times
            as many iterations on these losses.
        tolerance: it ends where no component of the gradient is larger.
    """

    needs_float64: ClassVar[bool] = True

    steps: int = 1_000
    memory: int = 50
    tolerance: float = 1e-7

    def __post_init__(self) -> None:
        checked = {
            "steps": checks.integer("steps", self.steps, 0),
            "memory": checks.integer("memory", self.memory, 1),
            "tolerance": checks.number("tolerance", self.tolerance, least=0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        return "lbfgs"

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> dict[str, Any]:
        return {"memory": self.memory, "tolerance": self.tolerance}

    def start(self, task: Task) -> LBFGSRun:
        return LBFGSRun(task, self)

    def made_for(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Torch's optimiser. It has no tolerance of its own: `LBFGSRun` knows when to end, and why."""
        return torch.optim.LBFGS(
            parameters,
            lr=1.0,
            max_eval=10**9,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            history_size=self.memory,
            line_search_fn="strong_wolfe",
        )


def minimised(
    problem: Problem, net: PsiMLP, settings: LBFGS, regularizer: Regularizer | None = None, backend: str = "auto"
) -> LBFGSRun:
    """L-BFGS without the trainer's comforts, for small tasks within others; ``net`` gets the weights reached.

    Raises:
        Interrupted: on Ctrl-C.
    """
    with InterruptFlag() as interrupt:
        task = Task(
            problem, net, get_backend(backend, net.theta.device), None, regularizer, History.of((), (), ()),
            lambda: interrupt.raised, lambda: interrupt.raised, lambda step, note: None,
        )  # fmt: skip
        run = settings.start(task)
        while run.step < settings.steps and run.advance(settings.steps, False).stopped_by is None:
            if interrupt.signal is not None:
                raise Interrupted("training was interrupted", interrupt.signal)
    with torch.no_grad():
        net.theta.copy_(run.theta)
    return run


class LBFGSRun(TorchRun):
    """`LBFGS` under way. Points and weights stay: what it learnt of the curvature belongs to one loss."""

    def __init__(self, task: Task, settings: LBFGS) -> None:
        super().__init__(task, settings, torch.float64, changes=False)
        self._tolerance = settings.tolerance
        self._reason: str | None = None

    def _own_values(self) -> Mapping[str, float]:
        return {}

    def _stopped_by(self) -> str | None:
        return self._reason

    def _take(self, steps: int) -> tuple[Tensor, int | None]:
        """Iterations by torch, of which it evaluates the first one's loss anew."""
        row, failed = self._evaluate()
        if failed is not None:
            self.restore_good()
            return row[None][:0], failed
        self._keep_good()
        if self.gradient <= self._tolerance:
            self._reason = "gradient"
            return row[None], None
        before = self._iterations
        self._optimizer.param_groups[0]["max_iter"] = steps
        self._optimizer.step(self._closure)
        self._done += max(1, self._iterations - before)
        assert self._good is not None
        if all(torch.equal(now, was) for now, was in zip(self._trained, self._good[1], strict=True)):
            self._reason = "no descent"
        return row[None], None

    @property
    def gradient(self) -> float:
        """Its largest component, where it was computed last."""
        return max(float(parameter.grad.abs().max()) for parameter in self._trained if parameter.grad is not None)

    @property
    def _iterations(self) -> int:
        return int(self._optimizer.state[self._theta].get("n_iter", 0))
