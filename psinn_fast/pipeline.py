"""`run_pipeline`: the whole method on one problem. Teacher, student, R, Psi-NN; then all methods side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .building import Network
from .devices import find_device
from .discovery.discover import Discovery, discover, matching_width
from .discovery.options import TESTS, checked_options
from .discovery.student import StudentSettings
from .files import as_path
from .kernels import checks, get_backend
from .kernels.errors import InputError, short
from .networks import PsiMLP
from .output import save_comparison, save_discovery, writable_folder
from .problem import Problem
from .problems import as_problem
from .solving import CHECKPOINT, Solution, solve
from .training.adam import Adam
from .training.doubts import Metric
from .training.fitting import fit
from .training.gauss_newton_options import GaussNewton
from .training.lbfgs import LBFGS
from .training.options import Options
from .training.result import time_limit

# After Adam the teacher still has percents of error, and with it blurred symmetries; this removes most of it.
TEACHER_ITERATIONS = 1_000
PIPELINE_OPTIMIZERS = ("adam", "gauss-newton")


@dataclass(frozen=True)
class PipelineResult:
    """``rows``: (label, solution), the table's rows in order. The first is the PINN, whose network is the teacher."""

    discovery: Discovery
    rows: tuple[tuple[str, Solution], ...]

    def table(self) -> str:
        return comparison_table(self.rows)

    def to_dict(self) -> dict[str, Any]:
        return {
            "problem": self.rows[0][1].problem.name,
            "structure": str(self.discovery.structure),
            "discovery": self.discovery.to_dict(),
            "results": {label: solution.to_dict() for label, solution in self.rows},
        }


def make_teacher(
    pinn: Solution, *, iterations: int, backend: str, progress: bool, scaling: str | None = "auto"
) -> PsiMLP:
    """A float64 copy of a trained PINN on the CPU, its own loss minimised further by L-BFGS.

    Raises:
        TrainingInterrupted: on Ctrl-C.
    """
    teacher = deepcopy(pinn.net).double().cpu()
    if iterations:
        options = Options(backend=backend, scaling=scaling, progress=progress)
        fit(pinn.problem, teacher, LBFGS(iterations), coefficients=pinn.coefficients, options=options)
    return teacher


