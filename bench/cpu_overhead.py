"""What a step costs whatever the number of points: Python, threads, Adam, sums."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from psinn_fast.kernels.contract import Term

from .cases import CASES, Case
from .peers import TrainStep
from .section import Row, Settings, attempt
from .timing import alternate, at_most, cell, keep_freed_memory, spread, time_steps

SHARE_BAR = 0.05
SMALL_BAR = 60e-6
STEPS, SMALL_STEPS = 200, 1000


def run(settings: Settings) -> list[Row]:
    rows = [
        attempt({"measure": "share of fixed cost", "case": case.name}, partial(_share, case, settings))
        for case in CASES
    ]
    small = Case("small", (2, 8, 8, 16, 1), points=settings.points(256))
    row = {"measure": "small step", "layers": list(small.layers), "points": small.points}
    return [*rows, attempt(row, partial(_small, small, settings))]


def _share(case: Case, settings: Settings) -> Row:
    """The whole step, edges too, against the same with one point per term, and with every point twice.

    A single point is not worth a second thread, so it does not show what waking and awaiting one costs. The second
    estimate does: from the times of N and 2 N points to the time of none.
    """
    full = replace(case, points=settings.points(case.points), edge_points=settings.points(case.edge_points))
    single = replace(case, points=1, edge_points=1)
    net = case.network()
    steps = {
        name: TrainStep(net.plan, net.theta, terms, settings.backend, case.lr)
        for name, terms in (
            ("full", full.terms()),
            ("single", single.terms()),
            ("twice", [_twice(term) for term in full.terms()]),
        )
    }
    times = time_steps(steps, settings.rounds, 10 if settings.quick else STEPS)
    return {
        "points": full.points,
        "milliseconds_per_step": {name: spread(seconds * 1e3) for name, seconds in times.items()},
        "share": at_most(times["single"] / times["full"], SHARE_BAR),
        "share_extrapolated": at_most(2 - times["twice"] / times["full"], SHARE_BAR),
    }


def _twice(term: Term) -> Term:
    return replace(term, points=torch.cat([term.points] * 2, 1), columns=torch.cat([term.columns] * 2))


def _small(case: Case, settings: Settings) -> Row:
    """Residual only, in one call of train and with a call for every step."""
    net = case.network()
    step = TrainStep(net.plan, net.theta, case.terms()[:1], settings.backend)
    count = 20 if settings.quick else SMALL_STEPS

    def one_by_one() -> None:
        for _ in range(count):
            step.steps(1)

    keep_freed_memory()
    warm_up = partial(step.steps, count)
    times = alternate(
        {"one call": partial(step.steps, count), "a call per step": one_by_one},
        settings.rounds,
        {"one call": warm_up, "a call per step": warm_up},
    )
    return {"seconds_per_step": {name: at_most(seconds / count, SMALL_BAR) for name, seconds in times.items()}}


def table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        name = row.get("case") or f"{'-'.join(map(str, row['layers']))}, {row['points']} points"
        if "failure" in row:
            lines.append(f"{name:28}FAILED  {row['failure']}")
        elif "share" in row:
            times = row["milliseconds_per_step"]
            lines.append(
                f"{name:28}ms per step {cell(times['full'])}, with single points {cell(times['single'])}: "
                f"share in % {cell(row['share'], 100, 2)}, "
                f"extrapolated {cell(row['share_extrapolated'], 100, 2)}"
            )
        else:
            lines += [
                f"{name:28}us per step, {how}: {cell(found, 1e6, 1)}" for how, found in row["seconds_per_step"].items()
            ]
    return "\n".join(lines)
