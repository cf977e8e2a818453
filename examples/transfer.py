"""Study 4: is R a property of one solution, or of the physics? It is found once and used elsewhere.

A. R of Burgers' equation, found at one viscosity, in networks for others.
B. R of Laplace's equation (u even in y, odd in x) for a nonlinear equation with the same symmetry, R of Burgers'
   (odd in x) for a reaction-diffusion equation; and, to see that R is no free gift, for data without that symmetry.

R comes from networks trained on the one problem: `discover` looks at them only, not at equations. Every network is then
trained by Gauss-Newton from scratch: the same iterations, and a width that gives about as many parameters as the dense
network has.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import sympy as sp
import torch

from bench.discovery_problems import laplace_asymmetric
from psinn_fast import (
    PDE,
    Box,
    Dirichlet,
    Discovery,
    GaussNewton,
    Problem,
    PsiMLP,
    Residual,
    Structure,
    discover,
    fit,
    get_problem,
)
from psinn_fast.discovery.distillation import matching_width
from psinn_fast.training.metrics import coarse_relative_l2

from .common import new_figure, parser, save

DENSE = (2, 10, 10, 10, 1)
# Viscosities times pi: where R is found, and where it is used.
FOUND_AT, USED_AT = 0.08, (0.02, 0.04, 0.08, 0.16)


@dataclass(frozen=True)
class Row:
    """Relative L2 errors by seed, of the network with R and of the dense one, and their parameters."""

    problem: str
    source: str
    parameters: tuple[int, int]
    tied: tuple[float, ...]
    dense: tuple[float, ...]


def cubic() -> Problem:
    """u_xx + u_yy - u^3 = f on [-1, 1]^2, f such that u = sin(pi x) cos(pi y / 2): odd in x, even in y."""

    def residual(u: sp.Expr, x: sp.Symbol, y: sp.Symbol) -> sp.Expr:
        solution = sp.sin(sp.pi * x) * sp.cos(sp.pi * y / 2)
        return u.xx + u.yy - u**3 + sp.Rational(5, 4) * sp.pi**2 * solution + solution**3

    box = Box(x=(-1, 1), y=(-1, 1))
    edges = [Dirichlet(box.face(c, end, 41), u=0.0, name=f"{c}_{end}") for c in "xy" for end in ("low", "high")]
    return Problem(
        "cubic", PDE("x y", "u", residual), box, [Residual(box.grid(41)), *edges],
        exact=lambda p: (np.sin(math.pi * p[:, 0]) * np.cos(math.pi * p[:, 1] / 2))[:, None],
    )  # fmt: skip


def reaction() -> Problem:
    """u_t - u_xx / 10 - u + u^3 = f on [0, 1] x [-1, 1], f such that u = e^-t sin(pi x): odd in x."""

    def residual(u: sp.Expr, t: sp.Symbol, x: sp.Symbol) -> sp.Expr:
        solution = sp.exp(-t) * sp.sin(sp.pi * x)
        return u.t - u.xx / 10 - u + u**3 - ((sp.pi**2 / 10 - 2) * solution + solution**3)

    box = Box(t=(0, 1), x=(-1, 1))
    start = Dirichlet(box.face("t", "low", 41), u=lambda t, x: np.sin(math.pi * x), name="initial")
    walls = [Dirichlet(box.face("x", end, 41), u=0.0, name=f"x_{end}") for end in ("low", "high")]
    return Problem(
        "reaction", PDE("t x", "u", residual), box, [Residual(box.grid(41)), start, *walls],
        exact=lambda p: (np.exp(-p[:, 0]) * np.sin(math.pi * p[:, 1]))[:, None],
    )  # fmt: skip


def find(problem: Problem, quick: bool) -> Discovery:
    """R as two trained networks show it; what the equations themselves would say is not asked."""
    return discover(problem, tests=("teacher",), steps=2 if quick else 100)


def compare(name: str, problem: Problem, source: str, structure: Structure, seeds: int, iterations: int) -> Row:
    dense = Structure.dense(DENSE)
    tied = structure.with_width(matching_width(structure, dense.n_parameters))
    measure = coarse_relative_l2(problem)

    def error(structure: Structure, seed: int) -> float:
        net = PsiMLP(structure, seed=seed, dtype=torch.float64)
        fit(problem, net, GaussNewton(steps=iterations, seed=seed))
        return measure(net)

    errors = [tuple(error(structure, seed) for seed in range(seeds)) for structure in (tied, dense)]
    return Row(name, source, (tied.n_parameters, dense.n_parameters), errors[0], errors[1])


def study(seeds: int, iterations: int, quick: bool) -> tuple[dict[str, Discovery], list[Row]]:
    burgers, laplace = "burgers", "laplace"
    found = {
        burgers: find(get_problem("burgers", {"nu": FOUND_AT / math.pi}), quick),
        laplace: find(get_problem("laplace"), quick),
    }
    used: list[tuple[str, Problem, str]] = [
        (f"burgers, {nu:g}/pi", get_problem("burgers", {"nu": nu / math.pi}), burgers)
        for nu in USED_AT[-1 if quick else 0 :]
    ]
    used += [("cubic", cubic(), laplace), ("reaction", reaction(), burgers)]
    used += [("laplace-asymmetric", laplace_asymmetric(), laplace)]
    rows = [compare(name, problem, key, found[key].structure, seeds, iterations) for name, problem, key in used]
    return found, rows


def table(found: dict[str, Discovery], rows: Sequence[Row]) -> str:
    lines = []
    for name, own in found.items():
        have = "; ".join(f"{m.text} ({m.symmetry.character[0]:+d})" for m in own.group) or "none"
        lines += [f"R of {name}: {have}", str(own.structure)]
    lines.append(
        f"{'used for':22}{'R of':10}{'parameters':>12}{'with R':>10}{'dense':>10}{'gain':>8}   seeds with R, dense"
    )
    for row in rows:
        tied, dense = median(row.tied), median(row.dense)
        seeds = "  ".join(f"{a:.1e} {b:.1e}" for a, b in zip(row.tied, row.dense, strict=True))
        lines.append(
            f"{row.problem:22}{row.source:10}{row.parameters[0]:7} {row.parameters[1]:4}{tied:10.1e}{dense:10.1e}"
            f"{dense / tied:8.2g}   {seeds}"
        )
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    figure = new_figure(8.5, 3.8)
    axis = figure.subplots()
    for number, row in enumerate(rows):
        for shift, errors, colour, label in ((-0.12, row.tied, "C0", "with R"), (0.12, row.dense, "C7", "dense")):
            at = number + shift
            axis.plot([at] * len(errors), errors, "o", color=colour, markersize=4)
            axis.plot(
                [at - 0.08, at + 0.08], [median(errors)] * 2, color=colour, linewidth=2, label=None if number else label
            )
    axis.set_yscale("log")
    axis.set_xticks(range(len(rows)), [f"{row.problem}\nR of {row.source}" for row in rows], fontsize=7, rotation=20)
    axis.set(ylabel="relative L2 error", title="R found once, used elsewhere; equal parameters and iterations")
    axis.grid(alpha=0.3, axis="y")
    axis.legend()
    save(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser("transfer", __doc__)
    options.add_argument("--seeds", type=int, default=3)
    chosen = options.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    seeds, iterations = (1, 2) if chosen.quick else (chosen.seeds, 60)
    found, rows = study(seeds, iterations, chosen.quick)
    print(table(found, rows))
    draw(rows, chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
