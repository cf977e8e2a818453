"""The paper's Laplace run from end to end, by the command line: its wall time and what it printed. Takes long."""

from __future__ import annotations

import json
import time
from functools import partial

from .section import Row, Settings, attempt, run_python


def run(settings: Settings) -> list[Row]:
    arguments = ["run", "laplace", "--paper", "--json", "--quiet", "--backend", settings.backend]
    arguments += ["--threads", str(settings.threads)]
    if settings.quick:
        arguments += ["--steps", "20", "--teacher-steps", "5"]
    row = {"command": " ".join(["python -m psinn_fast", *arguments])}
    return [attempt(row, partial(_measure, arguments))]


def _measure(arguments: list[str]) -> Row:
    started = time.perf_counter()
    printed = run_python(["-m", "psinn_fast", *arguments])
    seconds = time.perf_counter() - started
    return {"wall_seconds": seconds, "result": json.loads(printed)}


def table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        if "failure" in row:
            lines.append(f"{row['command']} FAILED  {row['failure']}")
            continue
        lines.append(f"{row['command']}: {row['wall_seconds']:.0f} s")
        for label, result in row["result"]["results"].items():
            lines.append(f"  {label:24}{result['steps']:>8} steps  relative L2 {result['relative_l2']:.2e}")
    return "\n".join(lines)
