"""u = g + d N in each window of time: what is known of it at the window's start holds exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import sympy as sp
import torch

from ..kernels.language.channels import ChannelSet
from ..kernels.network.ansatz import Ansatz as KnownAnsatz
from ..language.closed_forms import closed_form
from ..networks.ansatz import Ansatz
from ..networks.continuation import Continuation, Window
from ..problem.conditions import Condition, Dirichlet
from ..problem.problem import Problem
from ..training.points.windows import cut, is_initial, times_of
from .given import Given
from .initial import Part, orders_in_time, unfit
from .zeros import without_zeros, zeros_at_first

# Of the conditions of a window; fewer points say nothing of it.
FEWEST = 10


class Windows:
    """How a problem's windows of time are posed.

    Args:
        own: an ansatz of the user's, which holds beside.
        periods: of the coordinates in which networks are periodic.

    Attributes:
        learned: by field, why its initial state is not exact but learned.

    Where d of the user's ansatz vanishes at the first time, g has what is known there, and windows have d without its
    zeros: each has those of its own at its start.

    Raises:
        InputError: see `without_zeros`.
    """

    def __init__(
        self, problem: Problem, state: Mapping[Part, Given], own: Ansatz | None, periods: Mapping[str, float]
    ) -> None:
        self._problem, self._state = problem, state
        self._coords, self._fields = problem.pde.coords, problem.pde.fields
        self._axis, self._low, self._high = times_of(problem)
        self._time = problem.pde.coordinate_symbols()[self._axis]
        self.orders = orders_in_time(problem)
        parts = {} if own is None else own.parts(self._coords, self._fields)
        self._own = [parts.get(field, (sp.S.Zero, sp.S.One)) for field in self._fields]
        self._later = [d for _, d in self._own]
        self._met = [False] * len(self._fields)
        for k, (field, (_, d), order) in enumerate(zip(self._fields, self._own, self.orders, strict=True)):
            if order and (zeros := zeros_at_first(d, problem)):
                self._later[k] = without_zeros(field, d, zeros, problem)
                self._met[k] = zeros >= order
        reasons = {
            field: unfit(field, state, problem, periods)
            for field, order, met in zip(self._fields, self.orders, self._met, strict=True)
            if order and not met
        }
        self.learned = {field: reason for field, reason in reasons.items() if reason is not None}

    def ansatz(self, before: Sequence[Window], start: float, end: float) -> KnownAnsatz | None:
        """Of the window behind those ``before``; None: the fields are the network's outputs."""
        pairs = [self._pair(k, not before, start, end) for k in range(len(self._fields))]
        if not before and all(pair == (0, 1) for pair in pairs):
            return None
        offset, factor = (closed_form(list(own), self._coords, "march") for own in zip(*pairs, strict=True))
        return KnownAnsatz(Continuation(before, self._axis, self.orders, offset) if before else offset, factor)

    def problem(self, before: Continuation | None, start: float, end: float) -> Problem:
        """The problem on these times, its initial conditions what the windows before it end with."""
        window = cut(self._problem, start, end)
        if before is None:
            return window
        conditions, numbers = [], {name: number for number, name in enumerate(self._problem.term_names)}
        for condition in window.conditions:
            number = numbers[condition.name]
            if not is_initial(self._problem.conditions[number], self._axis, self._low, self._high):
                conditions.append(condition)
            elif (continued := self._continued(number, before)) is not None:
                conditions.append(continued)
        pde, unknowns = window.pde, window.unknowns
        return window.altered(
            conditions=tuple(conditions),
            traced=tuple(condition.traced(pde, unknowns) for condition in conditions),
            loss_units=(1.0,) * len(conditions),
        )

    def _continued(self, number: int, before: Continuation) -> Condition | None:
        """Values of fields, at the points of an initial condition that gives them."""
        condition = self._problem.conditions[number]
        given = [part.field for part, own in self._state.items() if own.condition == number and not part.order]
        if not given:
            return None
        points = np.array(condition.sites[0])
        points[:, self._axis] = before.start
        values = before.jets(torch.from_numpy(points), ChannelSet.closure(points.shape[1], ()))[0].numpy()
        targets = {field: values[:, self._fields.index(field)] for field in given}
        made = Dirichlet(points, name=condition.name, outside=condition.outside, **targets)
        return replace(made, weight=condition.weight)

    def _pair(self, k: int, is_first: bool, start: float, end: float) -> tuple[sp.Expr, sp.Expr]:
        """g, without what the windows before it give, and d."""
        (g, d), order, field = self._own[k], self.orders[k], self._fields[k]
        if not order or (is_first and field in self.learned):
            return g, d
        t, elapsed = self._time, self._time - sp.Float(start, 17)
        change = (elapsed / sp.Float(end - start, 17)) ** order * self._later[k]
        if is_first and self._met[k]:
            return g, change
        offset = g - sum(elapsed**j * sp.diff(g, t, j).subs(t, sp.Float(start, 17)) for j in range(order))
        if is_first:
            values = [self._state[Part(field, j)].value for j in range(order)]
            offset += sum(elapsed**j * value for j, value in enumerate(values))
        return offset, change
