"""Adam first, then Gauss-Newton from where it came to: one result, one history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..networks import PsiMLP
from ..problem import Problem
from .gauss_newton_options import GaussNewton
from .history import History
from .loop import Schedule, fit
from .result import FitResult, TrainingInterrupted


def fit_warm(
    problem: Problem,
    net: PsiMLP,
    adam: Schedule,
    newton: GaussNewton,
    *,
    checkpoints: tuple[Path | None, Path | None] = (None, None),
    seconds: float | None = None,
    title: str | None = None,
    identity: Mapping[str, Any] | None = None,
    **common: Any,
) -> FitResult:
    """`fit` twice, but once where Adam does not come to its end. ``checkpoints``: one each; ``common``: for both."""
    title = title or problem.name
    first = fit(
        problem, net, adam, seconds=seconds, checkpoint=checkpoints[0], title=f"{title} Adam", identity=identity,
        **common,
    )  # fmt: skip
    if first.ended != "done":
        return first
    left = None if seconds is None else max(0.0, seconds - first.seconds)
    # Where Adam stopped is part of what the second run is.
    identity = {**(identity or {}), "warm_start": [adam.steps, adam.lr, list(adam.milestones)]}
    try:
        second = fit(
            problem, net, newton, coefficients=first.coefficients, seconds=left, checkpoint=checkpoints[1],
            title=f"{title} Gauss-Newton", identity=identity, **common,
        )  # fmt: skip
    except TrainingInterrupted as stop:
        raise TrainingInterrupted(_joined(first, stop.result), net, stop.signal) from None
    return _joined(first, second)


def _joined(first: FitResult, second: FitResult) -> FitResult:
    columns = dict.fromkeys([*first.history.columns, *second.history.columns])
    history = History(tuple(columns))
    for row in first.history:
        history.append(**row)
    for row in second.history:
        history.append(**{**row, "step": row["step"] + first.steps, "seconds": row["seconds"] + first.seconds})
    unsolved = {name: max(loss, first.unsolved.get(name, 0.0)) for name, loss in second.unsolved.items()}
    return replace(
        second, unsolved=unsolved, steps=first.steps + second.steps, seconds=first.seconds + second.seconds,
        history=history,
    )  # fmt: skip
