"""What studies share: rows, failures that stay in their row, and runs over seeds."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

Row = dict[str, Any]


def attempt(row: Row, measure: Callable[[], Row]) -> Row:
    """The row with what was measured, or with ``failure``; other rows and sections go on."""
    try:
        return row | measure()
    except Exception as error:  # one failing case must not take the others with it
        traceback.print_exc()
        return row | {"failure": reason(error)}


def reason(error: Exception) -> str:
    """Type and first line of an error: compilers' messages go on for pages."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def errors_over_seeds(
    cases: Sequence[tuple[Row, Callable[[int], Row]]],
    seeds: int,
    jobs: int,
    line: Callable[[Row], str],
    keep: Callable[[list[Row]], object] = lambda rows: None,
) -> list[Row]:
    """Each case's row with its ``runs``, one a seed, and their median error; printed as they come.

    ``keep``: is given all rows so far after each case, to save them where what follows takes hours.

    Cases whose runs all say that they are ``absent`` are left out. ``jobs``: runs at a time, in processes of their own.
    """
    rows: list[Row] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        pending = [
            (case, [pool.submit(attempt, {"seed": seed}, partial(measure, seed)) for seed in range(seeds)])
            for case, measure in cases
        ]
        for case, runs in pending:
            results = [future.result() for future in runs]
            if all("absent" in found for found in results):
                continue
            row: Row = {**case, "runs": results}
            if good := [found["relative_l2"] for found in results if "relative_l2" in found]:
                row["median"] = median(good)
            rows.append(row)
            print(line(row), flush=True)
            keep(rows)
    return rows


def save(out: Path, rows: Sequence[Row], **about: Any) -> int:
    """Write ``about`` and rows as JSON; the exit status, 1 if a run failed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return int(any("failure" in found for row in rows for found in row["runs"]))


def run_python(arguments: Sequence[str]) -> str:
    """What ``python ARGUMENTS`` prints, run at the top of the repository.

    Raises:
        RuntimeError: it failed; the message is the last thing it said.
    """
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"exit status {done.returncode}: {lines[-1][:300]}")
    return done.stdout
