"""The student: a network that imitates the teacher under a weight penalty, converged until it is crisp."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..kernels import checks
from ..kernels.errors import InputError
from ..kernels.language.regularizer import Regularizer
from ..language.names import Names
from ..networks.mlp import MLP, PsiMLP
from ..networks.structure import Structure
from ..problem.conditions import Data
from ..problem.pde import PDE
from ..problem.problem import Problem
from ..training.optimisers.lbfgs import LBFGS
from ..training.optimisers.quasi_newton import minimised
from .inputs import StudentInputs
from .minimise import StudentLoss, gauss_newton, newton

FloatArray = npt.NDArray[np.float64]
Weights = Sequence[tuple[FloatArray, FloatArray]]
# Steps under a hundredth of the penalty, before all of it: from the initial weights the full penalty can be
# stronger than the signal, and the student collapses.
_WEAK, _WEAK_STEPS = 0.01, 30
_NEWTON_STEPS = 25
# L-BFGS steps per Gauss-Newton step.
_LBFGS = 10
_IMITATION_POINTS = 961


@dataclass(frozen=True)
class StudentSettings:
    """How students are trained.

    Args:
        hidden: hidden layer sizes.
        regularizer: the weight penalty. The paper's is 1e-3 * sum of Frobenius norms on the teacher's output as it is;
            here the output is scaled to unit variance, for which 3e-3 is the same strength on its Laplace problem.
        grid: imitation points per axis; None: about a thousand in all, 31 x 31 for two inputs, 10 x 10 x 10 for three.
        steps: Gauss-Newton steps at most, before Newton's.
        starts: independent students.
        seed: of the initial weights; each seed means other starts.
        tolerance: a student is converged where no component of its gradient is larger.
        symmetry_rise, cluster_rise: orbits of neurons, clusters of weights are tied if the tied student, converged
            again, has at most this fraction more loss.
        threshold: cut distance of the clustering; "auto": as coarse as the loss allows. A number, 0.1 in the paper,
            reads the student of lowest loss at that distance and verifies nothing.
    """

    hidden: tuple[int, ...] = (8, 8, 8)
    regularizer: Regularizer = field(default_factory=lambda: Regularizer("l2", 3e-3))
    grid: int | None = None
    steps: int = 150
    starts: int = 6
    seed: int = 0
    tolerance: float = 1e-9
    symmetry_rise: float = 0.05
    cluster_rise: float = 0.01
    threshold: float | str = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.regularizer, Regularizer):
            raise InputError(f"regularizer: expected a Regularizer, got {self.regularizer!r}")
        checked: dict[str, Any] = {
            "hidden": checks.integers("hidden", self.hidden, 1),
            "grid": None if self.grid is None else checks.integer("grid", self.grid, 2, other="None or "),
            "steps": checks.integer("steps", self.steps, 0),
            "starts": checks.integer("starts", self.starts, 1),
            "seed": checks.seed("seed", self.seed, derived=True),
        }
        for name in ("tolerance", "symmetry_rise", "cluster_rise"):
            checked[name] = checks.number(name, getattr(self, name), above=0)
        if self.threshold != "auto":
            checked["threshold"] = checks.number("threshold", self.threshold, above=0, other="'auto' or ")
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not self.hidden:
            raise InputError("hidden: expected the sizes of at least one hidden layer, got none")


@dataclass(frozen=True, eq=False)
class Student:
    """A trained student, float64, in inputs of its own (`StudentInputs`).

    Attributes:
        loss: imitation mean square (of the scaled target) plus penalty; ``mean_square``: the first alone.
        gradient: largest component of the loss's gradient.
        copies: per hidden layer, how many neurons each neuron stands for; the penalty counts them (`Penalty`).
    """

    net: PsiMLP
    seed: int
    loss: float
    mean_square: float
    gradient: float
    steps: int
    copies: tuple[FloatArray, ...]

    @property
    def weights(self) -> list[tuple[FloatArray, FloatArray]]:
        with torch.no_grad():
            return [(w.numpy(), b.numpy()) for w, b in self.net.structure.expand(self.net.theta)]


def points_per_axis(problem: Problem) -> int:
    """Of a grid of about 961 points."""
    return round(math.pow(_IMITATION_POINTS, 1 / len(problem.pde.coords)))


def imitation(
    problem: Problem,
    teacher: Callable[[FloatArray], FloatArray],
    grid: int | None = None,
    inputs: StudentInputs | None = None,
) -> tuple[Problem, FloatArray]:
    """The student's problem: match the teacher on a grid; and the scales (F,).

    Every field is scaled to unit variance: otherwise the penalty would be too strong for small solutions and too weak
    for large ones, and a factor on the output changes no relation.

    Args:
        inputs: of the students; None: the coordinates.

    Raises:
        InputError: the teacher is constant or not finite.
    """
    inputs = inputs or StudentInputs(problem, Structure.dense((len(problem.pde.coords), len(problem.pde.fields))))
    points = imitated_points(inputs, grid)
    values = inputs.network(points, teacher(points))
    spread = values.std(0)
    if not (np.isfinite(values).all() and (spread > 1e-12 * abs(values).max(0)).all()):
        raise InputError(f"teacher: nothing to imitate, its output has the standard deviations {spread.tolist()}")
    pde = (
        problem.pde.without_unknowns() if inputs.names == problem.pde.coords else pde_of_data(inputs.names, len(spread))
    )
    targets = dict(zip(pde.fields, (values / spread).T, strict=True))
    task = Problem(f"{problem.name} student", pde, inputs.box, [Data(inputs.seen(points), **targets)])
    return task, spread


def imitated_points(inputs: StudentInputs, grid: int | None = None) -> FloatArray:
    """Those of a grid of the domain at which students imitate, (N, d)."""
    points = np.array(inputs.problem.domain.grid(grid or points_per_axis(inputs.problem)))
    return np.asarray(points[inputs.is_imitated(points)])


def pde_of_data(coords: Names, n_fields: int, time: str | None = None) -> PDE:
    """Of fields of which values alone are known, u, or u1, u2, ...; no condition asks for its equation."""
    fields = ["u"] if n_fields == 1 else [f"u{number + 1}" for number in range(n_fields)]
    return PDE(coords, fields, (lambda u: u) if n_fields == 1 else (lambda u1: u1), time=time)


def train_student(task: Problem, settings: StudentSettings, seed: int, backend: str = "auto") -> Student:
    """A dense student by Gauss-Newton, first under a weak penalty; not converged yet (`converge`).

    Raises:
        KeyboardInterrupt: on Ctrl-C; a student takes seconds and is not resumed.
    """
    sizes = (len(task.pde.coords), *settings.hidden, len(task.pde.fields))
    net = MLP(sizes, seed=seed, dtype=torch.float64)
    ones = tuple(np.ones(n) for n in settings.hidden)
    full = settings.regularizer
    for regularizer, steps in (
        (replace(full, strength=_WEAK * full.strength), min(_WEAK_STEPS, settings.steps)),
        (full, settings.steps),
    ):
        loss = StudentLoss(task, net.structure, ones, regularizer, backend)
        found = gauss_newton(loss, net.theta.detach(), steps, settings.tolerance)
        with torch.no_grad():
            net.theta.copy_(found.theta)
    steps, value, gradient = found.steps, found.loss, found.gradient
    if full.kind == "growl":  # columns become equal, on kinks at which second-order steps are refused
        optimizer = LBFGS(_LBFGS * settings.steps, tolerance=settings.tolerance)
        run = minimised(task, net, optimizer, full, backend)
        value, gradient = sum(run.final_losses()), run.gradient
        steps += run.step
    square = loss.mean_square(net.theta.detach())[0]
    return Student(net, seed, value, square, gradient, steps, ones)


def converge(
    task: Problem,
    structure: Structure,
    weights: Weights,
    copies: Sequence[FloatArray],
    settings: StudentSettings,
    seed: int = 0,
    backend: str = "auto",
    *,
    hopeless: float | None = None,
) -> Student:
    """The student of a structure nearest to the given expanded weights, by Gauss-Newton and then by Newton's method.

    Args:
        hopeless: above this loss Newton's method is not tried.
    """
    loss = StudentLoss(task, structure, copies, settings.regularizer, backend)
    found = gauss_newton(loss, fitted(structure, weights), settings.steps, settings.tolerance)
    steps = found.steps
    if hopeless is None or found.loss <= hopeless:
        found = newton(loss, found.theta, _NEWTON_STEPS, settings.tolerance)
        steps += found.steps
    net = PsiMLP(structure, dtype=torch.float64)
    with torch.no_grad():
        net.theta.copy_(found.theta)
    square = loss.mean_square(found.theta)[0]
    return Student(net, seed, found.loss, square, found.gradient, steps, tuple(copies))


def fitted(structure: Structure, weights: Weights) -> torch.Tensor:
    """Least squares: every parameter the mean, signs removed, of the entries that are tied to it."""
    given = [(torch.as_tensor(weight), torch.as_tensor(bias)) for weight, bias in weights]
    uses = np.bincount(structure.expanded_plan.expansion.col, minlength=structure.n_parameters)
    return structure.expand_adjoint(given) / torch.from_numpy(uses)
