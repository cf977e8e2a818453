"""Training by Gauss-Newton: `Marquardt` iterations with the comforts of `fit` (docs/optimisers.md)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from .. import entries
from ..kernels import get_backend
from ..kernels.errors import CheckpointError, DivergedError
from ..networks import PsiMLP
from ..problem import Problem
from .abort import Aborted, abortable
from .checkpoint import Checkpoint
from .doubts import ALLOWED, between_points, loose, times_larger, undetermined
from .gauss_newton_options import GaussNewton
from .held_out import REPORTED, HeldOut
from .history import History
from .identity import options_of, run_identity
from .interrupt import InterruptFlag
from .marching import March
from .marquardt import Failure, Marquardt, Watched
from .metrics import coarse_relative_l2
from .progress import TrainingProgress, progress_note
from .result import FitResult, TrainingInterrupted, divergence, other_weights
from .scouting import SCOUT_ITERATIONS, better_start, redrawn, wants_another_start
from .stability import errors_allowed

HISTORY_ROWS = 400
_STARTS = 2


def fit_gauss_newton(
    problem: Problem,
    net: PsiMLP,
    options: GaussNewton,
    *,
    coefficients: Mapping[str, float] | None = None,
    backend: str = "auto",
    seconds: float | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    progress: bool = False,
    title: str | None = None,
) -> FitResult:
    """`fit` by Gauss-Newton.

    The work is done on a float64 copy of the weights; the network keeps its dtype. ``coefficients``: where the unknown
    ones start; None: at the problem's guess. The history's losses are those of the points drawn, the result's those of
    all points.
    """
    engine = get_backend(backend, net.theta.device)
    run = Marquardt(problem, net, options, engine, coefficients)
    names = problem.term_names
    history = History(
        ("step", "seconds", "damping", "loss", "held_out", *names, "penalty", *problem.pde.unknown, "relative_l2")
    )
    settings = {"backend": engine.name, "gauss_newton": options_of(options, "iterations"), **(identity or {})}
    file = Checkpoint(checkpoint, history, lambda: run_identity(problem, net, settings, coefficients))
    starts = options.starts if isinstance(options.starts, int) else _STARTS
    # A second start costs as much as the first: without unknown coefficients only a stuck one is worth it.
    compares = options.starts != "auto" or (bool(problem.pde.unknown) and coefficients is None)
    scouting = min(SCOUT_ITERATIONS, options.iterations)
    compare_at = scouting if compares else None
    elsewhere = {**(coefficients or {}), **problem.unknowns.far(coefficients, guessed=True)}
    others = [
        partial(Marquardt, problem, redrawn(net, problem, options.seed, number, engine), options, engine, elsewhere)
        for number in range(1, starts)
    ]
    scouted = not others
    unseen = HeldOut(problem, REPORTED, device=net.theta.device)
    march = March(problem, net, options, engine, unseen, run.x)
    if resume and file.exists:
        tensors, numbers = file.load(
            {**run.expected_tensors, **march.expected_tensors},
            {**run.expected_numbers, **march.expected_numbers, "scouted": entries.boolean},
        )
        try:
            run = march.restore(tensors, numbers, run)
            run.restore(tensors, numbers)
        except CheckpointError as error:
            raise CheckpointError(f"{checkpoint}: {error}") from None
        scouted = numbers["scouted"]
    measure = coarse_relative_l2(problem, backend)
    log_every = max(1, options.iterations // HISTORY_ROWS)
    before, started = history.rows[-1][1] if history.rows else 0.0, time.perf_counter()

    def clock() -> float:
        return before + time.perf_counter() - started

    def write_back() -> None:
        with torch.no_grad():
            net.theta.copy_(run.theta)

    def publish() -> None:
        write_back()
        (tensors, numbers), (march_tensors, march_numbers) = run.saved(), march.saved()
        file.write(clock(), {**tensors, **march_tensors}, {**numbers, **march_numbers, "scouted": scouted})

    def record() -> str:
        write_back()
        total, error, seen = run.loss, measure(net), run.latest
        history.append(
            step=march.before + run.step, seconds=clock(), damping=run.damping, loss=total, penalty=0.0,
            relative_l2=error, held_out=seen.loss if seen.step == run.step else math.nan,
            **problem.losses_as_given(run.losses), **run.coefficients,
        )  # fmt: skip
        note = progress_note(total, error, times_larger(seen.loss, seen.drawn, run.first_loss))
        return f"{march.progress}  {note}" if march.is_under_way else note

    publish()  # an unwritable checkpoint shows now, not after the work
    note = ""
    ended, stopped_by, reason = "done", "iterations", None
    with InterruptFlag() as interrupt, TrainingProgress(title or problem.name, options.iterations, progress) as bar:

        def halted() -> bool:
            return interrupt.raised or (seconds is not None and clock() >= seconds)

        try:
            while march.before + run.step < options.iterations:
                if halted():
                    ended = "interrupted" if interrupt.raised else "time limit"
                    stopped_by = "interrupt" if interrupt.raised else "seconds"
                    break
                first_loss = history["loss"][0] if len(history) else math.inf
                with _undone_if_aborted(run, march, history, interrupt):
                    if march.is_under_way:
                        if march.is_over(run, reason):
                            run, reason = march.after(run), None
                            continue
                        reason = None
                    elif not scouted and wants_another_start(run, reason, first_loss, compare_at):
                        bar.update(run.step, "trying other starts")
                        found = better_start(run, others, scouting, halted)
                        if found is not None:
                            reason = reason if found is run else None
                            run, scouted = found, True
                        continue
                    elif march.is_due(run, reason):
                        found = march.begin(run, reason)
                        reason = reason if found is run else None
                        run = found
                        continue
                    if reason is not None and not run.renew():
                        stopped_by = reason
                        break
                    reason = None
                    try:
                        equations = run.linearise()
                    except Failure:
                        if not march.is_under_way:
                            raise
                        run = march.after(None)
                        continue
                    if (march.before + run.step) % log_every == 0:
                        note = record()
                    reason = run.advance(equations)
                bar.update(march.before + run.step, note)
                if file.is_due(clock()):
                    publish()
            if ended == "done" and run.r.numel():
                run.watch()
                record()
            publish()
            if march.is_under_way:
                run = march.conclude(run)
            last = run.settle()
            final, held_out = run.full_losses(), unseen.losses(run.residual)
            errors = errors_allowed(problem, engine, net, run.x, unseen, run.full, lambda: interrupt.raised)
            write_back()
        except Failure as failure:
            advice = other_weights(run.undefined())
            kept = run.restore_good()
            publish()
            steps = march.before + failure.step, march.before + kept
            raise DivergedError(divergence(failure.what, *steps, file.path, advice)) from None
        file.conclude()
    total = problem.total_loss(final)
    warnings, notes = _doubts(run, total, unseen.total(held_out, final), errors)
    result = FitResult(
        ended, march.before + run.step, clock(), total, problem.losses_as_given(final), run.coefficients, history,
        stopped_by, ", ".join(run.solvers) or None, problem.losses_as_given(held_out),
        (*march.warnings, *warnings, *undetermined(errors), *loose(errors, ALLOWED)),
        _returned(run, last, march.before + run.best.step), errors, loose=notes,
    )  # fmt: skip
    if interrupt.signal is not None:  # also one that came too late to change anything
        raise TrainingInterrupted(result, net, interrupt.signal)
    return result


def _returned(run: Marquardt, last: Watched, step: int) -> tuple[str, ...]:
    """That the weights of an earlier ``step`` are returned, and why; ``last``: what `Marquardt.settle` left."""
    if run.x is last.x:
        return ()
    why = "later ones were worse between the points"
    if larger := times_larger(last.loss, last.drawn, run.first_loss):
        why = f"the network adapted to its points, between which the residual is {larger} at the last step"
    return (f"the weights of step {step} are returned: {why}",)


def _doubts(
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


@contextmanager
def _undone_if_aborted(run: Marquardt, march: March, history: History, interrupt: InterruptFlag) -> Iterator[None]:
    """Ctrl-C ends what is under way here half done, and run, march and history are what they were before it."""
    tensors, numbers, rows, windows = *run.saved(), len(history), vars(march).copy()
    try:
        with abortable(lambda: interrupt.raised):
            yield
    except Aborted:
        run.restore(tensors, numbers)
        vars(march).update(windows)
        del history.rows[rows:]
