"""Memory of one loss and gradient, and whether time per point stays the same up to millions of points."""

from __future__ import annotations

import json
from functools import partial

from .section import Row, Settings, attempt, run_python
from .timing import at_most, cell, spread

LAYERS = (2, 32, 32, 32, 1)
MEBIBYTES_BAR, SPREAD_BAR = 64.0, 0.1
MEMORY_POINTS = (10_000, 4_000_000)
TIME_POINTS = (10_000, 100_000, 1_000_000, 4_000_000)
# Each round evaluates every size as often as the largest, which takes seconds; the drifts of 15 rounds are minutes.
MOST_ROUNDS = 5


def run(settings: Settings) -> list[Row]:
    points = (1_000,) if settings.quick else MEMORY_POINTS
    rows = [
        attempt({"measure": "peak memory", "layers": list(LAYERS), "points": n}, partial(_memory, n, settings))
        for n in points
    ]
    row = {"measure": "time per point", "layers": list(LAYERS)}
    sizes = (500, 1_000) if settings.quick else TIME_POINTS
    return [*rows, attempt(row, partial(_time, sizes, settings))]


def _probe(what: str, points: tuple[int, ...], settings: Settings) -> Row:
    """A process of its own: the peak of this one is what the peers needed."""
    arguments = [
        "-m", "bench.memory_probe", what, "--backend", settings.backend, "--threads", str(settings.threads),
        "--rounds", str(min(settings.rounds, MOST_ROUNDS)),
        "--layers", *map(str, LAYERS), "--points", *map(str, points),
    ]  # fmt: skip
    return json.loads(run_python(arguments))


def _memory(points: int, settings: Settings) -> Row:
    found = _probe("memory", (points,), settings)
    return found | {"bar": MEBIBYTES_BAR, "met": found["extra_mebibytes"] <= MEBIBYTES_BAR}


def _time(points: tuple[int, ...], settings: Settings) -> Row:
    rounds = _probe("time", points, settings)["nanoseconds_per_point"]
    return {
        "nanoseconds_per_point": {n: spread([one[n] for one in rounds]) for n in rounds[0]},
        "largest_over_smallest": at_most([max(one.values()) / min(one.values()) - 1 for one in rounds], SPREAD_BAR),
    }


def table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        if "failure" in row:
            lines.append(f"{row['measure']} FAILED  {row['failure']}")
        elif "extra_mebibytes" in row:
            verdict = "meets" if row["met"] else "MISSES"
            lines.append(f"{row['points']:>9} points: {row['extra_mebibytes']:.1f} MiB more, {verdict} {row['bar']:g}")
        else:
            for n, found in row["nanoseconds_per_point"].items():
                lines.append(f"{n:>9} points: {cell(found, digits=1)} ns per point")
            lines.append(f"slowest over fastest, in % more: {cell(row['largest_over_smallest'], 100, 1)}")
    return "\n".join(lines)
