"""Self-adaptive weights of points, trained along (McClenny & Braga-Neto 2023, J. Comput. Phys. 474, 111722)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ...kernels import checks
from ...kernels.contract import Term
from ...kernels.errors import InputError
from ...storage import entries
from ..checkpoint import Expectations
from .points import PointNumbers
from .protocol import Objective, Weigher, Weighting

_BETAS, _EPS = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class SelfAdaptive(Weighting):
    """Residuals are multiplied by a factor of each point, lambda_i, by which the loss is *maximised*.

    The weight of a squared residual is the source's mask lambda_i^2; lambda starts at 1 and follows the gradient of
    sum_i lambda_i^2 r_i^2 by Adam, upwards, as in the source's programs. So lambda grows by at most about ``rate`` an
    update. Weights belong to points: these are not replaced by others during training. All conditions are weighed but
    integrals, which have one row for all points, and measurements, whose weights say how far they are trusted.

    Args:
        every: steps between updates.
        rate: of Adam.
    """

    name: ClassVar[str] = "self-adaptive"
    keeps_points: ClassVar[bool] = True

    every: int = 10
    rate: float = 0.005

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", checks.integer("every", self.every, 1))
        object.__setattr__(self, "rate", checks.number("rate", self.rate, above=0))

    def start(self, objective: Objective) -> Weigher:
        if all(objective.terms[i].quadrature is not None for i in (*objective.equations, *objective.imposed)):
            raise InputError(
                "weighting: self-adaptive does not weigh measurements and integrals, and "
                f"{objective.problem.name!r} has nothing else{objective.weightless}"
            )
        return _Ascent(objective, self.rate)


class _Ascent(PointNumbers):
    def __init__(self, objective: Objective, rate: float) -> None:
        weighed = [i for i in (*objective.equations, *objective.imposed) if objective.terms[i].quadrature is None]
        super().__init__(objective, sorted(weighed), ("lambda", "first", "second"), 1.0)
        self._rate, self._done = rate, 0

    def update(self, step: int) -> Tensor:
        squares = {i: self.objective.residuals(i).square().sum(1) for i in self.pointwise}
        self._done += 1
        (beta1, beta2), n = _BETAS, self._done
        for i, square in squares.items():
            factor, first, second = self.numbers[i].values()
            gradient = 2 * factor * square
            first.lerp_(gradient, 1 - beta1)
            second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            size = (second / (1 - beta2**n)).sqrt_().add_(_EPS)
            factor.add_(first / size, alpha=self._rate / (1 - beta1**n))
        return self.objective.own

    def point_factors(self, index: int, term: Term) -> Tensor:
        return self.numbers[index]["lambda"]

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return super().saved()[0], {"done": self._done}

    def expected(self) -> Expectations:
        return super().expected()._replace(numbers={"done": entries.integer})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        super().restore(tensors, numbers)
        self._done = numbers["done"]
