"""Errors after equal steps, median of seeds: ``python -m bench.accuracy`` (about 12 minutes)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch

from psinn_fast import Adam, get_problem, solve
from psinn_fast.building import METHODS
from psinn_fast.problems import parse_number

from .environment import environment

# (problem, settings, steps, lr, methods, seeds): the first has a bar to clear, the others show that they run.
CASES: tuple[tuple[str, dict[str, str], int, float, tuple[str, ...], int], ...] = (
    ("laplace", {}, 20_000, 1e-3, ("psi", "pinn"), 3),
    ("poisson", {}, 2_000, 1e-3, METHODS, 1),
    ("burgers-inverse", {"nu": "0.04/pi"}, 4_000, 1e-3, METHODS, 1),
)


def run(problem: str, settings: dict[str, str], steps: int, lr: float, method: str, seed: int) -> dict[str, Any]:
    """One training on one thread, which makes it repeatable bit for bit; all metrics."""
    torch.set_num_threads(1)
    task = get_problem(problem, {name: parse_number(name, text) for name, text in settings.items()})
    result = solve(task, method, Adam(steps, lr=lr), seed=seed).to_dict()
    if result["ended"] != "done":
        raise RuntimeError(f"{problem} {method} seed {seed}: {result['status']} after {result['steps']} steps")
    return result


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [f"{'problem':18}{'method':12}{'parameters':>11}{'steps':>8}{'median relative L2':>20}  each seed"]
    for row in rows:
        seeds = " ".join(f"{run['relative_l2']:.2e}" for run in row["runs"])
        found = [f"{name}={run['coefficients'][name]:.5f}" for run in row["runs"] for name in run["coefficients"]]
        parameters = row["runs"][0]["parameters"]
        lines.append(
            f"{row['problem']:18}{row['method']:12}{parameters:>11}{row['steps']:>8}"
            f"{row['median_relative_l2']:>20.2e}  {seeds}  {' '.join(found)}".rstrip()
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all step counts, for a smoke run")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "reference_accuracy.json")
    options = parser.parse_args(arguments)
    measured_on = environment()  # before the minutes in which the tree may change
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        pending = []
        for problem, settings, full, lr, methods, seeds in CASES:
            steps = max(1, int(options.scale * full))
            for method in methods:
                runs = [pool.submit(run, problem, settings, steps, lr, method, seed) for seed in range(seeds)]
                pending.append(
                    ({"problem": problem, "settings": settings, "method": method, "steps": steps, "lr": lr}, runs)
                )
        for row, runs in pending:
            results = [future.result() for future in runs]
            median_error = median(result["relative_l2"] for result in results)
            rows.append({**row, "median_relative_l2": median_error, "runs": results})
            print(table(rows[-1:]).splitlines()[1], flush=True)
    command = "python -m bench.accuracy" + (f" --scale {options.scale}" if options.scale != 1 else "")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"command": command, **measured_on, "threads": 1, "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
