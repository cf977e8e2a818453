"""Compiles everything, counts, estimates: ``python -m bench.static``. See ../README.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.environment import environment
from bench.options import at_least_one, check_cases, result_folder
from bench.section import Row


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 if anything failed. A bar that is missed is a result, not a failure."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        # Compile times are real ones only where nothing is there yet.
        os.environ["TRITON_CACHE_DIR"], os.environ["PSINN_FAST_CACHE"] = f"{folder}/triton", f"{folder}/generated"
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    from . import cases, table
    from .rows import row_of

    known = cases.QUICK if options.quick else cases.CASES
    check_cases(_parser(), options.cases, {case.name for case in known})
    conditions = {"command": f"python -m bench.static{' --quick' if options.quick else ''}", **environment()}
    conditions |= {"triton": metadata.version("triton")}
    chosen = list(enumerate(known))
    if options.cases:
        chosen = [(number, case) for number, case in chosen if case.name in options.cases]
    jobs = [(number, chip, options.quick) for number, case in chosen for chip in case.chips]
    kept = _others(options.out / "static.json", {(case.name, case.problem, case.kind) for _, case in chosen})
    rows: list[Row] = []
    result: dict[str, Any] = {**conditions, "rows": rows}
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    # One process per compilation at a time: Triton keeps the interpreter's lock while it compiles.
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for row in pool.map(row_of, *zip(*jobs, strict=True)):
            rows.append(row | {"commit": conditions["commit"]})
            print(table.line(row), flush=True)
            result["rows"] = cases.in_order([*kept, *rows]) if options.cases else rows
            table.compare(result["rows"])
            result["seconds"] = round(time.perf_counter() - started, 1)
            (options.out / "static.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            (options.out / "static.md").write_text(table.markdown(result), encoding="utf-8")
    failures = [row for row in rows if "failure" in row]
    for row in failures:
        print(f"failed: {row['case']} {row['chip']}: {row['failure']}", file=sys.stderr)
    return int(bool(failures))


def _others(path: Path, chosen: set[tuple[str, str, str]]) -> list[Row]:
    """Rows of an earlier run, those of the chosen (case, problem, precision) left out."""
    if not path.exists():
        return []
    before = json.loads(path.read_text(encoding="utf-8"))
    rows = [{"commit": before["commit"], **row} for row in before["rows"]]
    return [row for row in rows if (row["case"], row["problem"], row["precision"]) not in chosen]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.static", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two tiny networks, one chip: does the suite itself work")
    parser.add_argument("--cases", nargs="+", help="only these; the file's other rows stay, with their commits")
    parser.add_argument("--jobs", type=at_least_one, default=2, help="compilations at a time")
    folder = Path(__file__).parents[1] / "results" / "static"
    parser.add_argument("--out", type=result_folder, default=folder, help="folder of static.json and static.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
