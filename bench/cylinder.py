"""Flow around the cylinder by Gauss-Newton: errors and drag of Psi-NNs and PINN at equal time.

``psi`` has the structure that `discover` finds, of the width that `solve` takes; ``published`` is the paper's, of width
10; ``pinn`` is dense, of about as many parameters.

``python -m bench.cylinder``. Time is the processor's, of one thread, so that others at work on the machine change
little; errors are looked at when so many seconds have been used, and looking is not counted. Runs end at the last.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

import psinn_fast as pf
from psinn_fast.training.metrics import ErrorMeter

from .environment import environment
from .section import Row, errors_over_seeds, save

METHODS = ("psi", "published", "pinn")
# The paper's MSE of its Psi-NN.
PAPER = {"u": 1.854e-4, "v": 1.765e-5, "p": 7.838e-4}


def network(method: str, problem: pf.Problem) -> pf.Network:
    if method == "psi":
        return pf.Network("psi", structure=pf.discover(problem, tests=("problem",)).structure)
    return pf.Network("psi", width=10) if method == "published" else pf.Network("pinn", layers=[2, 20, 20, 20, 3])


class Looks(pf.Callback):
    """Errors and quantities at some times, the last of which ends training."""

    def __init__(self, problem: pf.Problem, seconds: Sequence[float]) -> None:
        self.problem, self.left = problem, sorted(seconds)
        self.found: list[Row] = []
        self.errors = ErrorMeter(problem)

    def on_start(self) -> None:
        self.begin = time.process_time()

    def on_row(self, progress: pf.Progress) -> bool:
        now = time.process_time()
        if now - self.begin >= self.left[0]:
            mse = self.errors(progress.net)["mse"]
            quantities = self.problem.quantities_of(progress.net)
            self.found.append(
                {"after": round(now - self.begin, 1), "step": int(progress.row["step"]), "mse": mse, **quantities}
            )
            self.left.pop(0)
            self.begin += time.process_time() - now
        return not self.left


def run(method: str, settings: dict[str, float], seed: int, *, seconds: Sequence[float], steps: int) -> Row:
    """One training."""
    torch.set_num_threads(1)
    problem = pf.get_problem("cylinder", settings)
    looks = Looks(problem, seconds)
    options = pf.Options(callbacks=[looks], progress=False)
    solution = pf.solve(problem, network(method, problem), pf.GaussNewton(steps, seed=seed), seed=seed, options=options)
    errors = solution.metrics["relative_l2"]
    assert isinstance(errors, dict)
    return {
        "layers": list(solution.net.structure.layer_sizes),
        "parameters": solution.net.structure.n_parameters,
        "steps": solution.steps,
        "looks": looks.found,
        "by_field": errors,
        "relative_l2": max(error for error in errors.values() if isinstance(error, float)),
        "status": solution.status,
    }


def line(row: Row) -> str:
    """MSE of the fields and drag at each look, by seed."""
    lines = [f"{row['method']}, {row['settings']}"]
    for found in row["runs"]:
        for look in found.get("looks", ()):
            mse = "  ".join(f"{name} {look['mse'][name]:.1e}" for name in PAPER)
            after = f"{look['after']:5.0f} s, {look['step']:4} steps"
            lines.append(f"  seed {found['seed']}, {after}: MSE {mse}  drag {look['drag']:.4f}")
        if "failure" in found:
            lines.append(f"  seed {found['seed']}: {found['failure']}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cylinder", description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, nargs="+", default=[30.0, 60.0])
    parser.add_argument("--steps", type=int, default=4_000, help="at most")
    parser.add_argument("--pressure", type=int, default=1, choices=(0, 1), help="whether the cylinder's is given")
    parser.add_argument("--developed", type=int, default=0, choices=(0, 1), help="whether v = 0 at the outlet")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "cylinder_gauss_newton.json")
    options = parser.parse_args(arguments)
    settings: dict[str, Any] = {"pressure": options.pressure, "developed": options.developed}
    cases = [
        (
            {"method": method, "settings": settings},
            partial(run, method, settings, seconds=options.seconds, steps=options.steps),
        )
        for method in options.methods
    ]
    measured_on = environment(threads=1)
    keep = partial(
        save, options.out, command="python -m bench.cylinder", seeds=options.seeds, seconds=options.seconds,
        settings=settings, paper=PAPER, **measured_on,
    )  # fmt: skip
    return keep(errors_over_seeds(cases, options.seeds, options.jobs, line, keep))


if __name__ == "__main__":
    sys.exit(main())
