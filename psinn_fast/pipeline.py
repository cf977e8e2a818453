"""`run_pipeline`: the whole method on one problem. Teacher, student, R, Psi-NN; then all methods side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .building import Network, symmetric_structure
from .devices import find_device
from .discovery.discover import discover
from .discovery.distillation import matching_width
from .discovery.found import Discovery
from .discovery.given import check_known
from .discovery.options import TESTS, checked_options
from .kernels import checks, get_backend, networks_of_the_library
from .kernels.errors import InputError, short
from .networks.mlp import PsiMLP
from .problem.problem import Problem
from .problem.recipe import Paper
from .problems import as_problem
from .report.output import save_comparison, save_discovery, writable_folder
from .report.replaceable import CHECKPOINT, COMPARISON, DISCOVERY, SOLUTION, check_no_strangers
from .results import Solution
from .solving import solve
from .storage.files import as_path
from .training.checks import time_limit
from .training.fitting import fit, no_checkpoint
from .training.optimisers.adam import Adam
from .training.optimisers.gauss_newton import GaussNewton
from .training.optimisers.lbfgs import LBFGS
from .training.optimisers.named import chosen_optimizers
from .training.options import Options, chosen_options

# After Adam the teacher still has percents of error, and with it blurred symmetries; this removes most of it.
TEACHER_STEPS = 1_000
PIPELINE_OPTIMIZERS = ("adam", "gauss-newton", "paper")
# What may be said of `discover`.
_LABELS = "PINN", "PINN-post", "Psi-NN, discovered R", "Psi-NN, published R"
_OF_DISCOVERY = ("tests", "steps", "settings")


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


def make_teacher(pinn: Solution, *, steps: int, options: Options) -> PsiMLP:
    """A float64 copy of a trained PINN on the CPU, its own loss minimised further by L-BFGS.

    Raises:
        TrainingInterrupted: on Ctrl-C.
    """
    teacher = deepcopy(pinn.net).double().cpu()
    if steps:
        fit(pinn.problem, teacher, LBFGS(steps), coefficients=pinn.coefficients, options=options)
    return teacher


def run_pipeline(
    problem: Problem | str,
    optimizer: Adam | GaussNewton | str = "adam",
    *,
    discovery: Mapping[str, Any] | None = None,
    teacher_steps: int | None = None,
    network: Network | None = None,
    seconds: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    options: Options | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> PipelineResult:
    """Teacher, student, R and the networks compared, all at equal steps.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        optimizer: of every network. ``"adam"``: the recipe's steps and rate, which drops to a tenth for the last fifth
            of them, so that the errors compared are not those of a random moment in Adam's noise; ``"gauss-newton"``;
            ``"paper"``: the paper's full step counts and learning rate; or settings.
        discovery: ``tests``, ``steps`` and ``settings`` of `discover`.
        teacher_steps: of the L-BFGS that goes on with the teacher, if Adam trained it; None: 1,000.
        network: its dtype, device, embedding and ansatz are those of the networks that are compared; what teaches and
            discovers is small and stays on the CPU, in float64. With an embedding or an ansatz the published structure,
            which is of coordinates and of u itself, is not compared.
        seconds: limit for each network's training.
        seed: of the first network; the others' follow.
        out: folder; each network gets a subfolder.
        options: as for `solve`; with ``resume`` what is finished in ``out`` is skipped, and what is not is continued.
        say: is given a line about each stage.

    Raises:
        InputError: options out of range, or without effect beside the others.
        TrainingInterrupted: on Ctrl-C, after the checkpoint of the network in training is saved.
    """
    problem, seed, seconds = as_problem(problem), checks.seed("seed", seed, derived=True), time_limit(seconds)
    options, base = chosen_options(options), Network() if network is None else network
    if not isinstance(options.resume, bool):
        raise InputError("resume: run_pipeline trains several networks; expected True (from the folder out) or False")
    own = _discovery(discovery)
    asked = checked_options(problem, **{"tests": TESTS, **own}, has_teacher=False)
    has_teacher = bool({"teacher", "student"} & set(asked.tests))
    used = _optimizer(problem, optimizer, seed)
    going_on = _teacher_steps(teacher_steps, isinstance(used, Adam), has_teacher)
    if not isinstance(base, Network) or base != Network(
        dtype=base.dtype, device=base.device, precision=base.precision, embedding=base.embedding, ansatz=base.ansatz
    ):
        expected = "a Network with a dtype, a device, a precision, an embedding and an ansatz alone"
        raise InputError(f"network: expected {expected}, got {short(network)}")
    check_known(base)
    get_backend(options.backend, find_device(base.device))
    if not callable(say):
        raise InputError(f"say: expected a function of a text, got {short(say)}")
    if options.resume and out is None:
        raise InputError("resume: needs the output folder of the run to continue (out)")
    if options.resume and not os.path.exists(first := as_path("out", out) / _place(_LABELS[0]) / CHECKPOINT):
        raise no_checkpoint(first.parent)
    folder = writable_folder(out) if out is not None else None
    if folder is not None:
        check_no_strangers(folder, COMPARISON)
        check_no_strangers(folder / "discovery", DISCOVERY)
        for label in _LABELS:
            check_no_strangers(folder / _place(label), SOLUTION[1:] if options.resume else SOLUTION)

    def train(label: str, method: str, **of_network: Any) -> Solution:
        place = folder / _place(label) if folder else None
        continued = bool(options.resume) and place is not None and (place / CHECKPOINT).exists()
        chosen = replace(base, method=method, **of_network)
        own_options = replace(options, resume=continued)
        solution = solve(problem, chosen, used, seconds=seconds, seed=seed, out=place, options=own_options)
        say(f"{label}: {solution.steps} steps in {solution.seconds:.1f} s")
        return solution

    pinn, post, discovered, published = _LABELS
    rows = [(pinn, train(pinn, "pinn"))]
    with networks_of_the_library():  # all others, whose widths and precision follow from the PINN
        # The PINN is one teacher; another seed makes the second, whose difference from it is the noise.
        ends = Network(embedding=base.embedding, ansatz=base.ansatz)
        teaching: dict[str, Any] = {"teacher": ends}
        own_options = Options(backend=options.backend if has_teacher else "auto", progress=options.progress)
        if has_teacher:
            own_training = replace(options, resume=False, callbacks=(), precision=None)  # in float64
            teacher = make_teacher(rows[0][1], steps=going_on, options=own_training)
            teaching = {"teacher": [teacher, ends], "seeds": 1, "seconds": seconds, "seed": seed + 1}
        found = discover(problem, **own, **teaching, options=own_options)
        say(found.report())
        if folder is not None:
            save_discovery(found, folder / "discovery")
        if problem.symmetries and _allows(ends, problem, say):
            rows.append((post, train(post, "pinn-post")))
        width = matching_width(found.structure, rows[0][1].net.structure.n_parameters)
        rows.append((discovered, train(discovered, "psi", structure=found.structure, width=width)))
        if problem.recipe.structure is not None and ends == Network():
            rows.append((published, train(published, "psi")))
    result = PipelineResult(found, tuple(rows))
    if folder is not None:
        save_comparison(rows, result.table(), folder)
    return result


def compared_by_adam(problem: Problem, steps: int | None, lr: float | None, drops: Sequence[int] | None = None) -> Adam:
    """Adam with the recipe's steps and rate where none are given, which drops for the last fifth of the steps."""
    n = checks.integer("steps", problem.recipe.steps if steps is None else steps, 0)
    if drops is None:
        drops = () if n < 2 else (int(0.8 * n),)
    return Adam(n, problem.recipe.lr if lr is None else lr, drops)


