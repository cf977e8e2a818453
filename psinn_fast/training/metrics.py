"""Errors against the exact solution, on grids that no training sees."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels import get_backend
from ..kernels.errors import InputError
from ..kernels.language.channels import ChannelSet
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..problems import as_problem
from .checks import check_fits
from .doubts import Errors, Metric

Points = npt.NDArray[np.float64]
# Points per axis of the evaluation grid, by number of coordinates.
_RESOLUTION = {1: 4001, 2: 201, 3: 41, 4: 17, 5: 9, 6: 6, 7: 5, 8: 4}
_COARSE = {1: 501, 2: 41, 3: 13, 4: 7, 5: 5, 6: 4, 7: 3, 8: 3}

_ERRORS = ("relative_l2", "rmse", "mse", "max_error", "boundary_rmse")
METRICS = (*_ERRORS, "part_rmse")


def evaluate(net: PsiMLP, points: Points | Tensor, backend: str = "auto") -> Points:
    """The network at float64 points (N, d), or at points in its own dtype and place, where it is computed: (N, F).

    By the kernels, not by torch: its threads go on spinning for milliseconds after a call, on the cores that the next
    training steps need.
    """
    device = net.theta.device
    x = torch.as_tensor(points, dtype=net.theta.dtype, device=device)
    value = ChannelSet.closure(net.plan.d_in, [])
    return np.asarray(get_backend(backend, device).jets(net.plan, net.theta, x, value)[:, 0].double().cpu())


class ErrorMeter:
    """`error_metrics` of several networks on one problem: the exact solution is computed once, here.

    Args:
        backend: which evaluates the networks, see `available_backends`.

    Raises:
        InputError: the exact solution fails on the grids or has a wrong shape there.
    """

    def __init__(self, problem: Problem, backend: str = "auto") -> None:
        self._backend = backend
        self._fields = problem.pde.fields
        self._grids: list[tuple[Points, Points]] = []
        self._parts: dict[str, tuple[Points, Points]] = {}
        if problem.exact is not None:
            n = _RESOLUTION[len(problem.pde.coords)]
            grids = problem.domain.unseen_grid(n), problem.domain.unseen_boundary(n)
            self._grids = [(points, _exact(problem, points)) for points in grids]
            on_parts = problem.domain.unseen_parts(n)
            self._parts = {part: (np.array(points), _exact(problem, points)) for part, points in on_parts.items()}

    def __call__(self, net: PsiMLP) -> dict[str, Metric]:
        return self.of(lambda points: evaluate(net, points, self._backend))

    def of(self, found: Callable[[Points], Points]) -> dict[str, Metric]:
        """Of any function of points (N, d) that gives (N, F)."""
        if not self._grids:
            return dict.fromkeys(METRICS, None)
        inside, on_boundary = ((found(points) - exact, exact) for points, exact in self._grids)
        columns = [
            _errors(*(part[:, field] for part in (*inside, on_boundary[0]))) for field in range(len(self._fields))
        ]
        metrics: dict[str, Metric] = {name: self._by_field([column[name] for column in columns]) for name in _ERRORS}
        metrics["part_rmse"] = self._on_parts(found)
        return metrics

    def _on_parts(self, found: Callable[[Points], Points]) -> Errors:
        """RMSE on each part of the boundary, by its name."""
        errors = {}
        for part, (points, exact) in self._parts.items():
            error = found(points) - exact
            errors[part] = self._by_field([_rmse(column) for column in error.T])
        return errors

    def _by_field(self, numbers: list[float | None]) -> Any:
        """The one number, or numbers by field name."""
        return numbers[0] if len(numbers) == 1 else dict(zip(self._fields, numbers, strict=True))


def error_metrics(net: PsiMLP, problem: Problem | str, backend: str = "auto") -> dict[str, Metric]:
    """Relative L2, RMSE, MSE and maximum error inside, RMSE on the boundary; numbers for one field, else by field name.
    "part_rmse": the RMSE on each part of the boundary, by the part's name.

    relative_l2 = ||u - u*|| / ||u*||, over an `unseen_grid` of the domain; None where u* is zero, so that only the
    absolute errors mean something. Points where the exact solution is NaN, as outside the region that it describes, are
    left out. All None where no exact solution is known.
    """
    problem = as_problem(problem)
    check_fits(problem, net)
    return ErrorMeter(problem, backend)(net)


def coarse_relative_l2(problem: Problem, backend: str = "auto") -> Callable[[PsiMLP], float]:
    """A cheap error for histories: relative L2 over all fields on a coarse unseen grid.

    NaN without an exact solution, or where it is zero.
    """
    if problem.exact is None:
        return lambda net: float("nan")
    points = problem.domain.unseen_grid(_COARSE[len(problem.pde.coords)])
    exact = _exact(problem, points)
    known, placed = ~np.isnan(exact), dict[tuple[torch.dtype, torch.device], Tensor]()

    def measure(net: PsiMLP) -> float:
        theta = net.theta
        where = theta.dtype, theta.device
        if where not in placed:  # sent to a device once, not for every row of a history
            placed[where] = torch.as_tensor(points, dtype=theta.dtype, device=theta.device)
        return _relative((evaluate(net, placed[where], backend) - exact)[known], exact[known])

    return measure


def _exact(problem: Problem, points: Points) -> Points:
    """The exact solution, NaN where it says nothing."""
    values = problem.exact_at(points)
    poles = np.isinf(values).any(1)
    if poles.any():
        first = ", ".join(f"{x:.6g}" for x in points[int(np.argmax(poles))])
        raise InputError(
            f"exact: it is infinite at {int(poles.sum())} of {len(points)} points, first at ({first}); let it return "
            "NaN where no error is to be measured"
        )
    return values


def _errors(error: Points, exact: Points, boundary_error: Points) -> dict[str, float | None]:
    """Of one field, NaN where the exact solution is not known; None where that is everywhere."""
    known = ~np.isnan(exact)
    e = error[known]
    found: dict[str, float | None] = dict.fromkeys(_ERRORS)
    if e.size:
        mse = float((e**2).mean())
        found |= {
            "relative_l2": None if math.isnan(relative := _relative(e, exact[known])) else relative,
            "rmse": float(np.sqrt(mse)),
            "mse": mse,
            "max_error": float(np.abs(e).max()),
        }
    found["boundary_rmse"] = _rmse(boundary_error)
    return found


def _rmse(error: Points) -> float | None:
    """Where it is known."""
    known = error[~np.isnan(error)]
    return float(np.sqrt((known**2).mean())) if known.size else None


def _relative(error: Points, exact: Points) -> float:
    """||error|| / ||exact||, NaN where that is 0."""
    size = np.abs(exact).max(initial=0.0)
    # Squares of what is below 1e-154 are 0.
    return float(np.linalg.norm(error / size) / np.linalg.norm(exact / size)) if size else math.nan
