"""Do fronts come out right, or does the run say that they do not? ``python -m bench.fronts`` (about an hour).

`solve` as a user calls it, by Gauss-Newton without options but a time limit: the error beside losses, the error that
its residuals allow, and status. What the status says of the error where `exact` is known does not count.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

import psinn_fast as pf

from .environment import environment
from .front_problems import PROBLEMS
from .section import Row, errors_over_seeds, save

LAYERS = [2, 20, 20, 1]
# Above this a result is wrong, and has to say so.
RIGHT = 1e-3


def run(name: str, seed: int, *, seconds: float, threads: int) -> Row:
    """One training of a dense network."""
    torch.set_num_threads(threads)
    solution = pf.solve(
        PROBLEMS[name](), pf.Network(layers=LAYERS), pf.GaussNewton(100_000, seed=seed), seconds=seconds, seed=seed
    )
    error = solution.metrics["relative_l2"]
    assert isinstance(error, float)
    held_out = [loss for loss in solution.held_out.values() if loss is not None]
    return {
        "relative_l2": error,
        "loss": sum(solution.losses.values()),
        "drawn": solution.history["loss"][-1],
        "held_out": sum(held_out) if held_out else None,
        "possible_error": max(solution.possible_errors.values(), default=None),
        "iterations": solution.steps,
        "seconds": round(solution.seconds, 1),
        "ended": solution.ended,
        "warnings": [warning for warning in solution.warnings if not warning.startswith("the relative L2 error")],
        "notes": list(solution.notes),
    }


def line(row: Row) -> str:
    """The errors by seed: * where the run warns, . where it has a note only, ! where it is wrong and says nothing."""
    marks = []
    for found in row["runs"]:
        if "relative_l2" not in found:
            marks.append("FAILED")
            continue
        mark = "*" if found["warnings"] else "." if found["notes"] else "!" if found["relative_l2"] > RIGHT else ""
        marks.append(f"{found['relative_l2']:.1e}{mark}")
    return f"{row['problem']:20}{row.get('median', float('nan')):9.1e}  {'  '.join(marks)}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fronts", description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2, help="of each run")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "fronts.json")
    options = parser.parse_args(arguments)
    measured_on = environment(threads=options.threads)
    cases = [
        ({"problem": problem}, partial(run, problem, seconds=options.seconds, threads=options.threads))
        for problem in options.problems
    ]
    rows = errors_over_seeds(cases, options.seeds, options.jobs, line)
    return save(
        options.out, rows, command="python -m bench.fronts", seeds=options.seeds, seconds=options.seconds,
        layers=LAYERS, **measured_on,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
