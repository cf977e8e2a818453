"""Weights from traces of the neural tangent kernel (Wang, Yu & Perdikaris 2022, J. Comput. Phys. 449, 110768)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...kernels import checks
from ...kernels.errors import InputError
from .protocol import Objective, Weigher, Weighting


@dataclass(frozen=True)
class NTK(Weighting):
    """Term i weighs w_i lambda_i, w_i its condition's own weight, lambda_i = sum_j t_j / t_i, and t_j the trace of the
    term's tangent kernel J J^T over its number of points, so that all terms are learnt equally fast.

    Measurements, of which the source says nothing, keep their own weights and do not count in the sum.

    Args:
        every: steps between updates.
    """

    name: ClassVar[str] = "ntk"

    every: int = 1_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", checks.integer("every", self.every, 1))

    def start(self, objective: Objective) -> Weigher:
        if len(objective.equations) + len(objective.imposed) < 2:
            raise InputError(
                f"weighting: ntk weighs conditions against each other, and {objective.problem.name!r} has only one"
                f"{objective.weightless}"
            )
        return _Traces(objective)


class _Traces(Weigher):
    def update(self, step: int) -> Tensor:
        own, weighed = self.objective.own, sorted([*self.objective.equations, *self.objective.imposed])
        traces = self.objective.traces(step)[weighed]
        factors = torch.ones_like(own)
        factors[weighed] = traces.sum() / traces
        # A term that does not depend on the parameters keeps what it weighs.
        return torch.where(torch.isfinite(factors), own * factors, self.objective.factors)
