"""Whole problems by each library, as its users write them: ``python -m bench.suite.jobs``.

A job is a process: a problem of `bench.jobs.posed`, a library and an optimiser, on the same points, with a network of
the same size. Rows have the seconds a step, the seconds until the relative L2 error on 100 x 100 points that training
does not see stays below what is wanted, that error at the end, and the lines of the user's code. Compilation counts,
imports do not.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..jobs.posed import PROBLEMS, Given, Posed
from ..options import at_least_one, positive
from . import results
from .process import interpreter, run_whole
from .worker import limit_threads, reason, versions

Row = dict[str, Any]

# By the package that they need, so that the driver imports none of them.
LIBRARIES = {"ours": "psinn_fast", "deepxde": "deepxde", "pina": "pina-mathlab", "jinns": "jinns"}
OPTIMISERS = {"ours": ("adam", "default"), "jinns": ("adam", "natural gradient")}
WANTED = "1e-3"
# A process is given up after this many seconds beyond its limit: imports, compilation, verdicts.
GRACE = 120.0


def user_lines(module: ModuleType, problem: str) -> int:
    """Lines of a user's program: of the equation and of `solve`, without blank ones and comments."""
    sources = (inspect.getsource(found) for found in (module.EQUATIONS[problem], module.solve))
    lines = (line.strip() for source in sources for line in source.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def reached(rows: Iterable[tuple[int, float, float]], wanted: float | None) -> float | None:
    """When the error was below ``wanted`` for good; None: never."""
    found = None
    for _, seconds, error in rows:
        is_below = wanted is not None and error <= wanted
        found = (seconds if found is None else found) if is_below else None
    return found


def row_of(posed: Posed, rows: Sequence[tuple[int, float, float]]) -> Row:
    """The first rows have what is compiled behind them: the time of a step is that from the first row to the last."""
    (first, began, _), (steps, seconds, error) = rows[0], rows[-1]
    each = (seconds - began) / (steps - first) if steps > first else seconds / steps
    return {
        "seconds_per_step": each,
        "seconds_to": {WANTED: reached(rows, float(WANTED)), "paper": reached(rows, posed.paper)},
        "error": error,
        "steps": steps,
        "history": [[seconds, error] for _, seconds, error in rows],
    }


def job(request: dict[str, Any]) -> Row:
    """One job, in this process; failures are rows."""
    posed = PROBLEMS[request["problem"]]
    try:
        module = importlib.import_module(f"bench.jobs.{request['contestant']}")
        sizes = (request[key] for key in ("points", "edge", "steps", "seconds"))
        given = Given.of(posed, request["optimiser"], *sizes)
        module.solve(given, module.EQUATIONS[posed.name])
        return {
            **row_of(posed, given.record.rows),
            "lines": user_lines(module, posed.name),
            "versions": versions(module.LIBRARY),
        }
    except ModuleNotFoundError as error:
        return {"absent": f"{LIBRARIES[request['contestant']]} is not installed: no module {error.name!r}"}
    except Exception as error:  # a library's program may raise anything, and is a row
        traceback.print_exc()
        return {"failure": reason(error)}


def in_a_process(request: dict[str, Any]) -> Row:
    command = [interpreter(LIBRARIES[request["contestant"]]), "-W", "ignore", "-m", "bench.suite.jobs", "--one"]
    try:
        found = run_whole([*command, json.dumps(request)], request["seconds"] + GRACE)
    except subprocess.TimeoutExpired:
        return {"failure": f"not done within {request['seconds'] + GRACE:g} s"}
    if found.returncode or not found.stdout.strip():
        last = (found.stderr.strip().splitlines() or [""])[-1]
        return {"failure": f"the process ended (exit status {found.returncode}) {last}"[:300]}
    answer: Row = json.loads(found.stdout.splitlines()[-1])
    return answer


def _line(row: Row) -> str:
    name = f"{row['problem']:10} {row['contestant']:8} {row['optimiser']:17}"
    if "absent" in row or "failure" in row:
        return f"{name}{'-   ' + row['absent'] if 'absent' in row else 'FAILED ' + row['failure']}"
    to = row["seconds_to"][WANTED]
    until = "never" if to is None else f"{to:.1f} s"
    return f"{name}{row['seconds_per_step'] * 1e3:9.2f} ms  error {row['error']:.1e}  to {WANTED}: {until}"


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m bench.suite.jobs", description=__doc__)
    found.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    found.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    found.add_argument("--contestants", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    found.add_argument("--steps", type=at_least_one, default=10_000)
    found.add_argument("--seconds", type=positive, default=600.0, help="of training, at most")
    found.add_argument("--points", type=at_least_one, default=10_000)
    found.add_argument("--edge", type=at_least_one, default=400, help="points of the boundary")
    found.add_argument("--threads", type=at_least_one, default=1)
    found.add_argument("--out", type=Path, default=Path("results") / "bench" / "jobs.json")
    found.add_argument("--resume", action="store_true", help="keep the jobs that an interrupted run has in its file")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.one is not None:
        limit_threads(options.one["threads"])
        answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what libraries print goes to stderr
        print(json.dumps(job(options.one)), file=answers, flush=True)
        return 0
    from .machine import describe, load

    try:
        results.check_writable(options.out)
    except results.Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    common = {key: getattr(options, key) for key in ("steps", "seconds", "points", "edge", "threads")}
    about = {
        "suite": "jobs",
        "command": f"python -m bench.suite.jobs --steps {options.steps} --seconds {options.seconds:g}",
        "load": load(),
        **describe(options.threads),
        **common,
    }
    try:
        rows = results.earlier(options.out, about, ("suite", "commit", "cpu", *common)) if options.resume else []
        _all(options, common, about, rows)
    except results.Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: jobs that ended are in the file; --resume goes on from there", file=sys.stderr)
        return 130
    print(f"written: {options.out}")
    return int(any("failure" in row for row in rows))


def _all(options: argparse.Namespace, common: Row, about: Row, rows: list[Row]) -> None:
    """Adds a row for each job that has none, and saves after each."""
    done = {(row["problem"], row["contestant"], row["optimiser"]) for row in rows}
    for problem in options.problems:
        for contestant in options.contestants:
            for optimiser in OPTIMISERS.get(contestant, ("adam",)):
                if (problem, contestant, optimiser) in done:
                    continue
                what = {"problem": problem, "contestant": contestant, "optimiser": optimiser}
                rows.append({"group": "jobs", **what, **in_a_process({**common, **what})})
                print(_line(rows[-1]), flush=True)
                results.save(options.out, about, rows)


if __name__ == "__main__":
    sys.exit(main())
