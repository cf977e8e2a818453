"""Alternating rounds, and medians with percentiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

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


def spread(values: npt.ArrayLike) -> dict[str, float]:
    low, median, high = np.percentile(np.asarray(values), [10, 50, 90])
    return {"median": float(median), "p10": float(low), "p90": float(high)}
