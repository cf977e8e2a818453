"""Marching in time: one network learns an initial-value problem on windows of time that grow from the start to the end.

Trained on all times at once, a network can satisfy the equation nearly everywhere and still be wrong: the residual sits
in a thin layer after the start, and all that follows solves the equation from another initial state (Krishnapriyan et
al. 2021; Wang, Sankaran & Perdikaris 2022). A window that is solved leaves no room for that, and goes on into the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor

from ...kernels.contract import Backend
from ...kernels.errors import CheckpointError
from ...networks.mlp import PsiMLP
from ...problem.problem import Problem
from ...storage import entries
from ..checkpoint import Expected
from ..doubts import ALLOWED, FREE
from ..points.held_out import HeldOut
from ..points.windows import cut, obstacle, times_of
from ..protocol import Failure
from ..stability import possible_errors
from .gauss_newton_settings import GaussNewtonSettings
from .marquardt import Marquardt
from .multi_start import redrawn

# Steps over all times, after which a run is left as it is if its residuals allow no larger errors than that.
TRIALS = ((75, FREE), (150, FREE), (300, ALLOWED))
# The first window; the most steps there, where the initial state is learnt, and in others; those between looks at
# the held-out loss.
_FIRST, _LONGEST, _MOST, _LOOK = 1 / 512, 240, 120, 10
# A window is solved at this part of the first loss, or in the end at the second; above the third it is given up half
# way.
_SOLVED, _FAIR, _HOPELESS = 1e-9, 1e-6, 1e-2
# Below the third it ends after so many steps without progress, and will do if its residuals allow no larger
# errors: the next one is trained on all of it again. Contradictions in a corner leave no smaller loss.
_STALLED, _ENOUGH = 60, 0.1
# The next one is so many times longer after a few steps, and after more.
_A_FEW, _FASTER, _SLOWER = 40, 2.0, 1.5
# A shorter window whose loss is not so many times smaller than a longer one's shows that shorter ones do not help.
_HELPS = 4.0
# What a window that fails adds is halved down to this part of all times. Then windows do not help.
_SMALLEST = 1e-6
# Arrays have at least so many points in a window, its earliest ones.
_EARLIEST = 10
# The draws of windows are not those of others.
_SEEDS = 1_000


@dataclass
class March:
    """What `GaussNewtonRun` asks between steps; ``run`` is the window under way, a `Marquardt` of its own.

    ``held_out``: of the whole problem; ``start``: the initial weights.
    ``part``: the window's part of all times, 0 before the first; ``before``: steps of earlier runs; ``trials``:
    made of them. What a window that fails adds to ``done``, where ``good`` solved the problem, is halved.
    ``level``: of losses that are as good as they get. ``is_settled``: all times are solved, or windows do not help, and
    the run over all times goes on to its end. ``plain``: the best weights of that before the first window.
    """

    problem: Problem
    net: PsiMLP
    options: GaussNewtonSettings
    engine: Backend
    held_out: HeldOut
    start: Tensor
    trials: int = 0
    part: float = 0.0
    before: int = 0
    number: int = 0
    first_loss: float = 0.0
    done: float = 0.0
    level: float = 0.0
    failed: tuple[float, float] = (0.0, 0.0)  # part and loss; (0, 0): none
    is_settled: bool = False
    good: Tensor = field(init=False)
    failed_x: Tensor = field(init=False)
    plain: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.good = self.failed_x = self.plain = self.start
        if not self.options.march or not is_initial_value_problem(self.problem):
            self.trials = len(TRIALS)

    @property
    def is_under_way(self) -> bool:
        return self.part > 0 and not self.is_settled

    @property
    def progress(self) -> str:
        """How far training has come."""
        _, low, high = times_of(self.problem)
        return f"up to {self.problem.pde.time} = {low + self.part * (high - low):.3g} of {high:.3g}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """That training has not come to the last time."""
        if not 0 < self.part < 1:
            return ()
        return (f"training came {self.progress}: more steps or seconds are needed",)

    def is_due(self, run: Marquardt, reason: str | None) -> bool:
        """Whether to ask now if the problem needs it; ``reason``: why a run over all times has no step to take."""
        return self.trials < len(TRIALS) and run.step > 0 and (run.step >= TRIALS[self.trials][0] or reason is not None)

    def begin(self, run: Marquardt, reason: str | None) -> Marquardt:
        """``run``, if its residuals determine the solution; the first window from the initial weights if not."""
        run.watch()
        if self.trials == 0 and reason is None and run.best.loss > _HOPELESS * run.first_loss:
            self.trials = 1  # it is still far from anything that could be a dead end
            return run
        terms = self.held_out.or_own(run.full)
        errors = possible_errors(self.problem, self.engine, self.net.plan, run.x, terms)
        allowed = ALLOWED if reason is not None else TRIALS[self.trials][1]
        if not max((errors or {}).values(), default=0.0) > allowed:
            self.trials = len(TRIALS) if reason is not None else self.trials + 1
            return run
        self.trials = len(TRIALS)
        self.before, self.first_loss, self.plain = run.step, run.first_loss, run.best.x
        return self._window(_FIRST, self.start)

    def is_over(self, run: Marquardt, reason: str | None) -> bool:
        """Whether the window is solved, has no step to take, or has had its steps."""
        if reason is not None:
            return not run.renew()
        if not run.step or run.step % _LOOK:
            return False
        run.watch()
        if run.latest.loss <= self._solved or run.step >= (_MOST if self.done else _LONGEST):
            return True
        if self._is_hopeless(run.best.loss):
            return self.done > 0 and run.step >= _MOST // 2
        return run.step >= run.best.step + _STALLED

    def after(self, run: Marquardt | None) -> Marquardt:
        """The window after this one, longer if it is solved and shorter if not; None: its residuals became infinite.

        That of all times goes on, once it is solved.
        """
        steps, x, loss, is_solved = _MOST, self.good, 1e300, False
        if run is not None:
            run.settle()
            steps, x, loss = run.step, run.x, min(run.best.loss, 1e300)
            is_solved = self._is_solved(run, loss)
            if is_solved and self.part == 1:
                self.is_settled = True
                return run
        self.before += max(1, steps)
        part, is_fair = self.part, not self._is_hopeless(self.failed[1])
        if not is_solved and self.failed[0] and is_fair and loss > self.failed[1] / _HELPS:
            # The longer window was as good: its loss is what the network, or the problem, has to offer.
            (part, loss), x = self.failed, self.failed_x
            steps, self.level, is_solved = _MOST, 2 * loss, True
        if is_solved:
            self.good, self.done, self.failed = x.clone(), part, (0.0, 0.0)
            part = min(1.0, part * (_FASTER if steps <= _A_FEW else _SLOWER))
        else:
            self.failed, self.failed_x = (part, loss), x.clone()
            part = (self.done + part) / 2 if self.done else part / 4
            if not self.done and self._is_hopeless(loss):
                # The initial state cannot be learnt from these weights.
                self.good = (
                    redrawn(self.net, self.problem, self.options.seed, self.number, self.engine).theta.detach().double()
                )
            if part - self.done < _SMALLEST:
                self.is_settled = True
                return self._window(1.0, self.good if self.done else self.plain)
        return self._window(part, self.good)

    def _is_solved(self, run: Marquardt, loss: float) -> bool:
        if loss <= max(_FAIR * self.first_loss, self.level):
            return True
        if self._is_hopeless(loss) or not self._is_determined(run):
            return False
        self.level = 2 * loss
        return True

    def _is_hopeless(self, loss: float) -> bool:
        return loss > _HOPELESS * self.first_loss

    def _is_determined(self, run: Marquardt) -> bool:
        """Whether a window's residuals leave no large errors in it."""
        terms = run.held_out.or_own(run.full)
        errors = possible_errors(run.problem, self.engine, self.net.plan, run.x, terms)
        return errors is not None and max(errors.values(), default=0.0) <= _ENOUGH

    def conclude(self, run: Marquardt) -> Marquardt:
        """A run over all times at the better weights: those of the window where training had to stop, or ``plain``."""
        whole = Marquardt(self.problem, self.net, self.options, self.engine)

        def loss(x: Tensor) -> float:
            whole.x = x
            try:
                return self.held_out.total(self.held_out.losses(whole.residual), whole.full_losses())
            except Failure:  # a window's weights may be nothing at later times
                return math.inf

        whole.x = min(run.x, run.best.x, self.plain, key=loss)
        whole.first_loss, whole.step, whole.solvers = self.first_loss, run.step, run.solvers
        return whole

    def saved(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers that `restore` takes."""
        numbers = [self.part, self.done, self.level, *self.failed, self.first_loss]
        return (
            {
                f"march.{name}": x.clone()
                for name, x in (("good", self.good), ("failed", self.failed_x), ("plain", self.plain))
            },
            {"march": numbers, "march_counts": [self.trials, self.before, self.number, int(self.is_settled)]},
        )

    @property
    def expected_tensors(self) -> dict[str, Expected]:
        n = self.start.numel()
        return {f"march.{name}": Expected((n,)) for name in ("good", "failed", "plain")}

    @property
    def expected_numbers(self) -> dict[str, Any]:
        return {"march": partial(entries.numbers, least=0, length=6), "march_counts": entries.integers}

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any], run: Marquardt) -> Marquardt:
        """The run that `saved` belongs to, at its start.

        Raises:
            CheckpointError: numbers that no run has.
        """
        self.part, self.done, self.level, *failed, self.first_loss = numbers["march"]
        counts = numbers["march_counts"]
        is_one = self.part == 0 or self.part >= _SMALLEST
        if len(counts) != 4 or min(counts) < 0 or counts[3] > 1 or not 0 <= self.done <= self.part <= 1 or not is_one:
            raise CheckpointError(f"march: no run has these: {numbers['march']}, {counts}")
        self.failed = failed[0], failed[1]
        self.trials, self.before, self.number = counts[:3]
        self.is_settled = bool(counts[3])
        self.good, self.failed_x, self.plain = (
            tensors[f"march.{name}"].to(run.x.device) for name in ("good", "failed", "plain")
        )
        return self._run(self.good) if self.part else run

    def _window(self, part: float, x: Tensor) -> Marquardt:
        self.part, self.number = part, self.number + 1
        return self._run(x)

    def _run(self, x: Tensor) -> Marquardt:
        options = replace(self.options, seed=(self.options.seed + _SEEDS * self.number) % 2**31)
        problem = until(self.problem, self.part) if self.part < 1 else self.problem
        run = Marquardt(problem, self.net, options, self.engine)
        run.x, run.first_loss = x.clone(), self.first_loss
        run.good = run.x.clone(), 0
        return run

    @property
    def _solved(self) -> float:
        return max(_SOLVED * self.first_loss, self.level)


def is_initial_value_problem(problem: Problem) -> bool:
    """Whether it can be cut off at any time, see `obstacle`."""
    return obstacle(problem) is None


def until(problem: Problem, part: float) -> Problem:
    """The problem on the first ``part`` of its time. Points that stand for a region are moved, others are left out."""
    _, low, high = times_of(problem)
    return cut(problem, low, low + part * (high - low), _EARLIEST)
