"""The conditions' own weights, which stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .protocol import Objective, Weigher, Weighting


@dataclass(frozen=True)
class FixedWeights(Weighting):
    """Every term keeps the weight that its condition was given. Gauss-Newton balances the boundary if not told so."""

    name: ClassVar[str] = "fixed"
    every: ClassVar[None] = None  # type: ignore[misc]

    def start(self, objective: Objective) -> Weigher:
        return _Fixed(objective)

    @property
    def is_fixed(self) -> bool:
        return True


class _Fixed(Weigher):
    def update(self, step: int) -> Tensor:
        return self.objective.own
