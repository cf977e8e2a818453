"""Which blocks the structure of a group should have: ``python -m bench.layouts`` (about 15 minutes).

Networks of one symmetry group and about equal parameters, of three hidden layers, by the same optimiser: errors,
median of seeds. What `discover` builds (`psinn_fast.discovery.discover`) rests on this.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

import psinn_fast as pf
from psinn_fast.discovery.distillation import matching_width

from .discovery import EQUAL_PARAMETERS
from .discovery_problems import BY_NAME
from .environment import environment
from .section import Row, errors_over_seeds, save

PROBLEMS = ("laplace", "poisson", "burgers", "heat-plate", "sound", "bent-plate")
# Representation and sizes of the hidden blocks; None: the published structure, which may have fewer symmetries.
LAYOUTS: dict[str, tuple[str, tuple[int, ...]] | None] = {
    "published": None,
    "regular 1, 1, 1": ("regular", (1, 1, 1)),
    "pooled 1, 1, 1": ("pooled", (1, 1, 1)),
    "pooled 1, 1, 2": ("pooled", (1, 1, 2)),
    "pooled 2, 2, 1": ("pooled", (2, 2, 1)),
}


def run(name: str, layout: str, seed: int, *, iterations: int) -> Row:
    """One training on one thread; the error of several fields is their largest."""
    torch.set_num_threads(1)
    case, choice = BY_NAME[name], LAYOUTS[layout]
    problem = case.make()
    if choice is None:
        if problem.recipe.structure is None:
            return {"absent": "no published structure"}
        structure = problem.recipe.structure
    else:
        representation, hidden = choice
        structure = pf.structure_from_group(
            sorted(case.group, key=str), hidden, representation, centre=tuple(problem.domain.centre)
        )
    structure = structure.with_width(matching_width(structure, EQUAL_PARAMETERS))
    solution = pf.solve(
        problem, pf.Network("psi", structure=structure, width=1), pf.GaussNewton(iterations, seed=seed), seed=seed
    )
    errors: Any = solution.metrics["relative_l2"]
    return {
        "parameters": structure.n_parameters,
        "relative_l2": max(errors.values()) if isinstance(errors, dict) else errors,
        "loss": sum(solution.losses.values()),
        "iterations": solution.steps,
        "stopped_by": solution.stopped_by,
    }


def line(row: Row) -> str:
    """One row of the table."""
    errors = [f"{found['relative_l2']:.1e}" for found in row["runs"] if "relative_l2" in found]
    failed = len(row["runs"]) - len(errors)
    end = f"  {failed} FAILED" if failed else ""
    return f"{row['problem']:12}{row['layout']:18}{row.get('median', float('nan')):10.1e}  {' '.join(errors)}{end}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.layouts", description=__doc__)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "layouts.json")
    options = parser.parse_args(arguments)
    measured_on = environment(threads=1)
    cases = [
        ({"problem": problem, "layout": layout}, partial(run, problem, layout, iterations=options.iterations))
        for problem in options.problems
        for layout in LAYOUTS
    ]
    rows = errors_over_seeds(cases, options.seeds, options.jobs, line)
    return save(
        options.out, rows, command="python -m bench.layouts", seeds=options.seeds, iterations=options.iterations,
        **measured_on,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
