"""`run_pipeline`: the whole method on one problem. Teacher, student, R, Psi-NN; then all methods side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .discovery.discover import ITERATIONS, TESTS, Discovery, discover, matching_width
from .discovery.student import StudentSettings
from .kernels.errors import InputError
from .networks import PsiMLP
from .output import save_comparison, save_discovery
from .problem import Problem
from .solving import CHECKPOINT, Solution, solve
from .training.interrupt import Interrupted
from .training.lbfgs import polish
from .training.metrics import Metric

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


def make_teacher(pinn: Solution, *, iterations: int, backend: str, progress: bool) -> PsiMLP:
    """A float64 copy of a trained PINN on the CPU, its own loss minimised further by L-BFGS.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
    """
    teacher = deepcopy(pinn.net).double().cpu()
    found = polish(
        pinn.problem, teacher, iterations, coefficients=pinn.coefficients, backend=backend, progress=progress,
        title="teacher L-BFGS",
    )  # fmt: skip
    if found.interrupted is not None:
        raise Interrupted("the teacher's training was interrupted", found.interrupted)
    return teacher


def run_pipeline(
    problem: Problem,
    *,
    steps: int | None = None,
    lr: float | None = None,
    milestones: Sequence[int] | None = None,
    settings: StudentSettings | None = None,
    threshold: float | str | None = None,
    tests: Sequence[str] = TESTS,
    iterations: int = ITERATIONS,
    teacher_iterations: int = TEACHER_ITERATIONS,
    seconds: float | None = None,
    optimizer: str = "adam",
    dtype: str | None = None,
    device: torch.device | str = "cpu",
    backend: str = "auto",
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    paper: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> PipelineResult:
    """Teacher, student, R and the networks compared, all at equal steps.

    Args:
        steps, lr: of every network; None takes the problem's, or with ``paper`` the paper's.
        milestones: None drops the rate to a tenth for the last fifth of the steps, so that the errors compared are not
            those of a random moment in Adam's noise; with ``paper`` it stays constant.
        settings: of the students; None: those of `discover`.
        threshold, tests, iterations: of `discover`, ``iterations`` counting those of the networks that it trains.
        teacher_iterations: L-BFGS iterations that polish the teacher, if Adam trained it.
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
        KeyboardInterrupt: on Ctrl-C, after the checkpoint of the network in training is saved.
    """
    if paper and (problem.paper_steps is None or problem.paper_lr is None):
        raise InputError(f"paper: the paper has no problem {problem.name!r}")
    if optimizer not in PIPELINE_OPTIMIZERS:
        raise InputError(f"optimizer: expected one of {list(PIPELINE_OPTIMIZERS)}, got {optimizer!r}")
    if paper and optimizer != "adam":
        raise InputError(f"paper: the paper trains by Adam, not by {optimizer!r}")
    if optimizer == "gauss-newton" and (lr is not None or milestones):
        raise InputError("lr, milestones: have no meaning for optimizer 'gauss-newton'")
    by_adam = optimizer == "adam"
    if steps is None and by_adam:
        steps = problem.paper_steps if paper and problem.paper_steps else problem.steps
    if lr is None and by_adam:
        lr = problem.paper_lr if paper and problem.paper_lr else problem.lr
    if milestones is None:
        milestones = () if paper or steps is None or not by_adam else (int(0.8 * steps),)
    folder = Path(out) if out is not None else None

    def train(label: str, method: str, **network: Any) -> Solution:
        place = folder / label.lower().replace(" ", "-").replace(",", "") if folder else None
        continued = resume and place is not None and (place / CHECKPOINT).exists()
        solution = solve(
            problem, method, optimizer=optimizer, steps=steps, lr=lr, milestones=milestones, seconds=seconds,
            dtype=dtype, device=device, backend=backend, seed=seed, out=place, resume=continued, progress=progress,
            **network,
        )  # fmt: skip
        say(f"{label}: {solution.steps} steps in {solution.seconds:.1f} s")
        return solution

    rows = [("PINN", train("PINN", "pinn"))]
    # Gauss-Newton leaves nothing for L-BFGS to do.
    teacher = make_teacher(
        rows[0][1], iterations=teacher_iterations if by_adam else 0, backend=backend, progress=progress
    )
    # The PINN is one teacher; another seed makes the second, whose difference from it is the noise.
    found = discover(
        problem, teacher, tests=tests, seeds=1, seed=seed + 1, iterations=iterations, settings=settings,
        threshold=threshold, backend=backend, seconds=seconds, progress=progress,
    )  # fmt: skip
    say(found.report())
    if folder is not None:
        save_discovery(found, folder / "discovery")
    if problem.symmetries:
        rows.append(("PINN-post", train("PINN-post", "pinn-post")))
    width = matching_width(found.structure, rows[0][1].net.structure.n_parameters)
    rows.append(("Psi-NN, discovered R", train("Psi-NN, discovered R", "psi", structure=found.structure, width=width)))
    if problem.structure is not None:
        rows.append(("Psi-NN, published R", train("Psi-NN, published R", "psi")))
    result = PipelineResult(found, tuple(rows))
    if folder is not None:
        save_comparison(rows, result.table(), folder)
    return result


def comparison_table(rows: tuple[tuple[str, Solution], ...]) -> str:
    """Errors and coefficients of several solutions of one problem, one a line."""
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
                label,
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
    true = rows[0][1].problem.true_coefficients
    if true:
        table.append("true values: " + ", ".join(f"{name} = {value:.6g}" for name, value in true.items()))
    paper = rows[0][1].problem.paper_errors
    if paper:
        table.append("the paper's L2 errors: " + ", ".join(f"{name} {value:.3e}" for name, value in paper.items()))
    return "\n".join(table)


def _number(value: Metric) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return " ".join(f"{name}:{'-' if number is None else f'{number:.2e}'}" for name, number in value.items())
    return f"{value:.3e}"
