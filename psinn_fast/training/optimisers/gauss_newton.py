"""Gauss-Newton: `Marquardt` steps, other starts, windows of time (docs/gauss-newton.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...kernels.contract import Term
from ...kernels.errors import InputError
from ...storage import entries
from ..abort import Aborted, abortable
from ..checkpoint import Expectations
from ..doubts import ALLOWED, between_points, loose, times_larger, undetermined
from ..identity import options_of
from ..parts import Spent
from ..protocol import Doubts, Failure, Moment, Optimizer, Run, Task, other_weights
from ..weighting import FixedWeights, TraceBalance, Weighting
from .gauss_newton_settings import GaussNewtonSettings
from .marching import March
from .marquardt import Marquardt, Watched
from .multi_start import COMPARED_AFTER, better_start, redrawn, wants_another_start

_STARTS = 2
_CONVERGED = "converged"


@dataclass(frozen=True)
class GaussNewton(GaussNewtonSettings, Optimizer):
    """Settings of Gauss-Newton; the defaults are meant to be left alone.

    Args:
        steps: at most so many.
        points: collocation and boundary points that a step sees, drawn from the problem (`Sampler`). A number: so many
            inside, and half as many on the boundary, also more than a grid or face has; of arrays and measurements
            there are no others, all of them are taken where they are fewer. "auto": three per unknown and at least
            1,000, but of each term at most its own, until the network has adapted to its draws: then up to four times
            as many; "all": the problem's own points.
        resample: steps before the second draw; then as many as are done (0, 10, 20, 40, ...), so that the end
            is a long run on one draw; and at once where the loss is more than 5 times larger at points that are held
            out, so that the network has adapted to those drawn (not with unknown coefficients). None: one draw.
        focus: from the second draw on, collocation points of a box are drawn in proportion to
            |r|^focus / mean(|r|^focus) + 1, r the residual, every ``resample`` steps or after a fourth of those
            done. 0: uniformly. "auto": 0 until the network has adapted to a draw, then 1; with unknown coefficients
            always 0, since the equation has to be weighed against measurements.
        balance: with each draw, weigh the conditions on the domain's boundary so that they move with the unknowns as
            much as the residual inside does (equal traces of J^T J). Measurements keep their weights, which say how far
            they are trusted. Losses are reported with the problem's own weights.
        march: start an initial-value problem again in windows of time that grow (`March`), where its residuals allow
            errors of more than 50 % after 75 steps, or of 1 % after 300.
        seed: of the draws, and of other starts.
        tuning: what hardly anybody needs (`Tuning`).

    Results say why training ended (`FitResult.stopped_by`): "steps", "seconds", "interrupt", "loss target",
    "gradient", "step", "no descent" (no damping makes the loss smaller: rounding errors are reached) or "converged".
    """

    columns: ClassVar[tuple[str, ...]] = ("damping",)
    needs_float64: ClassVar[bool] = True
    takes_penalty: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return "gauss-newton"

    @property
    def most_steps(self) -> int:
        return self.steps

    def identity(self) -> dict[str, Any]:
        return options_of(self, "steps")

    def product_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.tuning.jacobian_dtype

    def weighed_by(self, weighting: Weighting) -> GaussNewton:
        """With ``balance`` as the weighting says.

        Raises:
            InputError: for any but `FixedWeights` and `TraceBalance`: which step is taken depends on the loss that the
                last one reached.
        """
        if isinstance(weighting, TraceBalance):
            if weighting != TraceBalance():
                raise InputError("every: has no effect on gauss-newton, which balances with each draw of points")
            return replace(self, balance=True)
        if isinstance(weighting, FixedWeights):
            return replace(self, balance=False)
        raise InputError(
            f"weighting: gauss-newton takes 'fixed' and 'trace-balance' only, got {weighting.name!r}; train one "
            "network by two runs, by Adam with this weighting, then by Gauss-Newton without"
        )

    def start(self, task: Task) -> GaussNewtonRun:
        return GaussNewtonRun(task, self)


class GaussNewtonRun(Run):
    """`GaussNewton` under way, on a float64 copy of the weights.

    The losses of its moments are those at the points drawn, its final ones those at all points. Unknown coefficients
    start at the problem's guess, if not where the task says.
    """

    def __init__(self, task: Task, options: GaussNewtonSettings) -> None:
        problem, net, engine, coefficients = task.problem, task.net, task.engine, task.coefficients
        self.task, self._options = task, options
        self._run = Marquardt(problem, net, options, engine, coefficients)
        starts = options.tuning.starts if isinstance(options.tuning.starts, int) else _STARTS
        # A second start costs as much as the first: without unknown coefficients only a stuck one is worth it.
        compares = options.tuning.starts != "auto" or (bool(problem.pde.unknown) and coefficients is None)
        self._compared_after = min(COMPARED_AFTER, options.steps)
        self._compare_at = self._compared_after if compares else None
        elsewhere = {**(coefficients or {}), **problem.unknowns.far(coefficients, guessed=True)}
        self._others = [
            partial(Marquardt, problem, redrawn(net, problem, options.seed, number, engine), options, engine, elsewhere)
            for number in range(1, starts)
        ]
        self._is_compared = not self._others
        self._march = March(problem, net, options, engine, task.unseen, self._run.x)
        self._reason: str | None = None
        self._spent = Spent()

    @property
    def step(self) -> int:
        return self._march.before + self._run.step

    @property
    def theta(self) -> Tensor:
        return self._run.theta

    @property
    def free(self) -> Tensor:
        return self._run.x[self._run.theta.numel() :]

    @property
    def x(self) -> Tensor:
        return self._run.x

    @property
    def solver(self) -> str | None:  # type: ignore[override]  # mypy wants it to be settable, which nothing needs
        return ", ".join(self._run.solvers) or None

    @property
    def seconds_by_part(self) -> Mapping[str, float]:  # type: ignore[override]  # as for the solver
        return self._spent.seconds

    @property
    def under_way(self) -> str:  # type: ignore[override]  # as for the solver
        return self._spent.under_way

    def advance(self, until: int, is_logged: bool) -> Moment:
        run, (tensors, numbers), windows, reason = self._run, self._run.saved(), vars(self._march).copy(), self._reason
        try:
            with abortable(self.task.is_interrupted), self._spent.counting():
                return self._advanced(is_logged)
        except Aborted:  # half done: run and march are what they were before it
            self._run, self._reason = run, reason
            run.restore(tensors, numbers)
            vars(self._march).update(windows)
            return Moment()

    def _advanced(self, is_logged: bool) -> Moment:
        run, march = self._run, self._march
        if march.is_under_way:
            if march.is_over(run, self._reason):
                self._run, self._reason = march.after(run), None
                return Moment()
            self._reason = None
        elif not self._is_compared and wants_another_start(run, self._reason, run.first_loss, self._compare_at):
            self.task.say(run.step, "trying other starts")
            found = better_start(run, self._others, self._compared_after, self.task.is_over)
            if found is not None:
                self._is_compared = True
                self._go_on_with(found)
            return Moment()
        elif march.is_due(run, self._reason):
            self._go_on_with(march.begin(run, self._reason))
            return Moment()
        if self._reason is not None and not run.renew(takes_more=self._reason == _CONVERGED):
            return Moment(stopped_by=self._reason)
        self._reason = None
        try:
            equations = run.linearise()
        except Failure:
            if not march.is_under_way:
                raise
            self._run = march.after(None)
            return Moment()
        moment = self._moment() if is_logged else Moment()
        self._reason = run.advance(equations)
        if self._reason is None and not march.is_under_way and run.is_converged:
            self._reason = _CONVERGED
        return moment

    def _go_on_with(self, run: Marquardt) -> None:
        if run is not self._run:
            self._run, self._reason = run, None

    def look(self) -> Moment:
        if not self._run.r.numel():
            return Moment()
        self._run.watch()
        return self._moment()

    def _moment(self) -> Moment:
        run, march = self._run, self._march
        seen = run.latest
        return Moment(
            [*run.losses, 0.0],
            seen.loss if seen.step == run.step else math.nan,
            {"damping": run.damping, **run.weights},
            times_larger(seen.loss, seen.drawn, run.first_loss),
            march.progress if march.is_under_way else "",
        )

    def settle(self) -> tuple[str, ...]:
        if self._march.is_under_way:
            self._run = self._march.conclude(self._run)
        last = self._run.settle()
        return _returned(self._run, last, self._march.before + self._run.best.step)

    def final_losses(self) -> Sequence[float]:
        return [*self._run.full_losses(), 0.0]

    def exact_terms(self) -> Sequence[Term]:
        return self._run.full

    def doubts(self, given: float, unseen: float, errors: Mapping[str, float]) -> Doubts:
        warnings, notes = doubts_of(self._run, given, unseen, errors)
        own = *self._march.warnings, *warnings, *undetermined(errors), *loose(errors, ALLOWED)
        return Doubts(own, notes)

    def advice(self, failure: Failure) -> str:
        return other_weights(self._run.undefined())

    def restore_good(self) -> int:
        return self._march.before + self._run.restore_good()

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        (tensors, numbers), (march_tensors, march_numbers) = self._run.saved(), self._march.saved()
        own = {"compared": self._is_compared, "spent": dict(self._spent.seconds)}
        return {**tensors, **march_tensors}, {**numbers, **march_numbers, **own}

    def expected(self, numbers: Mapping[str, Any]) -> Expectations:
        run, march = self._run, self._march
        return Expectations(
            {**run.expected_tensors, **march.expected_tensors},
            {**run.expected_numbers, **march.expected_numbers, "compared": entries.boolean, "spent": entries.amounts},
        )

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        self._run = self._march.restore(tensors, numbers, self._run)
        self._run.restore(tensors, numbers)
        self._is_compared, self._spent.seconds = numbers["compared"], dict(numbers["spent"])


def _returned(run: Marquardt, last: Watched, step: int) -> tuple[str, ...]:
    """That the weights of an earlier ``step`` are returned, and why; ``last``: what `Marquardt.settle` left."""
    if run.x is last.x:
        return ()
    why = "later ones were worse between the points"
    if larger := times_larger(last.loss, last.drawn, run.first_loss):
        why = f"the network adapted to its points, between which the residual is {larger} at the last step"
    return (f"the weights of step {step} are returned: {why}",)


def doubts_of(
    run: Marquardt, given: float, unseen: float, errors: Mapping[str, float]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and notes; ``given``, ``unseen``: the loss at the problem's points and elsewhere; ``errors``: that the
    latter allows."""
    first = run.first_loss
    found = between_points(unseen, min(run.loss, given), first, errors)
    if any(found):
        return found
    if larger := times_larger(given, run.loss, first):
        # Of grids, since their corners may contradict each other, or lie in a layer: no matter if no error follows.
        allowed = max(errors.values(), default=math.inf) * math.sqrt(given / max(unseen, 1e-300))
        if not allowed <= ALLOWED:
            return (f"the loss at the problem's own points is {larger} than at the points drawn",), ()
    return (), ()
