"""Alternating rounds, and medians with percentiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .training_step import Step

WARM_UP_STEPS = 5

Seconds = npt.NDArray[np.float64]


def alternate(
    runs: Mapping[str, Callable[[], None]], rounds: int, before: Mapping[str, Callable[[], None]] | None = None
) -> dict[str, Seconds]:
    """Seconds of each run in each round; the runs take turns, so that slow drifts of the machine hit all.

    ``before[name]`` is called untimed before each run of that name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            if before and name in before:
                before[name]()
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: np.array(values) for name, values in seconds.items()}


def time_steps(steps: Mapping[str, Step], rounds: int, block: int) -> dict[str, Seconds]:
    """Seconds per training step in alternating rounds of ``block`` steps."""
    keep_freed_memory()
    seconds = alternate(
        {name: lambda step=step: step.steps(block) for name, step in steps.items()},
        rounds,
        # Caches and threads belonged to another peer until now.
        {name: lambda step=step: step.steps(WARM_UP_STEPS) for name, step in steps.items()},
    )
    return {name: values / block for name, values in seconds.items()}


def keep_freed_memory() -> None:
    """Spare all peers page faults, which otherwise come and go with the state of the heap (up to 6,000 a step).

    glibc returns freed memory above twice the largest block freed so far, so one large block is freed here.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def spread(values: npt.ArrayLike) -> dict[str, float]:
    low, median, high = np.percentile(np.asarray(values), [10, 50, 90])
    return {"median": float(median), "p10": float(low), "p90": float(high)}


def at_most(values: npt.ArrayLike, bar: float) -> dict[str, Any]:
    """Spread beside a bar, and whether the median meets it."""
    result = spread(values)
    return {**result, "bar": bar, "met": result["median"] <= bar}


def at_least(values: npt.ArrayLike, bar: float) -> dict[str, Any]:
    result = spread(values)
    return {**result, "bar": bar, "met": result["median"] >= bar}


def cell(values: Mapping[str, Any], scale: float = 1.0, digits: int = 3) -> str:
    """``median (p10-p90)``, and the bar if there is one."""
    median, low, high = (f"{values[name] * scale:.{digits}f}" for name in ("median", "p10", "p90"))
    text = f"{median} ({low}-{high})"
    if "bar" in values:
        text += f" {'meets' if values['met'] else 'MISSES'} {values['bar'] * scale:g}"
    return text
