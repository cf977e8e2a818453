"""Which share of the chip's multiply-adds and of its memory bandwidth our step reaches, where points are many."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from psinn_fast.cli.step_parts import multiply_adds as multiply_adds_of

from .cases import case_of, key_of, sizes, structures
from .clock import time_blocks
from .laplace.case import Case
from .lines import Row
from .machine import multiply_adds
from .ours import ours
from .settings import Settings, Task
from .timing import spread


def tasks(settings: Settings) -> list[Task]:
    points = max(sizes(settings))
    found = [case_of(name, points, settings) for name in structures(settings.quick)]
    return [Task(key_of(case), partial(_share, case, settings)) for case in found[: 1 if settings.quick else None]]


def _share(case: Case, settings: Settings, done: Mapping[str, Row]) -> Row:
    """Counted as on the CPU: the products of hidden layers, forward and backward; at least the points are read."""
    step, peak = ours(case), multiply_adds(settings)
    times = time_blocks({"ours": step, "peak": peak}, settings)
    needed = multiply_adds_of(case.network().plan, case.terms()[:1])
    row: Row = {
        "network": case.name,
        "points": case.points,
        "microseconds_per_step": spread(times["ours"] * 1e6),
        "multiply_adds_per_point": needed / case.points,
        "peak_multiply_adds_per_second": spread(peak.per_step / times["peak"]),
        # Within one round: both meet the same clock rate.
        "share_of_peak": spread(needed / times["ours"] / (peak.per_step / times["peak"])),
    }
    copied = done.get("machine/copy", {}).get("bytes_per_second")
    if copied:
        moved = case.points * (case.layers[0] + case.layers[-1]) * 4
        row["share_of_bandwidth"] = spread(moved / times["ours"] / copied["median"])
    return row
