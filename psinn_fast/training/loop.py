"""The training loop: operation 4 in slices, with history, progress, checkpoints, Ctrl-C and a stop at NaN."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import entries
from ..discovery.imposed import broken_symmetries
from ..kernels import checks, get_backend
from ..kernels.contract import AdamState
from ..kernels.errors import DivergedError, InputError, short
from ..kernels.regularizer import Regularizer
from ..missing_conditions import missing_conditions
from ..networks import PsiMLP
from ..problem import Problem
from ..problem_checks import check_coefficients
from ..problems import as_problem
from ..scaling import as_trained
from ..trivial_solution import trivial_solution
from .checkpoint import Checkpoint, Expected
from .doubts import ALLOWED_OF_ADAM, between_points, loose, times_larger, undetermined
from .gauss_newton import fit_gauss_newton
from .gauss_newton_options import GaussNewton
from .held_out import REPORTED, WATCHED, HeldOut, residual_of
from .history import History
from .identity import options_of, run_identity
from .interrupt import InterruptFlag
from .metrics import coarse_relative_l2
from .point_orbits import one_point_per_orbit
from .progress import TrainingProgress, progress_note
from .redraw import EVERY, Redraw
from .residuals import Residuals
from .result import (
    FitResult,
    TrainingInterrupted,
    check_fits,
    check_regularizer,
    check_trainable,
    divergence,
    judged,
    other_weights,
    time_limit,
)
from .stability import errors_allowed

# A slice of steps between two looks at the clock and at Ctrl-C, in seconds.
SLICE_SECONDS = 0.2
HISTORY_ROWS = 400
_GAMMA = 0.1
# Looks at points that are held out.
WATCHES = 10


@dataclass(frozen=True)
class Schedule:
    """Adam's settings: lr is multiplied by gamma at each milestone.

    Raises:
        InputError: a negative number of steps; a rate that is not positive; milestones that do not increase or do not
            lie between 1 and the last step; a gamma that no milestone uses; betas outside [0, 1).
    """

    steps: int
    lr: float = 1e-3
    milestones: Sequence[int] = ()
    gamma: float = _GAMMA
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        checked = {
            "steps": checks.integer("steps", self.steps, 0),
            "lr": checks.number("lr", self.lr, above=0),
            "milestones": checks.integers("milestones", self.milestones, 1),
            "gamma": checks.number("gamma", self.gamma, above=0),
            "betas": tuple(checks.numbers("betas", self.betas).ravel().tolist()),
            "eps": checks.number("eps", self.eps, above=0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"betas: expected two numbers >= 0 and < 1, got {self.betas}")
        if any(b <= a for a, b in pairwise(self.milestones)):
            raise InputError(f"milestones: expected increasing steps, got {list(self.milestones)}")
        if self.milestones and self.milestones[-1] >= self.steps:
            raise InputError(f"milestones: {self.milestones[-1]} has no effect on a training of {self.steps} steps")
        if self.gamma != _GAMMA and not self.milestones:
            raise InputError("gamma: has no meaning without milestones")


@dataclass
class _Clock:
    """Seconds of training, those of an interrupted run included, and steps per second for sizing slices."""

    before: float
    started: float = field(default_factory=time.perf_counter)
    rate: float = 5.0

    @property
    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.started


def fit(
    problem: Problem | str,
    net: PsiMLP,
    schedule: Schedule | GaussNewton,
    *,
    coefficients: Mapping[str, float] | None = None,
    backend: str = "auto",
    regularizer: Regularizer | None = None,
    seconds: float | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    progress: bool = False,
    title: str | None = None,
    scaling: str | None = "auto",
) -> FitResult:
    """Train ``net.theta`` and the problem's unknown coefficients; ``net`` is changed in place.

    Args:
        problem: a `Problem` or the name of a built-in one; gives the loss terms, in the network's dtype and on its
            device; of points that the network's symmetry makes equal only one is computed (`one_point_per_orbit`), and
            once the network has adapted to its points, others are taken (`Redraw`).
        net: a network with the problem's inputs and outputs.
        schedule: for Adam steps, learning rate, milestones; or a `GaussNewton`.
        coefficients: where the unknown ones start; None: where the problem says.
        backend: see `available_backends`.
        regularizer: a weight penalty added to the loss; not for Gauss-Newton.
        seconds: stop after this time (checked between slices of about 0.2 s, or between iterations of Gauss-Newton).
        checkpoint: file written at the start, every 30 s, at the end, on Ctrl-C and before an error is raised.
        resume: continue from ``checkpoint`` if it exists; on one thread the weights are those of an uninterrupted run,
            bit for bit.
        identity: what a checkpoint must agree in to be resumed, besides network, dtype, schedule and backend.
        progress: show a bar on stderr, headed by ``title``.
        scaling: "auto": where residuals or unknown coefficients are far from order 1, they are trained in units of
            their natural sizes (`in_natural_units`); terms' losses are reported as the residuals were given, the total
            is that which is minimised. None: as they are. Either way the network stays what it is: `build_network`
            makes one in the problem's natural units.

    Raises:
        InputError: a network that does not fit the problem, or one of float32, where that is too coarse for it; an
            option out of range or without effect.
        CheckpointError: the checkpoint cannot be read or written, or is of another run.
        DivergedError: a loss or gradient became NaN or infinite; net and checkpoint hold the last good weights.
        TrainingInterrupted: on Ctrl-C, at most a slice later; net and checkpoint hold the weights reached.
    """
    problem = as_problem(problem)
    check_fits(problem, net)
    check_trainable(net)
    if not isinstance(schedule, (Schedule, GaussNewton)):
        raise InputError(f"schedule: expected a Schedule or a GaussNewton, got {short(schedule)}")
    check_regularizer(regularizer, net, isinstance(schedule, GaussNewton))
    if coefficients is not None:
        coefficients = check_coefficients("coefficients", coefficients, tuple(problem.pde.unknown))
    seconds = time_limit(seconds)
    if checks.flag("resume", resume) and checkpoint is None:
        raise InputError("resume: needs the file to continue from (checkpoint)")
    checks.flag("progress", progress)
    if identity is not None and not isinstance(identity, Mapping):
        raise InputError(f"identity: expected a mapping, got {short(identity)}")
    known = (
        *missing_conditions(problem, is_symmetric=not net.structure.is_dense),
        *broken_symmetries(problem, net.structure),
    )
    problem = as_trained(problem, net, scaling)
    known += trivial_solution(problem)
    if isinstance(schedule, GaussNewton):
        try:
            result = fit_gauss_newton(
                problem, net, schedule, coefficients=coefficients, backend=backend, seconds=seconds,
                checkpoint=checkpoint, resume=resume, identity=identity, progress=progress, title=title,
            )  # fmt: skip
        except TrainingInterrupted as stop:
            stop.result = judged(stop.result, problem, known)
            raise
        return judged(result, problem, known)
    for name, natural in problem.unknowns.far(coefficients).items():
        warnings.warn(
            f"coefficients: {name} starts far from its natural size, near {abs(natural):g}, which is farther than Adam "
            "can go; start it nearer, or use Gauss-Newton",
            stacklevel=2,
        )
    dtype, device = net.theta.dtype, net.theta.device
    engine = get_backend(backend, device)
    given = one_point_per_orbit(problem, net, problem.terms(dtype, device), engine)
    points_now, weights = Redraw(problem, given), problem.weights(dtype, device)
    state = AdamState(
        net.theta.detach().clone(),
        torch.tensor(problem.unknowns.start(coefficients), dtype=dtype, device=device),
        schedule.lr,
        tuple(schedule.milestones),
        schedule.gamma,
        schedule.betas,
        schedule.eps,
    )
    names = problem.term_names
    history = History(
        ("step", "seconds", "lr", "loss", "held_out", *names, "penalty", *problem.pde.unknown, "relative_l2")
    )
    log_every = max(1, schedule.steps // HISTORY_ROWS)
    watch_every = log_every * max(1, schedule.steps // (WATCHES * log_every))
    settings = {
        "backend": engine.name,
        **options_of(schedule, "steps"),
        "regularizer": [regularizer.kind, regularizer.strength] if regularizer else None,
        **(identity or {}),
    }
    file = Checkpoint(checkpoint, history, lambda: run_identity(problem, net, settings, coefficients))
    adapted, draw = False, -1
    if resume and file.exists:
        # Moments overflow where gradients are large; theta never does.
        tensors, numbers = file.load(
            {name: Expected(tuple(t.shape), t.dtype, "moment" not in name) for name, t in _tensors(state).items()},
            {"step": entries.integer, "adapted": entries.boolean, "draw": partial(entries.integer, least=-1)},
        )
        for name, target in _tensors(state).items():
            target.copy_(tensors[name])
        state.step, adapted, draw = numbers["step"], numbers["adapted"], numbers["draw"]
        if draw >= 0:
            points_now.draw(draw)
    measure, watched = coarse_relative_l2(problem, backend), HeldOut(problem, WATCHED, dtype, device)
    hidden: str | None = None

    def write_back() -> None:
        with torch.no_grad():
            net.theta.copy_(state.theta)

    def publish() -> None:
        write_back()
        file.write(clock.seconds, _tensors(state), {"step": state.step, "adapted": adapted, "draw": draw})

    def unseen(points: HeldOut) -> list[float | None]:
        return points.losses(residual_of(engine, net.plan, state.theta, state.coefficients))

    def record(
        losses: list[float], step: int, lr: float, error: float, z: list[float], others: list[float | None] | None
    ) -> str:
        nonlocal hidden, adapted
        *terms_now, penalty = losses
        own = problem.total_loss(terms_now)
        there = watched.total(others, terms_now) if others else math.nan
        history.append(
            step=step, seconds=clock.seconds, lr=lr, loss=own + penalty, penalty=penalty, relative_l2=error,
            held_out=there + penalty,
            **problem.losses_as_given(terms_now), **problem.unknowns.values(z),
        )  # fmt: skip
        hidden = times_larger(there, own, history["loss"][0]) if others else hidden
        adapted = points_now.is_possible and (adapted or hidden is not None)
        return progress_note(own + penalty, error, hidden)

    def diverged(index: int, failed_at: int) -> DivergedError:
        """The error of what failed: a term by its number, or the weight penalty, or the gradient."""
        what = [*(f"term {name!r}" for name in names), "the weight penalty", "the gradient"][index]
        advice = "A smaller learning rate may help"
        if failed_at == 0:
            residuals, x = Residuals(engine, net.plan, [], []), torch.cat([state.theta, state.coefficients])
            terms = points_now.terms if index >= len(names) else [points_now.terms[index]]
            advice = other_weights(next((found for term in terms if (found := residuals.undefined(term, x))), None))
        return DivergedError(divergence(what, failed_at, state.step, file.path, advice))

    clock = _Clock(history.rows[-1][1] if history.rows else 0.0)
    publish()  # an unwritable checkpoint shows now, not after the work
    ended, note = "done", ""
    title = title or problem.name
    with InterruptFlag() as interrupt, TrainingProgress(title, schedule.steps, progress) as bar:
        while state.step < schedule.steps:
            if interrupt.raised or (seconds is not None and clock.seconds >= seconds):
                ended = "interrupted" if interrupt.raised else "time limit"
                break
            start, at_log = state.step, state.step % log_every == 0
            if at_log:
                write_back()
                lr, error, found = state.learning_rate(), measure(net), state.coefficients.tolist()
                others = unseen(watched) if start % watch_every == 0 else None
            if adapted and start % EVERY == 0:
                draw = start // EVERY
                points_now.draw(draw)
            ends = schedule.steps, start + log_every - start % log_every, start + EVERY - start % EVERY
            steps = min(min(ends) - start, max(1, int(clock.rate * SLICE_SECONDS)))
            began = time.perf_counter()
            report = engine.train(net.plan, state, points_now.terms, weights, steps, regularizer)
            if report.failure is not None:
                publish()
                raise diverged(report.failure, start + len(report.losses))
            clock.rate = 0.5 * clock.rate + 0.5 * steps / max(time.perf_counter() - began, 1e-9)
            if at_log:
                note = record(report.losses[0].tolist(), start, lr, error, found, others)
            bar.update(state.step, note)
            if file.is_due(clock.seconds):
                publish()
        write_back()
        final = engine.loss_and_gradient(net.plan, state.theta, state.coefficients, given, weights, regularizer)
        losses = [*final.losses.tolist(), float(final.penalty)]
        failed = [i for i, value in enumerate(losses) if not math.isfinite(value)]
        if failed:
            failed_at = state.step
            state.restore_good()
            publish()
            raise diverged(failed[0], failed_at)
        if ended == "done":
            found = state.coefficients.tolist()
            record(losses, state.step, state.learning_rate(), measure(net), found, unseen(watched))
        publish()
        points, own = HeldOut(problem, REPORTED, torch.float64, device), losses[: len(names)]
        x = torch.cat([state.theta, state.coefficients]).double()
        held_out = points.losses(residual_of(engine, net.plan, state.theta.double(), state.coefficients.double()))
        exact_terms = problem.terms(torch.float64, device)
        errors = errors_allowed(problem, engine, net, x, points, exact_terms, lambda: interrupt.raised)
        file.conclude()
    total = problem.total_loss(own)
    first = history["loss"][0] if len(history) else total
    between = between_points(points.total(held_out, own), total, first, errors)
    stopped_by = {"done": "steps", "time limit": "seconds", "interrupted": "interrupt"}[ended]
    result = FitResult(
        ended,
        state.step,
        clock.seconds,
        total,
        problem.losses_as_given(own),
        problem.unknowns.values(state.coefficients.tolist()),
        history,
        stopped_by,
        held_out=problem.losses_as_given(held_out),
        held_out_warnings=(
            *between[0],
            *undetermined(errors),
        ),
        loose=(*between[1], *loose(errors, ALLOWED_OF_ADAM)),
        possible_errors=errors,
    )
    result = judged(result, problem, known)
    if interrupt.signal is not None:  # also one that came too late to change anything
        raise TrainingInterrupted(result, net, interrupt.signal)
    return result


def _tensors(state: AdamState) -> dict[str, Tensor]:
    """The state's tensors by the names they are saved under."""
    return {name: getattr(state, name) for name in ("theta", "coefficients", "first_moment", "second_moment")}
