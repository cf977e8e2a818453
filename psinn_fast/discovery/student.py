"""The student: a dense network that imitates the teacher under a weight penalty, converged until it is crisp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from ..conditions import Data
from ..kernels.errors import InputError
from ..kernels.regularizer import Regularizer
from ..networks import PsiMLP, TanhMLP
from ..problem import Problem
from ..training.lbfgs import polish
from ..training.loop import Schedule, fit

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StudentSettings:
    """How students are trained.

    Args:
        hidden: hidden layer sizes.
        regularizer: the weight penalty. The paper's is 1e-3 * sum of Frobenius norms on the teacher's output as it is;
            here the output is scaled to unit variance, for which 3e-3 is the same strength on its Laplace problem.
        grid: imitation points per axis.
        steps, lr: Adam first, the rate dropping to a tenth at 60% and again at 85% of the steps.
        starts: independent students, of seeds 0, 1, ...; the one of lowest loss is read.
        iterations: L-BFGS iterations at most, in float64.
        tolerance: L-BFGS ends where no component of the gradient is larger.

    Adam alone leaves the clusters blurred; L-BFGS afterwards is what makes them crisp (docs/discovery.md).
    """

    hidden: tuple[int, ...] = (8, 8, 8)
    regularizer: Regularizer = field(default_factory=lambda: Regularizer("l2", 3e-3))
    grid: int = 31
    steps: int = 5_000
    lr: float = 3e-3
    starts: int = 3
    iterations: int = 15_000
    tolerance: float = 1e-7

    def __post_init__(self) -> None:
        if not self.hidden or any(n < 1 for n in self.hidden):
            raise InputError(f"hidden: expected positive sizes of at least one hidden layer, got {list(self.hidden)}")
        for name, smallest in (("grid", 2), ("steps", 0), ("starts", 1), ("iterations", 0)):
            if getattr(self, name) < smallest:
                raise InputError(f"{name}: expected an integer >= {smallest}, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class Student:
    """A trained student, float64. ``loss``: imitation mean square (of the scaled target) plus penalty."""

    net: PsiMLP
    seed: int
    loss: float
    gradient: float
    iterations: int

    @property
    def weights(self) -> list[tuple[FloatArray, FloatArray]]:
        with torch.no_grad():
            return [(w.numpy(), b.numpy()) for w, b in self.net.structure.expand(self.net.theta)]


def imitation(problem: Problem, teacher: Callable[[FloatArray], FloatArray], grid: int) -> tuple[Problem, FloatArray]:
    """The student's problem: match the teacher on a grid, every field scaled to unit variance; and the scales (F,).

    Without the scaling the penalty would be too strong for small solutions and too weak for large ones; a factor on
    the output changes no relation.

    Raises:
        InputError: the teacher is constant or not finite.
    """
    points = problem.domain.grid(grid)
    values = teacher(points)
    spread = values.std(0)
    if not (np.isfinite(values).all() and (spread > 1e-12).all()):
        raise InputError(f"teacher: nothing to imitate, its output has the standard deviations {spread.tolist()}")
    targets = dict(zip(problem.pde.fields, (values / spread).T, strict=True))
    pde = problem.pde.without_unknowns()
    return Problem(f"{problem.name} student", pde, problem.domain, [Data(points, **targets)]), spread


def train_student(task: Problem, settings: StudentSettings, seed: int, backend: str, progress: bool) -> Student:
    """Adam in float32, then L-BFGS in float64.

    Raises:
        KeyboardInterrupt: on Ctrl-C; a student takes seconds and is not resumed.
        DivergedError: see `fit`.
    """
    sizes = (len(task.pde.coords), *settings.hidden, len(task.pde.fields))
    net = TanhMLP(sizes, seed=seed, dtype=torch.float32)
    milestones = (int(0.6 * settings.steps), int(0.85 * settings.steps))
    schedule = Schedule(settings.steps, settings.lr, milestones)
    fit(
        task, net, schedule, backend=backend, regularizer=settings.regularizer, progress=progress,
        title=f"student {seed + 1} of {settings.starts}",
    )  # fmt: skip
    return converge(task, net.double(), settings, seed, backend, progress)


def converge(task: Problem, net: PsiMLP, settings: StudentSettings, seed: int, backend: str, progress: bool) -> Student:
    """L-BFGS from the network's present weights."""
    found = polish(
        task, net, settings.iterations, tolerance=settings.tolerance, regularizer=settings.regularizer,
        backend=backend, progress=progress, title=f"student {seed + 1} L-BFGS",
    )  # fmt: skip
    if found.interrupted:
        raise KeyboardInterrupt
    return Student(net, seed, found.loss, found.gradient, found.iterations)
