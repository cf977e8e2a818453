"""The trainer: clock, progress, history, checkpoints, Ctrl-C, time limit and final verdict, whatever the optimiser."""

from __future__ import annotations

import math
import signal
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..kernels import at_work
from ..kernels.compiling import told_of_compiling
from ..kernels.contract import Backend
from ..kernels.errors import CheckpointError, CheckpointWarning, DivergedError, PsinnFastError, TrainingError, one_line
from ..kernels.language.regularizer import Regularizer
from ..language.names import numbers_by_name
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..storage import entries
from .callbacks import CallbackError, Callbacks, Progress
from .checkpoint import Checkpoint, Expectations, Expected, Snapshot
from .checks import check_run, check_saved
from .doubts import contradictory
from .earlier_run import set_aside
from .history import History, log_interval
from .identity import run_identity, trained_by
from .interrupt import InterruptFlag
from .metrics import coarse_relative_l2
from .products import ALL, OWN, Products, checked
from .progress import COMPILING, TrainingProgress, progress_note
from .protocol import Failure, Moment, Optimizer, Run, Task
from .result import Ending, FitResult, Verdict, give
from .stability import Allowed, errors_allowed
from .weighting import FixedWeights, Weighting, WeightState, weight_column

# What the trainer itself keeps in a checkpoint, beside the run's own.
_START = "start"
Answer = TypeVar("Answer")
_STOPPED = {"time limit": "seconds", "interrupted": "interrupt"}


