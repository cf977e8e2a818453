"""Do weightings do their work, and what do they cost? ``python -m bench.weightings`` (about an hour).

- helmholtz: u_xx + u_yy + u = q on [-1, 1]^2, u = sin(pi x) sin(4 pi y), dense 2-50-50-50-1, 40,000 steps of Adam, lr
  1e-3, times 0.95 every 1,000 (Wang, Teng & Perdikaris 2021 have 0.9, on 128 random points a step). Residuals as they
  were given (``scaling=None``), as there, and in natural units.
- allen-cahn: `front_problems.allen_cahn` on 41 times and 257 places, which resolve its layers, the initial state with
  the weight 100, a network of the same width that is even in x, as the solution is; 300,000 steps (as Wang, Sankaran &
  Perdikaris 2024), lr 1e-3, times 0.9 every 15,000.
- cost: of one update, in steps of Adam, by process time, the least of twelve.

A file for each problem: ``bench/results/weightings_PROBLEM.json``.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sympy
import torch

import psinn_fast as pf
from psinn_fast.kernels.contract import AdamState
from psinn_fast.training.weighting import WEIGHTINGS, WeighedTerms

from .environment import environment
from .front_problems import allen_cahn
from .section import Row, errors_over_seeds, save

LAYERS = (2, 50, 50, 50, 1)
GRID, PLACES = 41, 257
# Of `cost`, with a dense network.
_ROUNDS, _STEPS, _UPDATES = 12, 20, 5


def helmholtz() -> pf.Problem:
    box, k, wave = pf.Box(x=(-1, 1), y=(-1, 1)), 1.0, (1.0, 4.0)
    factor = k**2 - sum((a * math.pi) ** 2 for a in wave)

    def equation(u, x, y):  # type: ignore[no-untyped-def]  # fields are symbols, of no type of ours
        source = factor * sympy.sin(wave[0] * sympy.pi * x) * sympy.sin(wave[1] * sympy.pi * y)
        return u.xx + u.yy + k**2 * u - source

    return pf.Problem(
        "helmholtz",
        pf.PDE("x y", "u", equation),
        box,
        [pf.Residual(box.grid(GRID)), pf.Dirichlet(box.boundary(GRID), u=0.0)],
        exact=lambda points: np.sin(np.array(wave) * math.pi * points).prod(1),
    )


def weighed_allen_cahn() -> pf.Problem:
    problem = allen_cahn()
    _, initial, walls = problem.conditions
    equation = pf.Residual(problem.domain.grid((GRID, PLACES)))
    return replace(problem, conditions=[equation, replace(initial, weight=100.0), walls])


def even_network() -> pf.Network:
    """u(t, -x) = u(t, x), as wide as `LAYERS`."""
    even = pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))
    *hidden, _ = LAYERS[1:]
    return pf.Network("psi", structure=pf.structure_from_group([even], hidden=(1,) * len(hidden)), width=hidden[0] // 2)


@dataclass(frozen=True)
class Case:
    """How a problem is trained: lr falls by ``gamma`` ``falls`` - 1 times; pairs of weighting and scaling."""

    problem: Callable[[], pf.Problem]
    network: Callable[[], pf.Network]
    steps: int
    falls: int
    gamma: float
    weightings: Sequence[tuple[str, str | None]]


CASES = {
    "helmholtz": Case(
        helmholtz, partial(pf.Network, layers=LAYERS), 40_000, 40, 0.95,
        [("fixed", None), ("gradient-norms", None), ("fixed", "auto"), ("gradient-norms", "auto")],
    ),
    "allen-cahn": Case(weighed_allen_cahn, even_network, 300_000, 20, 0.9, [("fixed", "auto"), ("causal", "auto")]),
}  # fmt: skip


def run(problem: str, weighting: str, scaling: str | None, seed: int, *, steps: int) -> Row:
    """One training on one thread."""
    torch.set_num_threads(1)
    case = CASES[problem]
    every = steps // case.falls
    adam = pf.Adam(steps, 1e-3, milestones=range(every, steps, every), gamma=case.gamma)
    began = time.process_time()
    solution = pf.solve(
        case.problem(), case.network(), adam, seed=seed, weighting=weighting, options=pf.Options(scaling=scaling)
    )
    names = [name for name in solution.history.columns if name.startswith("weight_")]
    return {
        "relative_l2": solution.metrics["relative_l2"],
        "losses": solution.losses,
        "last_weights": {name: solution.history[name][-1] for name in names},
        "process_seconds": round(time.process_time() - began, 1),
        "ended": solution.ended,
    }


def cost(problem: pf.Problem) -> list[Row]:
    """Of an update of each weighting, and of a step on the terms that it makes, in steps without it."""
    torch.set_num_threads(1)
    net, engine, none = pf.MLP(LAYERS, seed=1), pf.get_backend(), torch.empty(0)
    terms, weights = problem.terms(), problem.weights()
    state = AdamState(net.theta.detach().clone(), none, 1e-4)
    weighed = [
        WeighedTerms(made(), problem, engine, net.plan, weights, lambda: terms, lambda: (net.theta.detach(), none))
        for name, made in WEIGHTINGS.items()
        if name != "fixed" and (problem.pde.time or name != "causal")
    ]
    plain, updates, steps = math.inf, [math.inf] * len(weighed), [math.inf] * len(weighed)
    for number in range(_ROUNDS):
        plain = min(plain, _seconds(partial(engine.train, net.plan, state, terms, weights, _STEPS)) / _STEPS)
        for i, one in enumerate(weighed):
            every = one.weighting.every or 1
            due = [(_UPDATES * number + k) * every for k in range(_UPDATES)]
            updates[i] = min(updates[i], sum(_seconds(partial(one.update, step)) for step in due) / _UPDATES)
            trained = partial(engine.train, net.plan, state, one.terms, one.weights, _STEPS)
            steps[i] = min(steps[i], _seconds(trained) / _STEPS)
    rows = []
    for one, update, step in zip(weighed, updates, steps, strict=True):
        name = one.weighting.name
        print(f"{problem.name:12}{name:20} an update costs {update / plain:.2f} steps", flush=True)
        costs = {"step_ms": 1e3 * plain, "update": update / plain, "step": step / plain}
        rows.append({"problem": problem.name, "weighting": name, "every": one.weighting.every, **costs})
    return rows


def _seconds(work: partial[Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def line(row: Row) -> str:
    errors = "  ".join(f"{found['relative_l2']:.1e}" if "relative_l2" in found else "FAILED" for found in row["runs"])
    name = f"{row['problem']:12}{row['weighting']:18}{'natural units' if row['scaling'] else 'as given':16}"
    return f"{name}{row.get('median', math.nan):9.1e}  {errors}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.weightings", description=__doc__)
    parser.add_argument("--problems", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="in place of each problem's own")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="a folder")
    options = parser.parse_args(arguments)
    measured_on = environment(threads=1)
    status = 0
    for problem in options.problems:
        case = CASES[problem]
        steps = case.steps if options.steps is None else options.steps
        costs = cost(case.problem())
        cases = [
            (
                {"problem": problem, "weighting": weighting, "scaling": scaling},
                partial(run, problem, weighting, scaling, steps=steps),
            )
            for weighting, scaling in case.weightings
        ]
        rows = errors_over_seeds(cases, options.seeds, options.jobs, line)
        status |= save(
            options.out / f"weightings_{problem}.json", rows,
            command=f"python -m bench.weightings --problems {problem} --seeds {options.seeds}", seeds=options.seeds,
            steps=steps, layers=LAYERS, gamma=case.gamma, cost=costs, **measured_on,
        )  # fmt: skip
    return status


if __name__ == "__main__":
    sys.exit(main())
