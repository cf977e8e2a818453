"""Boundary conditions weigh as much as the equation in J^T J."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...kernels import checks
from ...kernels.errors import InputError
from ...problem.problem import Problem
from ..points.sampling import is_boundary_term
from .protocol import Objective, Weigher, Weighting


def balanced(problem: Problem, traces: Sequence[float], on_boundary: Sequence[bool]) -> list[float]:
    """Weights of all terms: w_i * max_inside(t) / t_i for boundary terms, w_i for others, measurements above all.

    Terms that ask for different equations of the PDE count together, as one term of all of them would; integrals,
    where they are no boundary terms, do not count.

    What points weigh is kept, like the weights of terms: t_i is without it.

    Args:
        problem: its conditions' own weights are w.
        traces: t, every term's mean over its points of |dr/dx|^2, weights of points included.
        on_boundary: which terms are boundary terms (`is_boundary_term`).
    """
    own = [condition.weight for condition in problem.conditions]
    traces = [trace / c.point_weight for trace, c in zip(traces, problem.conditions, strict=True)]
    together = dict[tuple[str, ...], float]()
    for condition, trace, edge in zip(problem.conditions, traces, on_boundary, strict=True):
        if not edge and condition.quadrature is None:
            together[condition.equations] = max(together.get(condition.equations, 0.0), trace)
    inside = max(together.pop((), 0.0), sum(together.values()))
    return [
        w * inside / trace if edge and inside > 0 and trace > 0 else w
        for w, trace, edge in zip(own, traces, on_boundary, strict=True)
    ]


@dataclass(frozen=True)
class TraceBalance(Weighting):
    """Boundary terms weigh such that their trace of J^T J equals the equation's (`balanced`), as Gauss-Newton has it.

    Measurements keep their weights, which say how far they are trusted.

    Args:
        every: steps between updates; None: only before the first step. Gauss-Newton weighs with each draw of points.
    """

    name: ClassVar[str] = "trace-balance"

    every: int | None = 1_000

    def __post_init__(self) -> None:
        every = None if self.every is None else checks.integer("every", self.every, 1, other="None or ")
        object.__setattr__(self, "every", every)

    def start(self, objective: Objective) -> Weigher:
        return _Balance(objective)


class _Balance(Weigher):
    def __init__(self, objective: Objective) -> None:
        super().__init__(objective)
        problem = objective.problem
        self._on_boundary = [is_boundary_term(problem, condition) for condition in problem.conditions]
        is_given = any(own and c.weight > 0 for own, c in zip(self._on_boundary, problem.conditions, strict=True))
        if not is_given or not objective.equations:
            raise InputError(
                "weighting: trace-balance weighs conditions on the boundary against an equation inside, and "
                f"{problem.name!r} has no term {'inside' if is_given else 'on the boundary'}{objective.weightless}"
            )

    def update(self, step: int) -> Tensor:
        traces = self.objective.traces(step)
        found = balanced(self.objective.problem, traces.tolist(), self._on_boundary)
        return torch.tensor(found, dtype=traces.dtype, device=traces.device)
