"""Residual-based attention: points weigh by what their residuals have been (Anagnostopoulos et al. 2024, Comput.
Methods Appl. Mech. Eng. 421, 116805)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...kernels import checks
from ...kernels.contract import Term
from ...kernels.errors import InputError
from .points import PointNumbers
from .protocol import Objective, Weigher, Weighting


@dataclass(frozen=True)
class ResidualAttention(Weighting):
    """Residuals inside the domain are multiplied by a factor of each point, lambda_i, 0 before the first step; at each

        lambda_i <- decay lambda_i + rate |r_i| / max_j |r_j|,

    so that it stays below rate / (1 - decay). The weight of the squared residual is lambda_i^2, as in the source's
    programs. Weights belong to points: these are not replaced by others during training. All other conditions keep
    their own weights.

    Args:
        every: steps between updates, each of which stands for so many of the steps above with the same residuals.
        rate, decay: eta and gamma.
    """

    name: ClassVar[str] = "residual-attention"
    keeps_points: ClassVar[bool] = True

    every: int = 10
    rate: float = 0.001
    decay: float = 0.999

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", checks.integer("every", self.every, 1))
        object.__setattr__(self, "rate", checks.number("rate", self.rate, above=0))
        object.__setattr__(self, "decay", checks.number("decay", self.decay, least=0, below=1))

    def start(self, objective: Objective) -> Weigher:
        if not objective.equations:
            raise InputError(
                "weighting: residual-attention weighs the points of an equation inside the domain, and "
                f"{objective.problem.name!r} has none{objective.weightless}"
            )
        return _Attention(objective, self)


class _Attention(PointNumbers):
    def __init__(self, objective: Objective, settings: ResidualAttention) -> None:
        super().__init__(objective, objective.equations, ("lambda",), 0.0)
        self._decay = settings.decay**settings.every
        self._rate = settings.rate * (1 - self._decay) / (1 - settings.decay)

    def update(self, step: int) -> Tensor:
        sizes = {i: torch.linalg.vector_norm(self.objective.residuals(i), dim=1) for i in self.pointwise}
        for i, size in sizes.items():
            # Where all residuals are 0 no point is worse than others.
            self.numbers[i]["lambda"].mul_(self._decay).add_(
                size / size.max().clamp_min(torch.finfo(size.dtype).tiny), alpha=self._rate
            )
        return self.objective.own

    def point_factors(self, index: int, term: Term) -> Tensor:
        return self.numbers[index]["lambda"]