def run_pipeline(
    problem: Problem | str,
    *,
    steps: int | None = None,
    lr: float | None = None,
    milestones: Sequence[int] | None = None,
    settings: StudentSettings | None = None,
    threshold: float | str | None = None,
    tests: str | Sequence[str] = TESTS,
    iterations: int | None = None,
    teacher_iterations: int | None = None,
    seconds: float | None = None,
    optimizer: str = "adam",
    dtype: torch.dtype | str | None = None,
    device: torch.device | str = "cpu",
    backend: str = "auto",
    scaling: str | None = "auto",
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    paper: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> PipelineResult:
    """Teacher, student, R and the networks compared, all at equal steps.

    Args:
        steps, lr: of every network; None takes the problem's, or with ``paper`` the paper's, and no others.
        milestones: None drops the rate to a tenth for the last fifth of the steps, so that the errors compared are not
            those of a random moment in Adam's noise; with ``paper`` it stays constant.
        settings: of the students; None: those of `discover`.
        threshold, tests, iterations: of `discover`, ``iterations`` counting those of the networks that it trains.
        teacher_iterations: L-BFGS iterations that polish the teacher, if Adam trained it; None: 1,000.
        seconds: limit for each network's training.
        optimizer: "adam", or "gauss-newton", of which ``steps`` counts the iterations; lr and milestones are Adam's.
        device: where the networks that are compared are trained; polishing the teacher and discovery, which are small
            and in float64, stay on the CPU.
        out: folder; each network gets a subfolder.
        resume: skip what is finished in ``out`` and continue what is not.
        paper: the paper's full step counts and learning rate.
        say: is given a line about each stage.
        Others: see `solve`.

    Raises:
        InputError: options out of range, or without effect beside the others.
        KeyboardInterrupt: on Ctrl-C, after the checkpoint of the network in training is saved.
    """
    problem, seed, seconds = as_problem(problem), checks.seed("seed", seed, derived=True), time_limit(seconds)
    by_adam = checks.choice("optimizer", optimizer, PIPELINE_OPTIMIZERS) == "adam"
    asked = checked_options(
        problem, tests, has_teacher=False, seeds=None, iterations=iterations, distillations=None, settings=settings,
        threshold=threshold, seconds=None, seed=None,
    )  # fmt: skip
    has_teacher = bool({"teacher", "student"} & set(asked.tests))
    used = _optimizer(problem, by_adam, steps, lr, milestones, checks.flag("paper", paper), seed)
    polishing = _polishing(teacher_iterations, by_adam, has_teacher)
    if dtype is not None:
        checks.floating_dtype("dtype", dtype)
    get_backend(backend, find_device(device))
    checks.flag("progress", progress)
    if not callable(say):
        raise InputError(f"say: expected a function of a text, got {short(say)}")
    if checks.flag("resume", resume) and out is None:
        raise InputError("resume: needs the output folder of the run to continue (out)")
    if resume and not os.path.exists(first := as_path("out", out) / _place("PINN") / CHECKPOINT):
        raise InputError(f"resume: there is no checkpoint in {first.parent}")
    folder = writable_folder(out) if out is not None else None

    def train(label: str, method: str, **network: Any) -> Solution:
        place = folder / _place(label) if folder else None
        continued = resume and place is not None and (place / CHECKPOINT).exists()
        chosen = Network(method, dtype=dtype, device=device, **network)
        options = Options(backend=backend, scaling=scaling, resume=continued, progress=progress)
        solution = solve(problem, chosen, used, seconds=seconds, seed=seed, out=place, options=options)
        say(f"{label}: {solution.steps} steps in {solution.seconds:.1f} s")
        return solution

    rows = [("PINN", train("PINN", "pinn"))]
    # The PINN is one teacher; another seed makes the second, whose difference from it is the noise.
    teaching: dict[str, Any] = {}
    if has_teacher:
        teacher = make_teacher(rows[0][1], iterations=polishing, backend=backend, progress=progress, scaling=scaling)
        teaching = {"teacher": teacher, "seeds": 1, "seconds": seconds, "seed": seed + 1, "backend": backend}
    found = discover(
        problem, tests=asked.tests, iterations=iterations, settings=settings, threshold=threshold, progress=progress,
        **teaching,
    )  # fmt: skip
    say(found.report())
    if folder is not None:
        save_discovery(found, folder / "discovery")
    if problem.symmetries:
        rows.append(("PINN-post", train("PINN-post", "pinn-post")))
    width = matching_width(found.structure, rows[0][1].net.structure.n_parameters)
    rows.append(("Psi-NN, discovered R", train("Psi-NN, discovered R", "psi", structure=found.structure, width=width)))
    if problem.recipe.structure is not None:
        rows.append(("Psi-NN, published R", train("Psi-NN, published R", "psi")))
    result = PipelineResult(found, tuple(rows))
    if folder is not None:
        save_comparison(rows, result.table(), folder)
    return result


def _place(label: str) -> str:
    """The subfolder of a network."""
    return label.lower().replace(" ", "-").replace(",", "")


def _optimizer(
    problem: Problem,
    by_adam: bool,
    steps: int | None,
    lr: float | None,
    milestones: Sequence[int] | None,
    paper: bool,
    seed: int,
) -> Adam | GaussNewton:
    """That of every network."""
    if paper and problem.recipe.paper is None:
        raise InputError(f"paper: the paper has no problem {problem.name!r}")
    if paper and not by_adam:
        raise InputError("paper: the paper trains by Adam, not by 'gauss-newton'")
    for name, value, what in (("steps", steps, "how many steps"), ("lr", lr, "which rate")):
        if paper and value is not None:
            raise InputError(f"paper: says {what}, and so does {name}; give one of them")
    if not by_adam:
        drops = () if milestones is None else checks.integers("milestones", milestones, 1)
        if lr is not None or drops:
            raise InputError(f"{'milestones' if lr is None else 'lr'}: has no meaning for optimizer 'gauss-newton'")
        return GaussNewton(seed=seed) if steps is None else GaussNewton(steps, seed=seed)
    own = problem.recipe.paper if paper and problem.recipe.paper else problem.recipe
    n = checks.integer("steps", own.steps if steps is None else steps, 0)
    if milestones is None:
        milestones = () if paper or n < 2 else (int(0.8 * n),)
    return Adam(n, own.lr if lr is None else lr, milestones)


def _polishing(iterations: int | None, by_adam: bool, has_teacher: bool) -> int:
    """L-BFGS iterations of the teacher: Gauss-Newton leaves nothing for them to do."""
    if iterations is not None and not (by_adam and has_teacher):
        why = "optimizer 'gauss-newton'" if not by_adam else "tests without 'teacher' and 'student'"
        raise InputError(f"teacher_iterations: has no meaning for {why}")
    if not by_adam:
        return 0
    return TEACHER_ITERATIONS if iterations is None else checks.integer("teacher_iterations", iterations, 0)


def comparison_table(rows: tuple[tuple[str, Solution], ...]) -> str:
    """Errors and coefficients of several solutions of one problem, one a line; a star marks those with warnings."""
    unknowns = tuple(rows[0][1].coefficients)
    header = [
        "method",
        "parameters",
        "steps",
        "seconds",
        "relative L2",
        "RMSE",
        "max error",
        "boundary RMSE",
        *unknowns,
    ]
    lines = [header]
    for label, solution in rows:
        metrics = [_number(solution.metrics[name]) for name in ("relative_l2", "rmse", "max_error", "boundary_rmse")]
        coefficients = [f"{solution.coefficients[name]:.6g}" for name in unknowns]
        lines.append(
            [
                label + (" *" if solution.warnings else ""),
                str(solution.net.structure.n_parameters),
                str(solution.steps),
                f"{solution.seconds:.1f}",
                *metrics,
                *coefficients,
            ]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    table = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    table += [f"* {label}: {'; '.join(solution.warnings)}" for label, solution in rows if solution.warnings]
    true = rows[0][1].problem.true_coefficients
    if true:
        table.append("true values: " + ", ".join(f"{name} = {value:.6g}" for name, value in true.items()))
    recipe = rows[0][1].problem.recipe
    paper = recipe.paper.errors if recipe.paper else {}
    if paper:
        table.append("the paper's L2 errors: " + ", ".join(f"{name} {value:.3e}" for name, value in paper.items()))
    return "\n".join(table)


def _number(value: Metric) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return " ".join(f"{name}:{'-' if number is None else f'{number:.2e}'}" for name, number in value.items())
    return f"{value:.3e}"