@dataclass
class Trainer:
    """Trains a network by one optimiser after the other; see `fit`.

    Args:
        problem: as it is trained.
        net: trained in place.
        optimizers: at least one.
        engine: the backend; ``backend``: its name, for what evaluates the network.
        coefficients: where the unknown ones start; None: where the problem says.
        regularizer: a weight penalty.
        seconds: limit for all of it; None: none.
        checkpoint: path of the file, or None.
        resume: go on from it, if it is there; or from a result.
        identity: what a checkpoint must agree in beside problem, network and optimisers.
        progress: show a bar on stderr, headed by ``title``.
        callbacks: what is told of rows, checkpoints and the end.
        weighting: what the terms weigh; None: as each optimiser has it.
        asks_errors: whether the verdict says which errors residuals allow, which takes as long as some thirty steps.
    """

    problem: Problem
    net: PsiMLP
    optimizers: Sequence[Optimizer]
    engine: Backend
    backend: str
    coefficients: Mapping[str, float] | None = None
    regularizer: Regularizer | None = None
    seconds: float | None = None
    checkpoint: str | Path | None = None
    resume: bool | FitResult = False
    identity: Mapping[str, Any] = field(default_factory=dict)
    progress: bool = False
    title: str = ""
    callbacks: Callbacks = field(default_factory=lambda: Callbacks(()))
    weighting: Weighting | None = None
    asks_errors: bool = True

    def __post_init__(self) -> None:
        own = dict.fromkeys(column for optimizer in self.optimizers for column in optimizer.columns)
        if self.weighting is not None and not self.weighting.is_fixed:
            own |= dict.fromkeys(map(weight_column, self.problem.term_names))
        unknown, learned = tuple(self.problem.pde.unknown), tuple(self.net.structure.ahead)
        self._history = History.of(tuple(own), self.problem.term_names, unknown, learned)
        self._file = Checkpoint(self.checkpoint, self._history, self._identity)
        self._measure = coarse_relative_l2(self.problem, self.backend)
        # To be entered by who calls `train`.
        self.interrupt = InterruptFlag()
        # Which optimiser is at work, how many steps those before it took, and the coefficients it started from.
        self._stage, self._before = 0, 0
        self._bar: TrainingProgress | None = None
        self._stop: str | None = None
        self._notes: tuple[str, ...] = ()
        self._products = Products(self.engine, self.net.theta.device)
        # Seconds before this call.
        self._spent, self._began = 0.0, time.perf_counter()

    def train(self) -> FitResult:
        """
        Raises:
            CheckpointError: the checkpoint cannot be read or written, or is of another run.
            DivergedError: network and checkpoint hold the last good weights.
            PsinnFastError: of any other kind, a `TrainingError` for exceptions that are none: what was reached is kept
                as well. So it is for what is no `Exception`, such as SystemExit, which goes on with a ``result``.
        """
        run = self._first_run()
        self._spent = self._history["seconds"][-1] if len(self._history) else 0.0
        self._began = time.perf_counter()
        check_saved(run)
        if self.resume is not True and self.checkpoint is not None:
            set_aside(Path(self.checkpoint), self._history.rows)
        self._save(run)  # an unwritable checkpoint shows now, not after the work
        self._notes = _too_late(run.step, self.optimizers[self._stage].most_steps, self._before)
        try:
            self._call(partial(self.callbacks.on_start, self._before + run.step))
            self._tell(run)
            while True:
                ended, stopped_by = self._advanced(run)
                is_last = self._stage == len(self.optimizers) - 1
                if ended != "done" or is_last:
                    return self._concluded(run, ended, stopped_by)
                run = self._next_run(run)
        except Failure as failure:
            raise self._diverged(run, failure) from None
        except PsinnFastError as error:
            if type(error) is TrainingError:  # of a backend: where it was in training is not said yet
                raise self._failed(run, error) from error.__cause__ or error
            ended_by = f"callback {error.name}" if isinstance(error, CallbackError) else type(error).__name__
            self._keep(run, error, "failed", ended_by)
            raise
        except Exception as error:
            raise self._failed(run, error) from error
        except BaseException as error:  # sys.exit() in a batch job, for instance; a second Ctrl-C ends at once
            if not (isinstance(error, KeyboardInterrupt) and self.interrupt.raised):
                self._keep(run, error, "interrupted", _said(error))
            raise

    def _first_run(self) -> Run:
        snapshot = self.resume.snapshot if isinstance(self.resume, FitResult) else None
        if snapshot is None and not (self.resume and self._file.exists):
            run = self._started(self.coefficients)
            self._begin_products(run)
            return run
        made: list[Run] = []

        def expect(numbers: Mapping[str, Any]) -> Expectations:
            self._stage = entries.integer("numbers.stage", numbers.get("stage"), most=len(self.optimizers) - 1)
            started = numbers_by_name(entries.fields("numbers.started", numbers.get("started"), (), None), "started")
            if started and set(started) != set(self.problem.pde.unknown):
                raise CheckpointError(
                    f"numbers.started: expected {list(self.problem.pde.unknown)}, got {list(started)}"
                )
            made.append(self._started(started if self._stage else self.coefficients))
            own = made[0].expected(numbers)
            checks: dict[str, Callable[[str, Any], Any]] = {
                "stage": entries.integer, "before": entries.integer, "started": partial(entries.fields, optional=None),
            }  # fmt: skip
            checks |= dict.fromkeys({ALL, OWN} & {*numbers}, checked)
            theta = self.net.theta
            return Expectations(
                {**own.tensors, _START: Expected(tuple(theta.shape), theta.dtype)}, {**own.numbers, **checks}
            )

        tensors, numbers = self._file.load(expect) if snapshot is None else self._file.take(snapshot, expect)
        with torch.no_grad():
            self.net.theta.copy_(tensors.pop(_START))
        run = self._started(numbers["started"] if self._stage else self.coefficients)
        self._before = numbers["before"]
        try:
            run.restore(tensors, numbers)
        except CheckpointError as error:
            raise CheckpointError(f"{self.checkpoint or 'resume'}: {error}") from None
        self._products.resume(numbers)
        self._begin_products(run)
        return run

    def _started(self, coefficients: Mapping[str, float] | None, weights: WeightState | None = None) -> Run:
        """A run of the present optimiser from the network's weights, and the last one's ``weights`` of the terms."""
        self._start = self.net.theta.detach().clone(), dict(coefficients or {})
        task = Task(
            self.problem, self.net, self.engine, coefficients, self.regularizer, self._history,
            lambda: self.interrupt.raised, self._is_over, self._say, self.weighting or FixedWeights(), weights,
        )  # fmt: skip
        optimizer = self.optimizers[self._stage]
        started = optimizer.start(task)
        check_run(optimizer, started, task)
        return started

    def _next_run(self, run: Run) -> Run:
        self._write_back(run)
        here = self._before, self._stage, self._start
        self._before += run.step
        self._stage += 1
        try:
            found = self._started(run.coefficients, run.weight_state())
        except BaseException:  # what is kept is the end of the run before it
            self._before, self._stage, self._start = here
            raise
        self._products.end(run.step)
        self._begin_products(found)
        return found

    def _begin_products(self, run: Run) -> None:
        self._products.begin(self.optimizers[self._stage].product_dtype(self.net.theta.dtype), run.step)

    def _advanced(self, run: Run) -> tuple[str, str]:
        """Take the run's steps. Returns how it ended, and why."""
        optimizer = self.optimizers[self._stage]
        most = optimizer.most_steps
        every = log_interval(most)
        title = self.title if len(self.optimizers) == 1 else f"{self.title} {optimizer.name}"
        note = ""
        with (
            TrainingProgress(title, most, self.progress, lambda: run.under_way, run.step) as self._bar,
            told_of_compiling(partial(self._bar.say_at_once, COMPILING) if self.progress else None),
        ):
            if run.step:  # it is resumed, and may have nothing left to do
                self._bar.update(run.step, note)
            while run.step < most:
                if self._is_over():
                    ended = "interrupted" if self.interrupt.raised else "time limit"
                    return ended, _STOPPED[ended]
                start, is_logged = run.step, run.step % every == 0
                if is_logged:
                    self._write_back(run)
                    error, coefficients = self._measure(self.net), run.coefficients
                moment = run.advance(min(most, start + every - start % every), is_logged)
                if moment.stopped_by is not None:
                    self._look(run)
                    return "done", moment.stopped_by
                if is_logged and moment.losses is not None:
                    note = self._record(start, moment, error, coefficients)
                    if self._stop is not None:
                        return "stopped", f"callback {self._stop}"
                if run.step != start:
                    self._bar.update(run.step, note)
                if self._file.is_due(self._clock):
                    self._publish(run)
            self._look(run)
            self._bar.update(run.step, note)  # that something was compiled for it is over
        return "done", "steps"

    def _concluded(self, run: Run, ended: str, stopped_by: str) -> FitResult:
        self._publish(run)
        snapshot = self._file.snapshot(*self._saved(run))
        problem, unseen = self.problem, run.task.unseen
        returned = run.settle()
        *losses, _ = run.final_losses()
        self._write_back(run)
        held_out = unseen.losses(run.residual)
        allowed = Allowed({}, {})
        if self.asks_errors:
            terms = run.exact_terms()
            allowed = errors_allowed(problem, self.engine, self.net, run.x, unseen, terms, run.task.is_interrupted)
        self._file.conclude()
        total = problem.total_loss(losses)
        doubts = run.doubts(total, unseen.total(held_out, losses), allowed.errors)
        end = self._ending(run, ended, stopped_by, total)
        self._products.end(run.step)
        notes = (*self._notes, *self._products.notes, *returned, *doubts.notes)
        warnings = (*doubts.warnings, *contradictory(allowed.contested))
        verdict = Verdict(problem.losses_as_given(held_out), allowed.errors, warnings, notes)
        return FitResult(
            net=self.net, losses=problem.losses_as_given(losses), coefficients=run.coefficients, history=self._history,
            end=end, verdict=verdict, snapshot=snapshot,
        ).on(problem.domain)  # fmt: skip

    def _ending(self, run: Run, ended: str, stopped_by: str, loss: float) -> Ending:
        return Ending(
            ended, stopped_by, self._before + run.step, self._clock, loss, run.solver, at_work(self.engine),
            self._products.coarsest(run.step), dict(run.seconds_by_part),
        )  # fmt: skip

    def _look(self, run: Run) -> None:
        """The last row of a run that came to its end."""
        moment = run.look()
        if moment.losses is not None:
            self._write_back(run)
            self._record(run.step, moment, self._measure(self.net), run.coefficients)

    def _record(self, step: int, moment: Moment, error: float, coefficients: Mapping[str, float]) -> str:
        """A row of the history. Returns what to show of it."""
        assert moment.losses is not None
        *terms, penalty = moment.losses
        total = self.problem.total_loss(terms) + penalty
        self._history.append(
            step=self._before + step, seconds=self._clock, loss=total, penalty=penalty, relative_l2=error,
            held_out=moment.held_out, **moment.values, **self.problem.losses_as_given(terms), **coefficients,
            **self.net.learned,
        )  # fmt: skip
        row = dict(zip(self._history.columns, self._history.rows[-1], strict=True))
        self._stop = self._call(partial(self.callbacks.on_row, Progress(row, self.net, self.problem, self._history)))
        note = progress_note(total, error, moment.hidden)
        return f"{moment.place}  {note}" if moment.place else note

    def _diverged(self, run: Run, failure: Failure) -> DivergedError:
        advice = run.advice(failure)
        kept = run.restore_good()
        steps = self._before + failure.step, self._before + kept
        error = DivergedError(_divergence(failure.what, *steps, self._file.path, advice))
        self._keep(run, error, "diverged", failure.what)
        return error

    def _failed(self, run: Run, cause: Exception) -> TrainingError:
        step, name = self._before + run.step, self.optimizers[self._stage].name
        name += f" with the weighting {self.weighting.name}" if self.weighting is not None else ""
        what = _said(cause)
        where = f" and in {self._file.path}" if self._file.path is not None else ""
        error = TrainingError(
            f"training by {name} failed at step {step} ({what}); the weights of that step are kept in the network"
            f"{where}"
        )
        self._keep(run, error, "failed", what)
        return error

    def _keep(self, run: Run, error: BaseException, ended: str, stopped_by: str) -> None:
        """Save what was reached, and give it to the ``error`` that ends training."""
        snapshot = self._saved_at_last(run)
        try:
            *losses, _ = run.final_losses()
        except Exception:  # where training fails, this may fail again
            losses = [math.nan] * len(self.problem.term_names)
        end = self._ending(run, ended, stopped_by, self.problem.total_loss(losses))
        result = FitResult(
            net=self.net, losses=self.problem.losses_as_given(losses), coefficients=run.coefficients,
            history=self._history, end=end, verdict=Verdict(), snapshot=snapshot,
        ).on(self.problem.domain)  # fmt: skip
        give(error, result)
        if snapshot is not None and isinstance(error, PsinnFastError) and not isinstance(error, CallbackError):
            try:
                self._tell(run)
            except BaseException as other:
                give(other, result)
                raise

    def _saved_at_last(self, run: Run) -> Snapshot | None:
        """`_save`, where training ends by an error; None: it cannot be saved, and the file has an earlier state."""
        try:
            self._save(run)
            return self._file.snapshot(*self._saved(run))
        except Exception as error:  # of a run of the user's own
            warnings.warn(
                f"the state of {type(run).__name__} cannot be saved ({_said(error)})",
                CheckpointWarning,
                stacklevel=2,
            )
            return None

    def _publish(self, run: Run) -> None:
        self._save(run)
        self._tell(run)

    def _save(self, run: Run) -> None:
        self._write_back(run)
        self._file.write(self._clock, *self._saved(run))

    def _tell(self, run: Run) -> None:
        if self._file.path is not None:
            self._call(partial(self.callbacks.on_checkpoint, self._file.path, self._before + run.step))

    def _call(self, callbacks: Callable[[], Answer]) -> Answer | None:
        """What they answer. Ctrl-C that one of them raises, or a second one while it works, ends training in order."""
        try:
            return callbacks()
        except KeyboardInterrupt:
            self.interrupt.signal = signal.SIGINT
            return None

    def _saved(self, run: Run) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers of a checkpoint."""
        tensors, numbers = run.saved()
        theta, coefficients = self._start
        own = {"stage": self._stage, "before": self._before, "started": coefficients}
        return {**tensors, _START: theta}, {**numbers, **own, **self._products.saved(run.step)}

    def _write_back(self, run: Run) -> None:
        with torch.no_grad():
            self.net.theta.copy_(run.theta)

    def _identity(self) -> dict[str, Any]:
        settings = trained_by(self.optimizers, self.engine.name, self.regularizer, self.weighting)
        return run_identity(self.problem, self.net, {**settings, **self.identity}, self.coefficients)

    @property
    def _clock(self) -> float:
        """Seconds of training, those of an interrupted run included."""
        return self._spent + time.perf_counter() - self._began

    def _is_over(self) -> bool:
        return self.interrupt.raised or (self.seconds is not None and self._clock >= self.seconds)

    def _say(self, step: int, note: str) -> None:
        if self._bar is not None:
            self._bar.update(step, note)


def _too_late(step: int, most: int, before: int) -> tuple[str, ...]:
    """A note where a run was resumed that had more steps already than it was to take."""
    if step <= most:
        return ()
    return (f"it had {before + step} steps already when it was resumed, more than the {before + most} asked for",)


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, TrainingError) else f"{type(error).__name__}: {one_line(error)}"


def _divergence(what: str, failed_at: int, kept: int, path: Path | None, advice: str) -> str:
    """The message of a `DivergedError`."""
    where = f" and in {path}" if path is not None else ""
    return (
        f"training diverged: {what} became NaN or infinite at step {failed_at}; "
        f"the weights of step {kept} are kept in the network{where}. {advice}"
    )
