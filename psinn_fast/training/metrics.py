"""Errors against the exact solution, on grids that no training sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from ..kernels.channels import ChannelSet
from ..kernels.registry import get_backend
from ..networks import PsiMLP
from ..problem import Problem

Points = npt.NDArray[np.float64]
# Points per axis of the evaluation grid, by number of coordinates.
_RESOLUTION = {1: 4001, 2: 201, 3: 41, 4: 17}
_COARSE = {1: 501, 2: 41, 3: 13, 4: 7}

Metric = float | dict[str, float] | None
METRICS = ("relative_l2", "rmse", "mse", "max_error", "boundary_rmse")


def evaluate(net: PsiMLP, points: Points) -> Points:
    """The network at float64 points (N, d), computed in its own dtype: (N, F).

    By the kernels, not by torch: its threads go on spinning for milliseconds after a call, on the cores that the next
    training steps need.
    """
    device = net.theta.device
    x = torch.as_tensor(points, dtype=net.theta.dtype, device=device)
    value = ChannelSet.closure(net.plan.d_in, [])
    return np.asarray(get_backend("auto", device).jets(net.plan, net.theta, x, value)[:, 0].double().cpu())


def error_metrics(net: PsiMLP, problem: Problem) -> dict[str, Metric]:
    """Relative L2, RMSE, MSE and maximum error inside, RMSE on the boundary; numbers for one field, else by field name.

    relative_l2 = ||u - u*|| / ||u*||, over an `unseen_grid` of the domain. All None where no exact solution is known.
    """
    if problem.exact is None:
        return dict.fromkeys(METRICS, None)
    d = len(problem.pde.coords)
    inside, on_boundary = problem.domain.unseen_grid(_RESOLUTION[d]), problem.domain.unseen_boundary(_RESOLUTION[d])
    exact = problem.exact(inside)
    error = evaluate(net, inside) - exact
    boundary_error = evaluate(net, on_boundary) - problem.exact(on_boundary)
    mse = (error**2).mean(0)
    values = {
        "relative_l2": np.sqrt((error**2).sum(0) / (exact**2).sum(0)),
        "rmse": np.sqrt(mse),
        "mse": mse,
        "max_error": np.abs(error).max(0),
        "boundary_rmse": np.sqrt((boundary_error**2).mean(0)),
    }
    fields = problem.pde.fields
    return {
        name: float(column[0]) if len(fields) == 1 else dict(zip(fields, map(float, column), strict=True))
        for name, column in values.items()
    }


def coarse_relative_l2(problem: Problem) -> Callable[[PsiMLP], float]:
    """A cheap error for histories: relative L2 over all fields on a coarse unseen grid; NaN without exact solution."""
    if problem.exact is None:
        return lambda net: float("nan")
    points = problem.domain.unseen_grid(_COARSE[len(problem.pde.coords)])
    exact = problem.exact(points)
    norm = np.linalg.norm(exact)
    return lambda net: float(np.linalg.norm(evaluate(net, points) - exact) / norm)
