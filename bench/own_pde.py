"""What README's own PDE comes to by the default optimiser: ``python -m bench.own_pde`` (a minute or two).

The example as it stands there, with the seeds 0 to 4, against the Fourier series of the solution.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import psinn_fast as pf

from .environment import environment
from .section import Row, errors_over_seeds, save

README = Path(__file__).parents[1] / "README.md"
# Of the series, whose coefficients decrease with the cube.
_TERMS = 2_000


def example() -> tuple[pf.Problem, str]:
    """Its problem, and the line that solves it."""
    code = next(
        code for code in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL) if "heat" in code
    )
    setting, solving = code.split("solution = ")
    names: dict[str, Any] = {}
    exec(setting, names)
    problem = names["problem"]
    assert isinstance(problem, pf.Problem)
    return problem, solving.split("\n")[0].split("  #")[0]


def series(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """u_t = 0.1 u_xx + exp(-t) sin(3 x), u = sin(pi x) at t = 0, u = 0 at x = -1 and 1: (N,) at points t, x (N, 2).

    In sin(b x), b = k pi, the source has the coefficients (-1)^k (sin(3 - b) / (3 - b) - sin(3 + b) / (3 + b)).
    """
    t, x = points.T
    u = np.exp(-0.1 * np.pi**2 * t) * np.sin(np.pi * x)
    for k in range(1, _TERMS):
        b = k * np.pi
        source = np.sin(3 - b) / (3 - b) - np.sin(3 + b) / (3 + b)
        decay = 0.1 * b**2
        u += source * (np.exp(-t) - np.exp(-decay * t)) / (decay - 1) * np.sin(b * x)
    return u


def run(seed: int, *, threads: int) -> Row:
    """One training."""
    torch.set_num_threads(threads)
    problem, solving = example()
    solution = eval(solving.rstrip(")") + f"), seed={seed})", {"pf": pf, "problem": problem})
    grid = problem.domain.grid(81)
    exact = series(np.asarray(grid))
    return {
        "relative_l2": float(np.linalg.norm(solution(np.asarray(grid))[:, 0] - exact) / np.linalg.norm(exact)),
        "optimizer": solution.setup.optimizer,
        "chosen": solution.setup.chosen,
        "steps": solution.steps,
        "stopped_by": solution.stopped_by,
        "seconds": round(solution.seconds, 1),
        "bound_by": solution.bound_by,
        "possible_errors": solution.possible_errors,
        "status": solution.status,
    }


def line(row: Row) -> str:
    found = [f"{run['relative_l2']:.1e}" if "relative_l2" in run else "FAILED" for run in row["runs"]]
    return f"{row['problem']:20}{'  '.join(found)}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.own_pde", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "own_pde.json")
    options = parser.parse_args(arguments)
    measured_on = environment(threads=options.threads)
    cases = [({"problem": "heat"}, partial(run, threads=options.threads))]
    rows = errors_over_seeds(cases, options.seeds, 1, line)
    return save(options.out, rows, command="python -m bench.own_pde", seeds=options.seeds, **measured_on)


if __name__ == "__main__":
    sys.exit(main())
