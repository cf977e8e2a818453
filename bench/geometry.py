"""Errors on domains that are no boxes, by Gauss-Newton: ``python -m bench.geometry`` (a quarter of an hour).

Problems of `geometry_problems.py`, dense networks, Gauss-Newton with its defaults, three seeds. Writes
bench/results/geometry.json, and with ``--picture FILE`` the networks of the first seed beside their errors.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from psinn_fast import GaussNewton, Network, Solution, solve

from .environment import environment
from .geometry_problems import PROBLEMS
from .section import Row, errors_over_seeds, save

# By problem: hidden layers, seconds, the relative L2 error to be reached.
CASES: dict[str, tuple[tuple[int, ...], float, float]] = {
    "annulus": ((20, 20), 30, 1e-5),
    "l-shape": ((20, 20), 30, 1e-5),
    "four-holes": ((20, 20), 30, 1e-5),
    "ball": ((20, 20), 30, 1e-5),
    "heat-disk": ((20, 20), 30, 1e-5),
    "corner": ((20, 20, 20), 60, 2e-3),
}
RESULTS = Path(__file__).parent / "results"
COMMAND = "python -m bench.geometry"


def trained(name: str, seed: int, scale: float, threads: int) -> Solution:
    torch.set_num_threads(threads)
    hidden, seconds, _ = CASES[name]
    problem = PROBLEMS[name]()
    layers = (len(problem.pde.coords), *hidden, 1)
    return solve(
        problem, Network("pinn", layers=layers), GaussNewton(4_000, seed=seed), seconds=scale * seconds, seed=seed
    )


def run(name: str, scale: float, threads: int, seed: int) -> Row:
    """The error in the end, when it was below the bar for good, and what the result says of itself."""
    solution, bar = trained(name, seed, scale, threads), CASES[name][2]
    curve = [(row["seconds"], row["relative_l2"]) for row in solution.history]
    above = [i for i, (_, error) in enumerate(curve) if not error <= bar]
    first = above[-1] + 1 if above else 0
    found = {metric: solution.metrics[metric] for metric in ("relative_l2", "rmse", "max_error", "boundary_rmse")}
    return {
        **found,
        "seconds_to_bar": curve[first][0] if first < len(curve) else math.inf,
        "seconds": solution.seconds,
        "steps": solution.steps,
        "parameters": solution.net.theta.numel(),
        "status": solution.status,
        "allowed": solution.possible_errors,
        "curve": curve,
    }


def line(row: Row) -> str:
    good = [run for run in row["runs"] if "failure" not in run]
    worst = max((run["relative_l2"] for run in good), default=math.nan)
    slowest = max((run["seconds_to_bar"] for run in good), default=math.nan)
    verdict = "meets" if worst < row["bar"] and len(good) == len(row["runs"]) else "MISSES"
    return (
        f"{row['problem']:12} {row.get('median', math.nan):.1e} (worst {worst:.1e}) in {row['within']:g} s; "
        f"{verdict} {row['bar']:g}, after at most {slowest:.1f} s"
    )


def picture(names: Sequence[str], path: Path, scale: float, threads: int) -> None:
    """A row for each problem of two coordinates: the network and its error on the domain."""
    from psinn_fast.pictures.canvas import Canvas
    from psinn_fast.pictures.figures import new_figure, save_figure
    from psinn_fast.training.metrics import evaluate

    plane = [name for name in names if len(PROBLEMS[name]().pde.coords) == 2]
    figure = new_figure(3.6 * len(plane), 6.4)
    axes = figure.subplots(2, len(plane), squeeze=False)
    for column, name in enumerate(plane):
        problem, net = PROBLEMS[name](), trained(name, 0, scale, threads).net
        assert problem.exact is not None
        canvas = Canvas(problem.domain, 201)
        values = evaluate(net, canvas.points)[:, 0]
        error = values - problem.exact_at(canvas.points)[:, 0]
        limit = float(abs(error).max())
        canvas.draw(axes[0, column], values, "viridis", float(values.min()), float(values.max()))
        canvas.draw(axes[1, column], error, "RdBu_r", -limit, limit)
        axes[0, column].set_title(name)
        axes[1, column].set_title("error")
    save_figure(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all times")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; more than one for errors alone")
    parser.add_argument("--picture", type=Path, help="where to draw one, instead of the table")
    parser.add_argument("--out", type=Path, default=RESULTS / "geometry.json")
    options = parser.parse_args(arguments)
    if options.picture is not None:
        picture(options.problems, options.picture, options.scale, options.threads)
        return 0
    cases: list[tuple[Row, Callable[[int], Row]]] = [
        (
            {"problem": name, "bar": CASES[name][2], "within": options.scale * CASES[name][1]},
            partial(run, name, options.scale, options.threads),
        )
        for name in options.problems
    ]
    rows = errors_over_seeds(cases, options.seeds, options.jobs, line)
    return save(options.out, rows, command=COMMAND, **environment(options.threads))


if __name__ == "__main__":
    sys.exit(main())
