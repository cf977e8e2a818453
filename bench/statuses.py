"""What results of README's problems say of themselves: ``python -m bench.statuses`` (a quarter of an hour).

Every problem by Adam and by Gauss-Newton with their defaults, five seeds: the true error beside the error that its
residuals allow, warnings and notes. What the status says of the error where `exact` is known does not count.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import sympy
import torch

import psinn_fast as pf
from psinn_fast.problems import as_problem
from psinn_fast.training.metrics import Points, evaluate

from .environment import environment
from .section import Row, errors_over_seeds, save

REFERENCE_STEPS = 400


def heat() -> pf.Problem:
    """README's own problem."""
    pde = pf.PDE(
        "t x", "u", lambda u, t, x, a: u.t - a * u.xx - sympy.exp(-t) * sympy.sin(3 * x), coefficients={"a": 0.1}
    )
    box = pf.Box(t=(0, 1), x=(-1, 1))
    return pf.Problem(
        "heat", pde, box,
        [
            pf.Residual(box.grid(41)),
            pf.Dirichlet(box.face("t", "low", 41), u=lambda t, x: np.sin(np.pi * x), name="initial"),
            pf.Dirichlet(box.face("x", "low", 41), u=0.0, name="walls"),
            pf.Dirichlet(box.face("x", "high", 41), u=0.0, name="walls"),
        ],
    )  # fmt: skip


@cache
def reference() -> tuple[Points, Points]:
    """Points and the heat problem's solution, which has no closed form: a network with residuals far smaller."""
    problem = heat()
    network = pf.Network(layers=[2, 24, 24, 1])
    points = problem.domain.unseen_grid(60)
    return points, evaluate(pf.solve(problem, network, pf.GaussNewton(REFERENCE_STEPS, seed=100), seed=100).net, points)


def reference_error(net: pf.PsiMLP) -> float:
    points, expected = reference()
    return float(np.linalg.norm(evaluate(net, points) - expected) / np.linalg.norm(expected))


CASES: dict[str, tuple[Callable[[], pf.Problem], pf.Network]] = {
    "laplace psi": (partial(as_problem, "laplace"), pf.Network("psi")),
    "laplace pinn": (partial(as_problem, "laplace"), pf.Network("pinn")),
    "poisson psi": (partial(as_problem, "poisson"), pf.Network("psi")),
    "burgers psi": (partial(as_problem, "burgers"), pf.Network("psi")),
    "burgers pinn": (partial(as_problem, "burgers"), pf.Network("pinn")),
    "heat pinn": (heat, pf.Network(layers=[2, 16, 16, 1])),
}
# README's, for its own problem.
ADAM_STEPS = 3_000
OPTIMIZERS = ("adam", "gauss-newton")
SECONDS = 20.0


def run(name: str, optimizer: str, seed: int) -> Row:
    """One training on one thread."""
    torch.set_num_threads(1)
    make, network = CASES[name]
    if optimizer == "adam":
        solution = pf.solve(make(), network, pf.Adam(ADAM_STEPS if name.startswith("heat") else None), seed=seed)
    else:
        solution = pf.solve(make(), network, pf.GaussNewton(100_000, seed=seed), seconds=SECONDS, seed=seed)
    known = solution.metrics["relative_l2"]
    error = known if isinstance(known, float) else reference_error(solution.net)
    return {
        "relative_l2": error,
        "possible_error": max(solution.possible_errors.values(), default=None),
        "loss": solution.loss,
        "seconds": round(solution.seconds, 1),
        "warnings": [text for text in solution.warnings if not text.startswith("the relative L2 error")],
        "notes": list(solution.notes),
    }


def line(row: Row) -> str:
    """The errors by seed (allowed ones in brackets): * where the run warns, . where it has a note only."""
    marks = []
    for found in row["runs"]:
        if "relative_l2" not in found:
            marks.append("FAILED")
            continue
        mark = "*" if found["warnings"] else "." if found["notes"] else ""
        marks.append(f"{found['relative_l2']:.1e}{mark} ({found['possible_error'] or float('nan'):.0e})")
    return f"{row['problem']:14}{row['optimizer']:14}{'  '.join(marks)}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.statuses", description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "statuses.json")
    options = parser.parse_args(arguments)
    measured_on = environment(threads=1)
    cases = [
        ({"problem": problem, "optimizer": optimizer}, partial(run, problem, optimizer))
        for problem in options.problems
        for optimizer in options.optimizers
    ]
    rows = errors_over_seeds(cases, options.seeds, options.jobs, line)
    return save(options.out, rows, command="python -m bench.statuses", seeds=options.seeds, **measured_on)


if __name__ == "__main__":
    sys.exit(main())
