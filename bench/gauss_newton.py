"""Error against seconds: optimisers on PINN and Psi-NN: ``python -m bench.gauss_newton``.

Writes bench/results/time_to_accuracy.json and .png. Runs one after the other, so use a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from psinn_fast import LBFGS, Adam, GaussNewton, Network, SSBroyden, get_problem, solve
from psinn_fast.problem.problem import Problem
from psinn_fast.problems import parse_number
from psinn_fast.training.metrics import error_metrics
from psinn_fast.training.protocol import Optimizer

from .environment import environment
from .section import Row, attempt

# By name, of a seed; more steps than the time allows: histories have a row for every 400th part of them.
SETTINGS: dict[str, Callable[[int], Optimizer]] = {
    "gauss-newton": lambda seed: GaussNewton(4_000, seed=seed),
    "lbfgs": lambda seed: LBFGS(40_000, tolerance=0.0),
    "ssbroyden": lambda seed: SSBroyden(40_000, tolerance=0.0),
    "adam": lambda seed: Adam(200_000),
}
OPTIMIZERS = tuple(SETTINGS)
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Case:
    """A problem with its bars: (relative L2, or relative error of ``coefficient``; within seconds)."""

    problem: str
    seconds: float
    bars: tuple[tuple[float, float], ...]
    settings: dict[str, str] = field(default_factory=dict)
    coefficient: str | None = None

    @property
    def name(self) -> str:
        return " ".join([self.problem, *(f"{key}={value}" for key, value in self.settings.items())])

    def make(self) -> Problem:
        return get_problem(self.problem, {key: parse_number(key, value) for key, value in self.settings.items()})


CASES = (
    Case("laplace", 20, ((7.4e-5, 2), (1e-6, 20))),
    Case("poisson", 20, ((1e-4, 20),)),
    Case("burgers", 60, ((1e-5, 60),), {"nu": "0.01"}),
    *(Case("burgers-inverse", 20, ((1e-2, 20),), {"nu": nu}, "nu") for nu in ("0.01/pi", "0.04/pi", "0.08/pi")),
)


def run(case: Case, method: str, optimizer: str, seed: int, seconds: float) -> Row:
    """One training until the time is up: its curve of (seconds, error), and the final error on the fine grid."""
    problem = case.make()
    solution = solve(
        problem, Network(method, width=_width(problem, method)), SETTINGS[optimizer](seed), seconds=seconds, seed=seed
    )
    net, coefficients = solution.net, solution.coefficients
    curve = [(row["seconds"], _error(case, problem, row["relative_l2"], row)) for row in solution.history]
    final = error_metrics(net, problem)["relative_l2"]
    assert isinstance(final, float)
    found = {name: value / problem.true_coefficients[name] - 1 for name, value in coefficients.items()}
    return {
        "parameters": net.theta.numel(), "solver": solution.solver, "relative_l2": final, "coefficient_errors": found,
        "curve": curve, "reached": [_reached(curve, bar) for bar, _ in case.bars],
    }  # fmt: skip


def _width(problem: Problem, method: str) -> int | None:
    """All optimisers train the same networks: those that Gauss-Newton takes by default."""
    if method != "psi":
        return None
    scaled = solve(problem, "psi", GaussNewton(0)).net.structure
    assert problem.recipe.structure is not None
    return scaled.layers[0].rows[0] // problem.recipe.structure.layers[0].rows[0]


def _error(case: Case, problem: Problem, relative_l2: float, row: Any) -> float:
    if case.coefficient is None:
        return relative_l2
    return abs(float(row[case.coefficient]) / problem.true_coefficients[case.coefficient] - 1)


def _reached(curve: Curve, bar: float) -> float | None:
    """Seconds until the error is below the bar for good."""
    above = [i for i, (_, error) in enumerate(curve) if not error <= bar]
    first = above[-1] + 1 if above else 0
    return curve[first][0] if first < len(curve) else None


def summary(case: Case, rows: Sequence[Row]) -> Row:
    """Median and worst over seeds of the final error and of the time to each bar."""
    good = [row for row in rows if "failure" not in row]
    errors = [row["curve"][-1][1] for row in good] or [math.nan]
    times = [
        [math.inf if row["reached"][i] is None else row["reached"][i] for row in good] or [math.inf]
        for i in range(len(case.bars))
    ]
    return {
        "median_error": median(errors),
        "worst_error": max(errors),
        "bars": [
            {"error": bar, "within": limit, "median": median(t), "worst": max(t), "met": max(t) <= limit}
            for (bar, limit), t in zip(case.bars, times, strict=True)
        ],
    }


def plot(results: Sequence[Row], path: Path) -> None:
    """Error against seconds, a panel per problem, a line per run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(result["case"] for result in results))
    figure = Figure(figsize=(4.2 * min(3, len(names)), 3.4 * math.ceil(len(names) / 3)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(math.ceil(len(names) / 3), min(3, len(names)), squeeze=False).ravel()
    colours = dict(zip(OPTIMIZERS, ("C0", "C1", "C3", "C2"), strict=True))
    for axis, name in zip(axes, names, strict=False):
        for result in (result for result in results if result["case"] == name):
            for number, row in enumerate(row for row in result["runs"] if "curve" in row):
                label = f"{result['optimizer']}, {result['method']}" if number == 0 else None
                style = "-" if result["method"] == "psi" else ":"
                seconds, errors = zip(*row["curve"], strict=True)
                axis.plot(seconds, errors, style, color=colours[result["optimizer"]], label=label, linewidth=0.9)
        axis.set(title=name, xlabel="seconds", yscale="log", xscale="log", ylabel="error")
        axis.legend(fontsize=6)
    for axis in axes[len(names) :]:
        axis.remove()
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    cases = [case for case in CASES if case.problem in options.problems]
    result: Row = {"threads": options.threads, "scale": options.scale, **environment(), "rows": []}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for case in cases:
        for optimizer in options.optimizers:
            for method in options.methods:
                seconds = options.scale * case.seconds
                ours = (optimizer, method) == ("gauss-newton", "psi")
                runs = [
                    attempt({"seed": seed}, partial(run, case, method, optimizer, seed, seconds))
                    for seed in range(options.seeds if ours else min(options.seeds, options.peer_seeds))
                ]
                row = {"case": case.name, "method": method, "optimizer": optimizer, **summary(case, runs), "runs": runs}
                result["rows"].append(row)
                print(_line(row), flush=True)
                options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    plot(result["rows"], options.out.with_suffix(".png"))
    return int(any("failure" in run for row in result["rows"] for run in row["runs"]))


def _line(row: Row) -> str:
    bars = "  ".join(
        f"{bar['error']:g}: {bar['median']:.1f} s (worst {bar['worst']:.1f}) {'meets' if bar['met'] else 'MISSES'}"
        for bar in row["bars"]
    )
    errors = f"{row['median_error']:.1e} (worst {row['worst_error']:.1e})"
    return f"{row['case']:26}{row['method']:6}{row['optimizer']:14}{errors}  {bars}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.gauss_newton", description=__doc__)
    problems = list(dict.fromkeys(case.problem for case in CASES))
    parser.add_argument("--problems", nargs="+", choices=problems, default=problems)
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument("--methods", nargs="+", choices=("psi", "pinn"), default=["psi", "pinn"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer-seeds", type=int, default=5, help="of all but Gauss-Newton on a Psi-NN")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all times")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "time_to_accuracy.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
