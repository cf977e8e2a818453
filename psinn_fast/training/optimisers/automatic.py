"""``optimizer="auto"``: which optimisers a problem and its network are given, and why."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...kernels.errors import InputError
from ...problem.problem import Problem
from ..measurement_noise import noisy_measurements
from ..points.sampling import Sampler
from ..protocol import Optimizer
from ..weighting import Weighting
from .adam import Adam
from .gauss_newton import GaussNewton
from .gauss_newton_settings import Tuning
from .lbfgs import LBFGS
from .marquardt import automatic_points

# Beyond these a step of Gauss-Newton takes more than a few seconds of two cores: unknowns, and multiply-adds of J^T J.
MOST_UNKNOWNS, _MOST_WORK = 5_000, 2.5e11
# Steps at most: of small networks, and of large ones, whose product with the unknowns is constant between.
_STEPS, _FEWEST_STEPS, _STEPS_TIMES_UNKNOWNS = 1_000, 300, 500_000
# Steps without progress after which Gauss-Newton has converged.
_PATIENCE = 100


@dataclass(frozen=True)
class Automatic:
    """What ``"auto"`` stands for.

    ``steps``: at most so many of the (last) optimiser that is chosen; None: by the number of unknowns, or of the
    recipe. ``seed``: of what it draws.
    """

    steps: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Asked:
    """What is known of a run before its optimiser is chosen. ``dtype``: None where it is left to the choice;
    ``needs_float32``: an option has no meaning in float64."""

    device: torch.device
    dtype: torch.dtype | None = None
    needs_float32: bool = False
    has_penalty: bool = False
    weighting: Weighting | None = None


@dataclass(frozen=True)
class Choice:
    """The optimisers, one after the other, and why these."""

    optimizers: tuple[Optimizer, ...]
    why: str


def choose(automatic: Automatic, problem: Problem, against: str | None, parameters: int) -> Choice:
    """Gauss-Newton where it can be taken and its steps take seconds at most, else Adam; for large networks Adam, then
    L-BFGS.

    ``against``: what `against_gauss_newton` says; ``parameters``: of the network.
    """
    if against is not None:
        return Choice((Adam(automatic.steps),), against)
    unknowns = parameters + len(problem.pde.unknown)
    large = _too_large(problem, unknowns)
    if large is not None:
        last = LBFGS() if automatic.steps is None else LBFGS(automatic.steps)
        return Choice((Adam(), last), large)
    steps = automatic.steps
    if steps is None:
        steps = max(_FEWEST_STEPS, min(_STEPS, _STEPS_TIMES_UNKNOWNS // max(1, unknowns)))
    newton = GaussNewton(steps, seed=automatic.seed, tuning=Tuning(patience=_PATIENCE))
    return Choice((newton,), f"{unknowns:,} unknowns, float64 on the CPU")


def against_gauss_newton(problem: Problem, asked: Asked) -> str | None:
    """Why it is not taken, whatever the network's size; None: it may be."""
    if asked.has_penalty:
        return "a weight penalty is no sum of squares of residuals, as Gauss-Newton needs"
    if asked.weighting is not None:
        try:
            GaussNewton().weighed_by(asked.weighting)
        except InputError:
            return f"the weighting {asked.weighting.name!r} is none that Gauss-Newton takes"
    if asked.device.type != "cpu":
        return f"the network is on {asked.device}, and Gauss-Newton needs float64, which GPUs are slow with"
    if asked.needs_float32 or asked.dtype == torch.float32:
        return "float32 was asked for, and Gauss-Newton needs float64"
    noisy = noisy_measurements(problem)
    if noisy:
        found = ", ".join(f"{name} by {100 * noise:.2g} %" for name, noise in noisy.items())
        return f"measurements scatter ({found}), and Gauss-Newton would fit their noise"
    return None


def _too_large(problem: Problem, unknowns: int) -> str | None:
    if unknowns > MOST_UNKNOWNS:
        return f"{unknowns:,} unknowns are more than Gauss-Newton has quick steps for"
    terms = problem.terms(torch.float64, torch.device("cpu"))
    points = Sampler(problem, terms, automatic_points(unknowns), 0).counts
    rows = sum(
        term.program.n_residuals * (count if term.quadrature is None else 1)
        for term, count in zip(terms, points, strict=True)
    )
    if rows * unknowns**2 / 2 > _MOST_WORK:
        return f"{rows:,} residuals of {unknowns:,} unknowns are more than Gauss-Newton has quick steps for"
    return None
