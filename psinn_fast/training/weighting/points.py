"""Weighers that keep numbers for each point of some terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..checkpoint import Expectations, Expected
from .protocol import Objective, Weigher


class PointNumbers(Weigher):
    """``numbers[i][name]`` (N,): of the points of term i, which stay what they are.

    Args:
        objective: the loss.
        terms: indices of those whose points have weights.
        names: of the numbers of each point; ``start``: what the first of them is at first, the others are 0.
    """

    def __init__(self, objective: Objective, terms: Sequence[int], names: Sequence[str], start: float) -> None:
        super().__init__(objective)
        self.pointwise = list(terms)
        self.numbers = {
            i: {
                name: torch.full_like(objective.terms[i].points[0, :, 0], start if name == names[0] else 0.0)
                for name in names
            }
            for i in terms
        }

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {f"{name}.{i}": own for i, found in self.numbers.items() for name, own in found.items()}, {}

    def expected(self) -> Expectations:
        tensors = {name: Expected(tuple(own.shape), own.dtype) for name, own in PointNumbers.saved(self)[0].items()}
        return Expectations(tensors, {})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        for name, own in PointNumbers.saved(self)[0].items():
            own.copy_(tensors[name])
