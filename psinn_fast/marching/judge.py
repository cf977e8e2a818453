"""Whether a window is solved: its residuals where no point was, beside those of a state that does not change."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..kernels import get_backend
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..scaling.natural_scales import natural_losses
from ..training.callbacks import Progress
from ..training.result import FitResult

# Of the tolerance, at which training ends: other points that are held out, more of them, show other residuals.
_ENOUGH = 0.5
# Of the residual of random states as large as u, which change by their size in the window: the least that counts as a
# change. What is smaller beside it than the tolerance changes u by a thousandth of the tolerance.
_LEAST_CHANGE = 1e-3


class Judge:
    """A callback that ends the training of a window once its residual, held out, is well below ``tolerance`` of the
    reference.

    The reference is the residual of N = 0: of the window's initial state at all its times, in all windows so far the
    largest; of a state that hardly changes, a thousandth of what random states would have. All are roots of weighted
    sums of mean squares, in the problem's own units.

    Args:
        tolerance: None: training is never ended.
        least: the reference of the windows before.
    """

    def __init__(self, net: PsiMLP, tolerance: float | None, least: float) -> None:
        self._net, self._tolerance, self._least = net, tolerance, least
        self._trained: Problem | None = None
        self._own = self._own_trained = math.nan

    def __call__(self, progress: Progress) -> bool:
        if self._trained is None:
            self._look(progress.problem)
        if self._tolerance is None:
            return False
        held_out = progress.row["held_out"]
        reference = self._own_trained * max(1.0, (self._least / self._own) ** 2 if self._own else math.inf)
        return bool(held_out <= (_ENOUGH * self._tolerance) ** 2 * reference)

    @property
    def reference(self) -> float:
        return max(self._own, self._least)

    def residual(self, result: FitResult) -> float:
        """Relative to the reference."""
        if self._trained is None:
            return math.nan
        total = _total(self._trained, {name: self._loss(result, name) for name in result.losses})
        return math.sqrt(total) / self.reference if self.reference else 0.0 if not total else math.inf

    @staticmethod
    def _loss(result: FitResult, name: str) -> float:
        held_out = result.held_out.get(name)
        return result.losses[name] if held_out is None else held_out

    def _look(self, problem: Problem) -> None:
        """``problem``: as it is trained."""
        theta = self._net.theta.detach().clone()
        theta[len(theta) - self._net.structure.layers[-1].n_parameters :] = 0
        engine = get_backend("auto", theta.device)
        none = problem.initial_coefficients(theta.dtype, theta.device)
        found = [
            float(engine.residuals(self._net.plan, theta, none, term).square().sum(1).mean())
            for term in problem.terms(theta.dtype, theta.device)
        ]
        at_least = [_LEAST_CHANGE**2 * loss for loss in natural_losses(problem).losses]
        self._trained = problem
        self._own_trained = max(problem.total_loss(own) for own in (found, at_least))
        self._own = max(math.sqrt(_total(problem, problem.losses_as_given(own))) for own in (found, at_least))


def _total(problem: Problem, losses: Mapping[str, float | None]) -> float:
    """Weighted, of losses as given."""
    found = ((condition.weight, losses[condition.name]) for condition in problem.conditions)
    return sum(weight * loss for weight, loss in found if weight and loss is not None)
