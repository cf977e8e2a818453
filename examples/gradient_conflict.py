"""Study 1: a weight penalty on a PINN's own loss conflicts with the physics; on a student it does not touch it.

Laplace's equation, 2-8-8-16-1. L2 norm, L1 and GrOWL, as the method's paper defines them, are added to the PINN's loss
at several strengths; trained by Adam, then converged by L-BFGS. Shown: the physics loss (without the penalty) that
training ends with, and the angle between the gradients of physics and penalty over Adam's steps, which is 180 degrees
at every minimum of their sum. Beside them the split of the method: a teacher without penalty and a student that
imitates it with one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from psinn_fast import MLP, Dirichlet, Problem, PsiMLP, Regularizer, Residual, get_backend, get_problem
from psinn_fast.discovery.student import imitation
from psinn_fast.kernels.contract import AdamState
from psinn_fast.training.metrics import coarse_relative_l2, evaluate
from psinn_fast.training.optimisers.lbfgs import LBFGS
from psinn_fast.training.optimisers.quasi_newton import minimised

from .common import NONE, conflict, new_figure, parser, save

LAYERS = (2, 8, 8, 16, 1)
KINDS = {"l2": "L2 norm", "l1": "L1", "growl": "GrOWL"}
STRENGTHS = (1e-5, 1e-4, 1e-3)
PAPER = 1e-3


@dataclass
class Run:
    """One training. Losses are those of the problem, without the penalty; angles, in degrees, are to the penalty.

    ``steps``, ``losses``, ``angles``: during Adam. ``converged``: the loss after L-BFGS. ``parts``: angles at the end
    of Adam of the PDE's residual alone and of the boundary conditions alone.
    """

    kind: str
    strength: float
    seed: int
    net: PsiMLP
    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    angles: list[float] = field(default_factory=list)
    parts: tuple[float, float] = (math.nan, math.nan)
    converged: float = math.nan
    error: float = math.nan


def problem(points: int) -> Problem:
    """The built-in Laplace problem on a coarser grid, its edges in one term: the same loss, more cheaply."""
    laplace = get_problem("laplace")
    box = laplace.domain
    edges = [Dirichlet(box.boundary(points, part), u=lambda x, y: x**3 - 3 * x * y**2) for part in box.parts]
    return replace(laplace, conditions=[Residual(box.grid(points)), *edges])


def train(task: Problem, kind: str, strength: float, seed: int, steps: int, iterations: int, rows: int = 60) -> Run:
    """Adam on loss + penalty, the rate falling to a tenth at 60 % and 85 %; then L-BFGS on the same.

    Without a penalty, angles are to the L2 norm's gradient: the penalty that would be there.
    """
    net, terms, weights = MLP(LAYERS, seed=seed), task.terms(), task.weights()
    run = Run(kind, strength, seed, net)
    like = Regularizer(kind if kind in KINDS else "l2", strength or PAPER)
    penalty = like if kind in KINDS else None
    engine = get_backend()
    milestones = (int(0.6 * steps), int(0.85 * steps))
    state = AdamState(net.theta.detach().clone(), NONE.float(), 2e-3, milestones=milestones)
    for mark in np.unique(np.geomspace(1, steps, rows).astype(int)).tolist():
        engine.train(net.plan, state, terms, weights, mark - state.step, penalty)
        found = engine.loss_and_gradient(net.plan, state.theta, NONE.float(), terms, weights)
        run.steps.append(mark)
        run.losses.append(task.total_loss(found.losses.tolist()))
        run.angles.append(conflict(net, state.theta, terms, weights, like))
    if len(terms) > 1:
        run.parts = (
            conflict(net, state.theta, terms[:1], weights[:1], like),
            conflict(net, state.theta, terms[1:], weights[1:], like),
        )
    with torch.no_grad():
        net.theta.copy_(state.theta)
    net.double()
    total = sum(minimised(task, net, LBFGS(iterations, tolerance=1e-9), penalty).final_losses())
    run.converged = total - (float(penalty.value_and_gradient(net.plan, net.theta)[0]) if penalty else 0.0)
    run.error = coarse_relative_l2(task)(net)
    return run


def study(seeds: int, steps: int, iterations: int, points: int) -> dict[str, list[Run]]:
    """``pinn``: PINNs, the first of each seed without penalty; ``student``: imitators of those first."""
    task = problem(points)
    pinns, students = [], []
    for seed in range(seeds):
        teacher = train(task, "none", 0.0, seed, steps, iterations)
        pinns.append(teacher)
        pinns += [train(task, kind, beta, seed, steps, iterations) for kind in KINDS for beta in STRENGTHS]
        # The student's target is scaled to unit variance, as in `discover`.
        copy, _ = imitation(task, lambda x, net=teacher.net: evaluate(net, x), points)
        students.append(train(copy, "l2", PAPER, seed, steps, iterations))
    return {"pinn": pinns, "student": students}


def of(runs: Sequence[Run], kind: str, strength: float) -> list[Run]:
    """Its seeds, by ascending loss."""
    return sorted((r for r in runs if (r.kind, r.strength) == (kind, strength)), key=lambda r: r.converged)


def middle_of(runs: Sequence[Run], kind: str, strength: float) -> Run:
    same = of(runs, kind, strength)
    return same[len(same) // 2]


def table(runs: dict[str, list[Run]]) -> str:
    """Medians over the seeds; all seeds of the converged loss."""
    head = f"{'':15}{'Adam: loss':>11}{'angle':>7}{'PDE':>5}{'edges':>7}{'converged: loss':>17}{'rel. L2':>10}   seeds"
    cases = [("none", 0.0), *((kind, beta) for kind in KINDS for beta in STRENGTHS)]
    groups = [(f"{kind:7}{beta:8.0e}" if beta else "no penalty", of(runs["pinn"], kind, beta)) for kind, beta in cases]
    lines = [head]
    for name, same in [*groups, ("student, l2 1e-3", runs["student"])]:
        lines.append(
            f"{name:15}{median(r.losses[-1] for r in same):11.1e}{median(r.angles[-1] for r in same):7.0f}"
            f"{median(r.parts[0] for r in same):5.0f}{median(r.parts[1] for r in same):7.0f}"
            f"{median(r.converged for r in same):17.1e}{median(r.error for r in same):10.1e}   "
            + " ".join(f"{r.converged:.1e}" for r in same)
        )
    # A student has no PDE, no edges and no exact solution.
    lines[-1] = lines[-1].replace("nan", "  -")
    return "\n".join(
        [*lines, "The student's loss is that of imitating the PINN without penalty, scaled to unit variance."]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser("gradient_conflict", __doc__)
    options.add_argument("--seeds", type=int, default=3)
    chosen = options.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    sizes = (1, 100, 10, 9) if chosen.quick else (chosen.seeds, 6_000, 2_000, 31)
    runs = study(*sizes)
    print(table(runs))
    draw(runs, chosen.out)
    return 0


def draw(runs: dict[str, list[Run]], path: Path) -> None:
    figure = new_figure(13, 3.8)
    left, middle, right = figure.subplots(1, 3)
    pinns, student = runs["pinn"], runs["student"][0]
    names = {"none": "no penalty: the teacher", **KINDS}
    for kind, colour in {"none": "k", "l2": "C0", "l1": "C3", "growl": "C2"}.items():
        run = middle_of(pinns, kind, PAPER if kind in KINDS else 0.0)
        left.loglog(run.steps, run.losses, color=colour, label=names[kind])
        middle.semilogx(run.steps, run.angles, color=colour, label=names[kind])
        if kind in KINDS:
            ends = [middle_of(pinns, kind, beta).converged for beta in STRENGTHS]
            right.loglog(STRENGTHS, ends, "o-", color=colour, label=names[kind])
        else:
            right.axhline(run.converged, color=colour, label=names[kind])
    middle.semilogx(student.steps, student.angles, "k--", label="student: imitation, L2")
    for level in (90, 180):
        middle.axhline(level, color="grey", linewidth=0.6)
    left.set(title=f"physics loss, strength {PAPER:g}", xlabel="Adam step", ylabel="loss without the penalty")
    middle.set(title="angle: gradient of physics, of penalty", xlabel="Adam step", ylabel="degrees", ylim=(0, 185))
    right.set(title="physics loss, converged", xlabel="strength of the penalty", ylabel="loss without the penalty")
    for axis in (left, middle, right):
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    save(figure, path)


if __name__ == "__main__":
    sys.exit(main())
