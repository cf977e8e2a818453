"""Training by Gauss-Newton: `Marquardt` iterations with the comforts of `fit` (docs/optimisers.md)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..kernels.errors import DivergedError
from ..kernels.registry import get_backend
from ..networks import PsiMLP
from ..problem import Problem
from .checkpoint import load_checkpoint, save_checkpoint
from .gauss_newton_options import GaussNewton
from .history import History
from .interrupt import InterruptFlag
from .marquardt import Failure, Marquardt
from .metrics import coarse_relative_l2
from .progress import TrainingProgress
from .result import FitResult, TrainingInterrupted, check_fit, divergence

CHECKPOINT_SECONDS = 30.0
HISTORY_ROWS = 400
# A start that finds no way shows by then: its loss is a hundred times that of the others.
SCOUT_ITERATIONS = 45
_STARTS_WITH_UNKNOWNS = 3


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
    check_fit(problem, net, seconds)
    engine = get_backend(backend, net.theta.device)
    run = Marquardt(problem, net, options, engine, coefficients)
    names = problem.term_names
    history = History(("step", "seconds", "damping", "loss", *names, "penalty", *problem.pde.unknown, "relative_l2"))
    run_identity = {
        "problem": problem.name,
        "terms": [[term.name, term.n_points, term.weight] for term in run.full],
        "structure": net.structure.to_json(),
        "dtype": str(net.theta.dtype),
        "backend": engine.name,
        "gauss_newton": {name: value for name, value in asdict(options).items() if name != "iterations"},
        **(identity or {}),
    }
    path = Path(checkpoint) if checkpoint is not None else None
    starts = _STARTS_WITH_UNKNOWNS if problem.pde.unknown and coefficients is None else 1
    starts = options.starts if isinstance(options.starts, int) else starts
    scouted = starts == 1 or options.iterations <= SCOUT_ITERATIONS
    if resume and path is not None and path.exists():
        tensors, numbers = load_checkpoint(path, history, run_identity)
        run.restore(tensors, numbers)
        scouted = numbers["scouted"]
    measure = coarse_relative_l2(problem)
    log_every = max(1, options.iterations // HISTORY_ROWS)
    before, started = history.rows[-1][1] if history.rows else 0.0, time.perf_counter()

    def clock() -> float:
        return before + time.perf_counter() - started

    def write_back() -> None:
        with torch.no_grad():
            net.theta.copy_(run.theta)

    def publish() -> None:
        write_back()
        if path is not None:
            tensors, numbers = run.saved()
            save_checkpoint(path, tensors, {**numbers, "scouted": scouted}, history, run_identity)

    def record() -> str:
        write_back()
        losses, error = run.losses, measure(net)
        total = sum(term.weight * loss for term, loss in zip(run.full, losses, strict=True) if term.weight)
        history.append(
            step=run.step, seconds=clock(), damping=run.damping, loss=total, penalty=0.0, relative_l2=error,
            **dict(zip(names, losses, strict=True)), **run.coefficients,
        )  # fmt: skip
        return f"loss {total:.2e}" + ("" if math.isnan(error) else f"  error {error:.2e}")

    publish()  # an unwritable checkpoint shows now, not after the work
    if not scouted and (seconds is None or clock() < seconds):
        found = _scout(problem, net, options, starts, coefficients, backend, seconds, progress, title)
        run = Marquardt(problem, net, options, engine, found)
        scouted = True
    saved_at, note = clock(), ""
    status, stopped_by = "done", "iterations"
    with InterruptFlag() as interrupt, TrainingProgress(title or problem.name, options.iterations, progress) as bar:
        try:
            while run.step < options.iterations:
                if interrupt.raised or (seconds is not None and clock() >= seconds):
                    status = "interrupted" if interrupt.raised else "time limit"
                    stopped_by = "interrupt" if interrupt.raised else "seconds"
                    break
                equations = run.linearise()
                if run.step % log_every == 0:
                    note = record()
                reason = run.advance(equations)
                bar.update(run.step, note)
                if reason is not None:
                    stopped_by = reason
                    break
                if clock() - saved_at > CHECKPOINT_SECONDS:
                    publish()
                    saved_at = clock()
            final = run.full_losses()
        except Failure as failure:
            kept = run.restore_good()
            publish()
            advice = "Look at the residual where it is not defined for every u, or start from other weights (seed)"
            raise DivergedError(divergence(failure.what, failure.step, kept, path, advice)) from None
        if status == "done" and run.r.numel():
            record()
        publish()
    result = FitResult(
        status, run.step, clock(), dict(zip(names, final, strict=True)), run.coefficients, history, stopped_by,
        ", ".join(run.solvers) or None,
    )  # fmt: skip
    if status == "interrupted":
        raise TrainingInterrupted(result)
    return result


def _scout(
    problem: Problem,
    net: PsiMLP,
    options: GaussNewton,
    starts: int,
    coefficients: Mapping[str, float] | None,
    backend: str,
    seconds: float | None,
    progress: bool,
    title: str | None,
) -> dict[str, float]:
    """A few iterations from the network's weights and from others; the lowest loss goes into it. Its coefficients."""
    candidates = [net, *(_redrawn(net, options.seed, number) for number in range(1, starts))]
    weights = {condition.name: condition.weight for condition in problem.conditions}
    short = replace(options, iterations=SCOUT_ITERATIONS, starts=1)
    started, best, lowest = time.perf_counter(), net, math.inf
    found: dict[str, float] = {}
    for number, candidate in enumerate(candidates, start=1):
        left = None if seconds is None else max(0.0, seconds - (time.perf_counter() - started))
        label = f"{title or problem.name}, start {number} of {starts}"
        result = fit_gauss_newton(
            problem, candidate, short, coefficients=coefficients, backend=backend, seconds=left, progress=progress,
            title=label,
        )  # fmt: skip
        loss = sum(weights[name] * value for name, value in result.losses.items())
        if loss < lowest:
            best, lowest, found = candidate, loss, result.coefficients
    with torch.no_grad():
        net.theta.copy_(best.theta)
    return found


def _redrawn(net: PsiMLP, seed: int, number: int) -> PsiMLP:
    seed = int(np.random.default_rng((seed, number)).integers(2**31))
    return PsiMLP(net.structure, seed=seed, dtype=net.theta.dtype, device=net.theta.device)
