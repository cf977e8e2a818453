"""Study 3: what R comes out of one student at thresholds from 0.001 to 0.5, and what the automatic choice makes of it.

Laplace's equation and Burgers' equation at nu = 0.08 / pi: a teacher by Gauss-Newton, students, and from the student of
lowest loss one structure per threshold: Ward clustering of |w| cut at that distance as in the method's paper (0.1
there), dropped neurons' student converged again. Counted: independent weights and biases (symbols), related pairs of
neurons, and which of the solution's symmetries every network of that structure has. Each structure is then scaled to
about equal parameters and trained on the problem by Gauss-Newton. ``auto`` is what `distil` makes of the same students
by itself.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch

from bench.discovery_problems import BY_NAME
from psinn_fast import (
    MLP,
    DiscoveryError,
    GaussNewton,
    Problem,
    PsiMLP,
    Structure,
    StudentSettings,
    fit,
    get_problem,
)
from psinn_fast.discovery.distillation import distil, matching_width
from psinn_fast.discovery.reading import simplify
from psinn_fast.discovery.relations import describe_relations
from psinn_fast.discovery.student import imitation, train_student
from psinn_fast.symmetries.symmetry_check import structure_symmetries
from psinn_fast.training.metrics import coarse_relative_l2, evaluate

from .common import new_figure, parser, save

THRESHOLDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5)
DENSE = (2, 10, 10, 10, 1)
AUTO = "auto"


@dataclass(frozen=True)
class Row:
    """``error``: relative L2 after retraining, median of the seeds; NaN where nothing could be read (``failure``)."""

    problem: str
    threshold: float | str
    symbols: int = 0
    relations: int = 0
    symmetries: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    error: float = math.nan
    failure: str = ""


def retrained(problem: Problem, structure: Structure, seeds: int, iterations: int) -> float:
    """Median relative L2 of the structure, scaled to the dense network's parameters, trained from scratch."""
    scaled = structure.with_width(matching_width(structure, Structure.dense(DENSE).n_parameters))
    measure, errors = coarse_relative_l2(problem), []
    for seed in range(seeds):
        net = PsiMLP(scaled, seed=seed, dtype=torch.float64)
        fit(problem, net, GaussNewton(steps=iterations, seed=seed))
        errors.append(measure(net))
    return median(errors)


def described(name: str, problem: Problem, threshold: float | str, structure: Structure, error: float) -> Row:
    found = structure_symmetries(structure, problem.pde.coords)
    expected = BY_NAME[name].group
    return Row(
        name,
        threshold,
        structure.n_parameters,
        len(describe_relations(structure)),
        tuple(match.text for match in found if match.symmetry in expected),
        tuple(match.text for match in found if match.symmetry not in expected),
        error,
    )


def sweep(name: str, problem: Problem, quick: bool, seeds: int, iterations: int) -> list[Row]:
    """One row per threshold, by ascending threshold, the automatic one last."""
    teacher = MLP(DENSE, seed=0, dtype=torch.float64)
    fit(problem, teacher, GaussNewton(steps=2 if quick else 150))
    settings = StudentSettings((4, 4), grid=9, starts=1, steps=20) if quick else StudentSettings((8, 8, 8), starts=4)
    distilled = distil(problem, teacher, settings=settings)
    task, _ = imitation(problem, lambda points: evaluate(teacher, points), settings.grid)
    students = [train_student(task, settings, seed) for seed in range(settings.starts)]
    student = min(students, key=lambda one: one.loss)
    known: dict[Structure, float] = {}

    def row(threshold: float | str, structure: Structure) -> Row:
        # Neighbouring thresholds often give the same structure, which is trained once.
        if structure not in known:
            known[structure] = retrained(problem, structure, seeds, iterations)
        return described(name, problem, threshold, structure, known[structure])

    rows = []
    for threshold in THRESHOLDS[:: 6 if quick else 1]:
        try:
            _, extraction, _ = simplify(task, student, settings, threshold)
            rows.append(row(threshold, replace(extraction.structure, centre=distilled.centre)))
        except DiscoveryError as error:
            rows.append(Row(name, threshold, failure=str(error)))
    return [*rows, row(AUTO, distilled.structure)]


def table(rows: Sequence[Row]) -> str:
    lines = [f"{'problem':20}{'threshold':>10}{'symbols':>9}{'relations':>11}{'retrained':>11}  symmetries"]
    for row in rows:
        at = row.threshold if isinstance(row.threshold, str) else f"{row.threshold:.3g}"
        if row.failure:
            lines.append(f"{row.problem:20}{at:>10}  nothing: {row.failure}")
            continue
        kept = "; ".join(row.symmetries) or "none"
        wrong = f"  FALSE: {'; '.join(row.false)}" if row.false else ""
        lines.append(f"{row.problem:20}{at:>10}{row.symbols:9}{row.relations:11}{row.error:11.1e}  {kept}{wrong}")
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    figure = new_figure(13, 3.8)
    left, middle, right = figure.subplots(1, 3)
    for number, name in enumerate(dict.fromkeys(row.problem for row in rows)):
        mine = [row for row in rows if row.problem == name and not row.failure]
        fixed = [(row.threshold, row) for row in mine if not isinstance(row.threshold, str)]
        (auto,) = (row for row in mine if row.threshold == AUTO)
        x, points = [t for t, _ in fixed], [row for _, row in fixed]
        share = max(1, len(BY_NAME[name].group))
        for axis, values, level in (
            (left, [float(row.symbols) for row in points], float(auto.symbols)),
            (middle, [len(row.symmetries) / share for row in points], len(auto.symmetries) / share),
            (right, [row.error for row in points], auto.error),
        ):
            axis.plot(x, values, "o-", color=f"C{number}", label=name)
            axis.axhline(level, linestyle="--", color=f"C{number}", label=f"{name}, automatic")
    left.set(title="independent weights and biases", ylabel="symbols")
    middle.set(title="symmetries in R", ylabel="share of the solution's", ylim=(-0.05, 1.05))
    right.set(title="retrained at equal parameters", ylabel="relative L2 error", yscale="log")
    for axis in (left, middle, right):
        axis.axvline(0.1, color="grey", linewidth=0.6)
        axis.set(xscale="log", xlabel="threshold (grey: the paper's)")
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    save(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser("threshold_sweep", __doc__)
    options.add_argument("--seeds", type=int, default=1, help="of retraining")
    chosen = options.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    problems = {
        "laplace": get_problem("laplace"),
        "burgers": get_problem("burgers", {"nu": 0.08 / math.pi}),
    }
    seeds, iterations = (1, 2) if chosen.quick else (chosen.seeds, 40)
    rows = [row for name, task in problems.items() for row in sweep(name, task, chosen.quick, seeds, iterations)]
    print(table(rows))
    draw(rows, chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