def by_the_paper(paper: Paper, steps: int | None = None) -> Adam:
    """Adam as the paper trains, or for its first so many steps."""
    n = paper.steps if steps is None else steps
    return Adam(n, paper.lr, [milestone for milestone in paper.milestones if milestone < n])


def _allows(ends: Network, problem: Problem, say: Callable[[str], None]) -> bool:
    """Whether u may have the symmetries that the problem states."""
    try:
        symmetric_structure(problem, embedding=ends.embedding, ansatz=ends.ansatz)
    except InputError as error:
        say(f"{_LABELS[1]}: left out: {error}")
        return False
    return True


def _place(label: str) -> str:
    """The subfolder of a network."""
    return label.lower().replace(" ", "-").replace(",", "")


def _discovery(given: Mapping[str, Any] | None) -> dict[str, Any]:
    own = {} if given is None else given
    if not isinstance(own, Mapping) or not set(own) <= set(_OF_DISCOVERY):
        raise InputError(f"discovery: expected a mapping with some of {list(_OF_DISCOVERY)}, got {short(given)}")
    return dict(own)


def _optimizer(problem: Problem, optimizer: Adam | GaussNewton | str, seed: int) -> Adam | GaussNewton:
    """That of every network."""
    if isinstance(optimizer, (Adam, GaussNewton)):
        (filled,) = chosen_optimizers(optimizer, problem)
        assert isinstance(filled, (Adam, GaussNewton))
        return filled
    match checks.choice("optimizer", optimizer, PIPELINE_OPTIMIZERS, "pf.Adam(...), pf.GaussNewton(...) or "):
        case "adam":
            return compared_by_adam(problem, None, None)
        case "gauss-newton":
            return GaussNewton(seed=seed)
    if problem.recipe.paper is None:
        raise InputError(f"optimizer: the paper has no problem {problem.name!r}")
    return by_the_paper(problem.recipe.paper)


def _teacher_steps(steps: int | None, by_adam: bool, has_teacher: bool) -> int:
    """L-BFGS steps of the teacher: Gauss-Newton leaves nothing for them to do."""
    if steps is not None and not (by_adam and has_teacher):
        why = "optimizer 'gauss-newton'" if not by_adam else "tests without 'teacher' and 'student'"
        raise InputError(f"teacher_steps: has no meaning for {why}")
    if not by_adam:
        return 0
    return TEACHER_STEPS if steps is None else checks.integer("teacher_steps", steps, 0)


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
        metrics = [
            number_text(solution.metrics[name]) for name in ("relative_l2", "rmse", "max_error", "boundary_rmse")
        ]
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
    table += [f"{label}: {solution.described_quantities()}" for label, solution in rows if solution.quantities]
    table += [f"* {label}: {'; '.join(solution.warnings)}" for label, solution in rows if solution.warnings]
    products = dict.fromkeys(f"{own.setup.dtype} ({own.setup.precision})" for _, own in rows)
    table.append(f"products: {', '.join(products)}")
    true = rows[0][1].problem.true_coefficients
    if true:
        table.append("true values: " + ", ".join(f"{name} = {value:.6g}" for name, value in true.items()))
    if paper := rows[0][1].problem.recipe.paper:
        reported = {"L2 errors": paper.errors, **paper.coefficients}
        table += [
            f"the paper's {what}: " + ", ".join(f"{method} {number_text(value)}" for method, value in found.items())
            for what, found in reported.items()
            if found
        ]
    return "\n".join(table)


def number_text(value: Any) -> str:
    """A metric, or a part of one."""
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return " ".join(f"{name}:{'-' if number is None else f'{number:.2e}'}" for name, number in value.items())
    return f"{value:.3e}"
