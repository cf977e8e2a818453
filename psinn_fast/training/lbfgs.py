"""L-BFGS on the fused loss: SciPy's L-BFGS-B without bounds of its own, in float64, where it does not stall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from ..kernels import checks, get_backend
from ..kernels.regularizer import Regularizer
from ..networks import PsiMLP
from ..problem import Problem
from ..problems import as_problem
from ..scaling import as_trained
from .interrupt import InterruptFlag
from .point_orbits import one_point_per_orbit
from .progress import TrainingProgress
from .result import check_fits, check_regularizer, check_trainable

# History length: 10, SciPy's default, needs several times as many iterations on these losses.
_MEMORY = 50


class Polished(NamedTuple):
    """``loss``: weighted total at the end; ``gradient``: its largest component; ``interrupted``: by which signal."""

    loss: float
    gradient: float
    iterations: int
    interrupted: int | None


def polish(
    problem: Problem | str,
    net: PsiMLP,
    iterations: int,
    *,
    coefficients: Mapping[str, float] | None = None,
    tolerance: float = 1e-7,
    regularizer: Regularizer | None = None,
    backend: str = "auto",
    progress: bool = False,
    title: str = "L-BFGS",
    scaling: str | None = "auto",
) -> Polished:
    """Minimise the problem's loss from the network's present weights; ``net`` keeps its dtype and gets the result.

    Args:
        iterations: at most.
        coefficients: where the unknown ones start; None: where the problem says. They are optimised along.
        tolerance: ends where no component of the gradient is larger.
        scaling: as for `fit`.
    """
    problem = as_problem(problem)
    check_fits(problem, net)
    check_trainable(net)
    check_regularizer(regularizer, net, is_newton=False)
    tolerance = checks.number("tolerance", tolerance, least=0)
    iterations = checks.integer("iterations", iterations, 0)
    problem = as_trained(problem, net, scaling)
    engine = get_backend(backend)
    terms = one_point_per_orbit(problem, net, problem.terms(torch.float64), engine)
    unknown = torch.tensor(problem.unknowns.start(coefficients), dtype=torch.float64)
    n_theta, weights = net.theta.numel(), problem.weights(torch.float64)

    def objective(x: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        both = torch.from_numpy(x)
        result = engine.loss_and_gradient(net.plan, both[:n_theta], both[n_theta:], terms, weights, regularizer)
        total = problem.total_loss(result.losses.tolist()) + float(result.penalty)
        return total, torch.cat([result.theta, result.coefficients]).numpy()

    start = torch.cat([net.theta.detach().double().cpu(), unknown]).numpy()
    if iterations == 0:  # SciPy would make one
        loss, gradient = objective(start)
        return Polished(loss, float(np.abs(gradient).max()), 0, None)
    with InterruptFlag() as interrupt, TrainingProgress(title, iterations, progress) as bar:
        done = 0

        # SciPy recognises this signature by the argument's name.
        def watch(intermediate_result: object) -> None:
            nonlocal done
            done += 1
            if interrupt.raised:
                raise StopIteration
            if done % 20 == 0:
                bar.update(done, f"loss {getattr(intermediate_result, 'fun', np.nan):.4e}")

        options = {
            "maxcor": _MEMORY,
            "maxiter": iterations,
            "maxfun": 2 * iterations + 10,
            "ftol": 0.0,
            "gtol": tolerance,
        }
        found = minimize(objective, start, jac=True, method="L-BFGS-B", callback=watch, options=options)
    with torch.no_grad():
        net.theta.copy_(torch.from_numpy(found.x[:n_theta]))
    return Polished(float(found.fun), float(np.abs(found.jac).max()), int(found.nit), interrupt.signal)
