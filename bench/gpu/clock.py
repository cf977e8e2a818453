"""Times on a device: wall time over many steps, to the end of the last one, in alternating rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch

from .settings import Settings
from .timing import WARM_UP_STEPS, Seconds, alternate

MOST_STEPS = 20_000


class Steps(Protocol):
    def steps(self, count: int) -> None: ...


def finish(settings: Settings) -> None:
    if settings.device == "cuda":
        torch.cuda.synchronize()


def time_blocks(
    steps: Mapping[str, Steps], settings: Settings, weights: Mapping[str, float] | None = None
) -> dict[str, Seconds]:
    """Seconds per step in each round. A block of steps takes about `Settings.block_seconds`, times its weight."""
    seconds = {name: settings.block_seconds * (weights or {}).get(name, 1.0) for name in steps}
    counts = {name: _count(step, seconds[name], settings) for name, step in steps.items()}
    runs = {name: partial(_run, step, counts[name], settings) for name, step in steps.items()}
    before: dict[str, Callable[[], None]] = {}
    if not settings.quick:
        before = {name: partial(_run, step, WARM_UP_STEPS, settings) for name, step in steps.items()}
    return {name: values / counts[name] for name, values in alternate(runs, settings.rounds, before).items()}


def seconds_of(step: Steps, count: int, settings: Settings) -> float:
    """Of that many steps, once."""
    started = time.perf_counter()
    _run(step, count, settings)
    return time.perf_counter() - started


def _run(step: Steps, count: int, settings: Settings) -> None:
    step.steps(count)
    finish(settings)


def _count(step: Steps, seconds: float, settings: Settings) -> int:
    """Steps that take about ``seconds``. The first call compiles; what a call costs besides its steps counts once."""
    if settings.quick:
        return 1
    _run(step, WARM_UP_STEPS, settings)
    count = WARM_UP_STEPS
    for _ in range(3):
        count = max(1, min(MOST_STEPS, int(count * seconds / seconds_of(step, count, settings))))
    return count
