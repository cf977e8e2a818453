"""Causal weights in time (Wang, Sankaran & Perdikaris 2024, Comput. Methods Appl. Mech. Eng. 421, 116813)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...kernels import checks
from ...kernels.contract import Term
from ...kernels.errors import InputError
from ...storage import entries
from ..checkpoint import Expectations, Expected
from .protocol import Objective, Weigher, Weighting

# Of the extent in time: points so near to the first time belong to it.
_AT_START = 1e-9


@dataclass(frozen=True)
class Causal(Weighting):
    """The equation counts at a time only where it holds before: points in slab i of the time axis weigh

        w_i = exp(-epsilon (L_0 + sum_{k<i} L_k)), i = 1, ..., slabs,

    L_k the weighted mean square of the equation in slab k, L_0 the weighted loss of the initial conditions (terms all
    of whose points are at the first time). Where all w_i are above ``enough``, the next larger epsilon is taken. Other
    conditions keep their own weights. The weights are a function of time: points may be replaced by others.

    The scale of epsilon is that of the loss: in the natural units that `Options` has by default its terms are of order
    1 at first.

    Args:
        every: steps between updates.
        slabs: of equal length.
        epsilon: increasing numbers > 0. From 1 on, Allen-Cahn was learnt at all times at once, and wrong.
        enough: the source's delta, 0.99.
    """

    name: ClassVar[str] = "causal"

    every: int = 10
    slabs: int = 32
    epsilon: Sequence[float] = (10.0, 100.0)
    enough: float = 0.99

    def __post_init__(self) -> None:
        epsilon = tuple(checks.numbers("epsilon", self.epsilon).ravel().tolist())
        if not epsilon or epsilon[0] <= 0 or any(b <= a for a, b in pairwise(epsilon)):
            raise InputError(f"epsilon: expected increasing numbers > 0, got {list(epsilon)}")
        object.__setattr__(self, "epsilon", epsilon)
        object.__setattr__(self, "every", checks.integer("every", self.every, 1))
        object.__setattr__(self, "slabs", checks.integer("slabs", self.slabs, 2))
        object.__setattr__(self, "enough", checks.number("enough", self.enough, above=0, below=1))

    def start(self, objective: Objective) -> Weigher:
        problem = objective.problem
        if problem.pde.time is None:
            raise InputError(
                f"weighting: causal needs to know which coordinate of {problem.name!r} is time: one called t, or the "
                f"one that the PDE says is its time; it has {list(problem.pde.coords)}"
            )
        if not objective.equations:
            raise InputError(
                f"weighting: causal weighs the equation in time, and {problem.name!r} has none inside"
                f"{objective.weightless}"
            )
        return _InTime(objective, self)


class _InTime(Weigher):
    def __init__(self, objective: Objective, settings: Causal) -> None:
        super().__init__(objective)
        problem = objective.problem
        assert problem.pde.time is not None
        self.pointwise = objective.equations
        self._settings, self._number = settings, 0
        self._axis = problem.pde.coords.index(problem.pde.time)
        self._low = float(problem.domain.low[self._axis])
        self._extent = float(problem.domain.high[self._axis]) - self._low
        self._initial = [i for i in objective.imposed if self._is_initial(objective.terms[i])]
        self._roots = objective.own.new_ones(settings.slabs)
        self.follow()

    def follow(self) -> None:
        self._members = dict[int, Tensor]()
        for i in self.pointwise:
            member = torch.nn.functional.one_hot(self._slab(self.objective.terms[i]), self._settings.slabs)
            # (N, slabs), by which squares become mean squares.
            self._members[i] = member.to(self._roots) / member.sum(0).clamp_min(1)

    def update(self, step: int) -> Tensor:
        objective, settings = self.objective, self._settings
        slabs = torch.zeros_like(self._roots)
        for i in objective.equations:
            slabs += objective.own[i] * (objective.residuals(i).square().sum(1) @ self._members[i])
        first = sum(objective.own[i] * objective.residuals(i).square().sum(1).mean() for i in self._initial)
        before = first + slabs.cumsum(0) - slabs
        # For the largest that is allowed: later weights are the smallest.
        while self._number + 1 < len(settings.epsilon) and self._smallest(before) > settings.enough:
            self._number += 1
        self._roots.copy_((-settings.epsilon[self._number] / 2 * before).exp())
        return objective.own

    def _smallest(self, before: Tensor) -> float:
        return float((-self._settings.epsilon[self._number] * before[-1]).exp())

    def point_factors(self, index: int, term: Term) -> Tensor:
        return self._roots[self._slab(term)]

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"roots": self._roots}, {"epsilon": self._number}

    def expected(self) -> Expectations:
        most = len(self._settings.epsilon) - 1
        tensors = {"roots": Expected(tuple(self._roots.shape), self._roots.dtype)}
        return Expectations(tensors, {"epsilon": partial(entries.integer, most=most)})

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self._roots.copy_(tensors["roots"])
        self._number = numbers["epsilon"]

    def _slab(self, term: Term) -> Tensor:
        """(N,): the slab that each point lies in; those outside the domain belong to its first or last one."""
        part = (term.points[0, :, self._axis] - self._low) / self._extent
        return (part * self._settings.slabs).long().clamp(0, self._settings.slabs - 1)

    def _is_initial(self, term: Term) -> bool:
        return bool(((term.points[..., self._axis] - self._low).abs() <= _AT_START * self._extent).all())
