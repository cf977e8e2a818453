"""What runs that follow the gradient of the loss have in common: points, points held out, redraws, losses."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...kernels import or_reference
from ...kernels.contract import LossAndGradient, Term
from ...storage import entries
from ..checkpoint import Expectations
from ..doubts import times_larger
from ..history import log_interval
from ..points.held_out import WATCHED, HeldOut, residual_of
from ..points.point_orbits import one_point_per_orbit
from ..points.redraw import EVERY, Redraw
from ..protocol import Failure, Moment, Run, Task, other_weights
from ..residuals import Residuals
from ..weighting import WeighedTerms, WeightState

# What a moment takes: time between two looks at the clock and at Ctrl-C, in seconds.
SLICE_SECONDS = 0.2
# Looks at points that are held out, in a run.
WATCHES = 10


class FirstOrder(Run):
    """A run by losses and gradients of all terms, one point per orbit (`one_point_per_orbit`).

    Once the network has adapted to its points, others are taken (`Redraw`).

    Args:
        task: what to train.
        steps: at most.
        dtype: of the weights in training.
        changes: whether the loss may change, points be replaced and weights be updated after the first step; curvature
            learnt from differences of gradients would be lost by it.
    """

    def __init__(self, task: Task, steps: int, dtype: torch.dtype, changes: bool = True) -> None:
        self.task = task
        device = task.net.theta.device
        self._given = one_point_per_orbit(task.problem, task.net, task.problem.terms(dtype, device), task.engine)
        self._points = Redraw(task.problem, self._given)
        self._weighed = WeighedTerms(
            task.weighting, task.problem, task.engine, task.net.plan, task.problem.weights(dtype, device),
            lambda: self._points.terms, lambda: (self.theta, self.free),
        )  # fmt: skip
        self._weighed.is_constant |= not changes
        if task.weights is not None:
            self._weighed.restore(*task.weights)
        self._redraws = changes and not task.weighting.keeps_points and self._points.is_possible
        self._watched = HeldOut(task.problem, WATCHED, dtype, device)
        self._adapted, self._draw, self._rate = False, -1, 5.0
        every = log_interval(steps)
        self._watch_every = every * max(1, steps // (WATCHES * every))
        self._hidden: str | None = None
        self._failed = -1

    @abstractmethod
    def _take(self, steps: int) -> tuple[Tensor, int | None]:
        """Take so many steps.

        Returns the losses (steps done, T + 1) before each of them, terms and penalty, and the number of what was not
        finite: a term's, T for the penalty, T + 1 for the gradient.
        """

    def _own_values(self) -> Mapping[str, float]:
        """Of the optimiser's own columns, before the next step."""
        return {}

    def _stopped_by(self) -> str | None:
        """Why there is no step to take."""
        return None

    @property
    def terms(self) -> list[Term]:
        """Those trained on now."""
        return self._weighed.terms

    def advance(self, until: int, is_logged: bool) -> Moment:
        if reason := self._stopped_by():
            return Moment(stopped_by=reason)
        start = self.step
        others = self._unseen() if is_logged and start % self._watch_every == 0 else None
        if self._adapted and start % EVERY == 0:
            self._draw = start // EVERY
            self._points.draw(self._draw)
            self._weighed.follow()
        self._weighed.update(start)
        values = self._values() if is_logged else {}
        plain = self._weighed.plain_losses() if is_logged else {}
        # Each call costs a GPU a wait: steps are cut where points are drawn, or may be from this look at others on.
        is_cut = self._adapted or (self._redraws and others is not None)
        end = min(until, start + EVERY - start % EVERY) if is_cut else until
        steps = min(end - start, max(1, int(self._rate * SLICE_SECONDS)))
        began = time.perf_counter()
        losses = self._take_weighed(steps)
        self._rate = 0.5 * self._rate + 0.5 * steps / max(time.perf_counter() - began, 1e-9)
        if not is_logged or not len(losses):
            return Moment()
        first = [plain.get(number, loss) for number, loss in enumerate(losses[0].tolist())]
        return self._moment(first, values, others)

    def _take_weighed(self, steps: int) -> Tensor:
        """`_take`, with new weights when it is time. Returns the losses before the first step, and maybe others'."""
        first, end = None, self.step + steps
        while True:
            start, ahead = self.step, self._weighed.until_update(self.step)
            losses, failed = self._take(end - start if ahead is None else min(end - start, ahead))
            if failed is not None:
                raise self._failure(failed, start + len(losses))
            first = losses if first is None else first
            if ahead is None or self.step >= end or self._stopped_by():
                return first
            self._weighed.update(self.step)

    def look(self) -> Moment:
        return self._moment(list(self.final_losses()), self._values(), self._unseen())

    def _values(self) -> dict[str, float]:
        return {**self._own_values(), **self._weighed.values()}

    def weight_state(self) -> WeightState:
        return self._weighed.saved()

    def final_losses(self) -> Sequence[float]:
        found = self._loss_and_gradient(self._given)
        losses = [*found.losses.tolist(), float(found.penalty)]
        for number, value in enumerate(losses):
            if not math.isfinite(value):
                raise self._failure(number, self.step)
        return losses

    def advice(self, failure: Failure) -> str:
        if failure.step > 0:
            return "A smaller learning rate may help"
        residuals = Residuals(self.task.engine, self.task.net.plan, [], [])
        x = torch.cat([self.theta, self.free])
        terms = self.terms if self._failed >= len(self.terms) else [self.terms[self._failed]]
        return other_weights(next((found for term in terms if (found := residuals.undefined(term, x))), None))

    def _loss_and_gradient(self, terms: Sequence[Term]) -> LossAndGradient:
        task = self.task
        return task.engine.loss_and_gradient(
            task.net.plan, self.theta, self.free, terms, self._weighed.weights, task.regularizer
        )

    def _evaluated(self) -> tuple[Tensor, int | None, Tensor]:
        """Losses and penalty (T + 1,) at the present weights; the number of what is not finite; the gradient."""
        found = self._loss_and_gradient(self.terms)
        row, gradient = torch.cat([found.losses, found.penalty[None]]), torch.cat([found.theta, found.coefficients])
        bad = torch.nonzero(~torch.isfinite(row))
        if len(bad):
            return row, int(bad[0]), gradient
        return row, None if bool(torch.isfinite(gradient).all()) else len(row), gradient

    def _unseen(self) -> list[float | None]:
        task = self.task
        return self._watched.losses(residual_of(or_reference(task.engine), task.net.plan, self.theta, self.free))

    def _moment(self, losses: list[float], values: Mapping[str, float], others: list[float | None] | None) -> Moment:
        *terms, penalty = losses
        held_out = math.nan
        if others is not None:
            own = self.task.problem.total_loss(terms)
            held_out, first = self._watched.total(others, terms), self.task.first_loss
            self._hidden = times_larger(held_out, own, own + penalty if math.isnan(first) else first)
            self._adapted = self._redraws and (self._adapted or self._hidden is not None)
        return Moment(losses, held_out + penalty, values, self._hidden)

    def _failure(self, number: int, step: int) -> Failure:
        self._failed = number
        names = [f"term {name!r}" for name in self.task.problem.term_names]
        return Failure([*names, "the weight penalty", "the gradient"][number], step)

    def _saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Of points and weights."""
        tensors, numbers = self._weighed.saved()
        return tensors, {"step": self.step, "adapted": self._adapted, "draw": self._draw, **numbers}

    def _expected(self) -> Expectations:
        tensors, numbers = self._weighed.expected()
        own: dict[str, Callable[[str, Any], Any]] = {
            "step": entries.integer, "adapted": entries.boolean, "draw": partial(entries.integer, least=-1),
        }  # fmt: skip
        return Expectations(tensors, {**own, **numbers})

    def _restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self._adapted, self._draw = numbers["adapted"], numbers["draw"]
        if self._draw >= 0:
            self._points.draw(self._draw)
            self._weighed.follow()
        self._weighed.restore(tensors, numbers)
