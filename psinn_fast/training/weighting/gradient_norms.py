"""Annealing by gradients of the terms (Wang, Teng & Perdikaris 2021, SIAM J. Sci. Comput. 43, A3055)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...kernels import checks
from ...kernels.errors import InputError
from ..checkpoint import Expectations, Expected
from .protocol import Objective, Weigher, Weighting


@dataclass(frozen=True)
class GradientNorms(Weighting):
    """Every term but the equation weighs w_i lambda_i, w_i its condition's own weight, and lambda_i a moving average of

        max |grad L_r| / mean |grad lambda_i L_i|

    over the entries of theta and the unknown coefficients, lambda = 1 at the start. L_r is the weighted sum of what
    holds inside the domain, L_i an unweighted mean square, and lambda_i below the line the present one, as in the
    source's programs; without it a condition that is met well would weigh more and more. Because of it the ratio
    depends on the units of the residuals: they are those in which the residuals were given, whatever they are trained
    in. Measurements are weighed like boundary conditions: so the source has it.

    Args:
        every: steps between updates. The source's 10 are for points drawn anew in each step; on points that stay,
            weights that follow every wave of the gradients cost accuracy (docs/weightings.md).
        keep: lambda <- keep lambda + (1 - keep) (the ratio above). 0.9, the source's recommendation.
    """

    name: ClassVar[str] = "gradient-norms"

    every: int = 100
    keep: float = 0.9

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", checks.integer("every", self.every, 1))
        object.__setattr__(self, "keep", checks.number("keep", self.keep, least=0, below=1))

    def start(self, objective: Objective) -> Weigher:
        return _Annealing(objective, self.keep)


class _Annealing(Weigher):
    def __init__(self, objective: Objective, keep: float) -> None:
        super().__init__(objective)
        self._keep, self._weighed = keep, sorted([*objective.imposed, *objective.measured])
        if not objective.equations or not self._weighed:
            raise InputError(
                "weighting: gradient-norms weighs other conditions against the equation inside the domain, and "
                f"{objective.problem.name!r} has no "
                f"{'other condition' if objective.equations else 'equation there'}{objective.weightless}"
            )
        self._average = torch.ones_like(objective.own)
        self._units = torch.tensor(objective.problem.loss_units).to(objective.own)

    def update(self, step: int) -> Tensor:
        own, units, equations, weighed = self.objective.own, self._units, self.objective.equations, self._weighed
        gradients = units[:, None] * self.objective.term_gradients()[1]
        inside = (own[equations, None] * gradients[equations]).sum(0)
        before = self._average[weighed]
        ratio = inside.abs().max() / (before * gradients[weighed].abs().mean(1))
        # A gradient that vanishes says nothing.
        ratio = torch.where(torch.isfinite(ratio), ratio, before)
        self._average[weighed] = self._keep * before + (1 - self._keep) * ratio
        # An optimiser that does not mind the size of the loss, as Adam, need not know its unit.
        return own * self._average * units / units[equations[0]]

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"average": self._average}, {}

    def expected(self) -> Expectations:
        return Expectations({"average": Expected(tuple(self._average.shape), self._average.dtype)}, {})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self._average.copy_(tensors["average"])
