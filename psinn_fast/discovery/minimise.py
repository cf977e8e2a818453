"""Second-order minimisation of the student's loss, mean square plus penalty, to a gradient near rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels import get_backend
from ..kernels.language.regularizer import Regularizer
from ..networks.structure import Structure
from ..problem.problem import Problem
from .penalty import Penalty

FloatArray = npt.NDArray[np.float64]
# Gauss-Newton ends when so many steps together lower the loss by less than this fraction.
_WINDOW, _STALLED = 20, 3e-4
_MOST_TRIALS = 40
# Step of the forward differences that give the Hessian, and the curvature that counts as none.
_DIFFERENCE = 1e-5
_FLAT = 1e-10
# Changes of the loss below this are rounding; the gradient then decides.
_ROUNDING = 1e-13


class Minimum(NamedTuple):
    """``gradient``: its largest component; ``steps``: of both methods."""

    theta: Tensor
    loss: float
    gradient: float
    steps: int


class StudentLoss:
    """f(theta) = mean over points of |u - target|^2 + penalty, of a structure in float64 (`Penalty` has ``copies``)."""

    def __init__(
        self,
        task: Problem,
        structure: Structure,
        copies: Sequence[FloatArray],
        regularizer: Regularizer,
        backend: str = "auto",
    ) -> None:
        self._engine, self._plan = get_backend(backend), structure.plan
        self._terms, self._weights = task.terms(torch.float64), task.weights(torch.float64)
        self._penalty = Penalty(regularizer, structure, copies)
        self._none = torch.empty(0, dtype=torch.float64)

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        square, gradient = self.mean_square(theta)
        penalty, slope = self._penalty.value_and_gradient(theta)
        return square + penalty, gradient + slope

    def mean_square(self, theta: Tensor) -> tuple[float, Tensor]:
        """The first summand and its gradient."""
        found = self._engine.loss_and_gradient(self._plan, theta, self._none, self._terms, self._weights)
        return float(found.losses.sum()), found.theta

    def gauss_newton(self, theta: Tensor) -> Tensor:
        """2 J^T J / N plus the penalty's Hessian."""
        n = theta.numel()
        gram = theta.new_zeros(n + 1, n + 1)
        for term in self._terms:
            r, jacobian = self._engine.residual_jacobian(self._plan, theta, self._none, term)
            self._engine.add_gram(gram, jacobian.flatten(0, 1).mul_(math.sqrt(2 / term.n_points)), r.flatten())
        lower = gram[:n, :n]
        return self._penalty.hessian(theta, convex=True) + lower.tril() + lower.tril(-1).T

    def hessian(self, theta: Tensor) -> Tensor:
        """All of it, from forward differences of the gradient: n of them cost less than one factorisation."""
        base = self.mean_square(theta)[1]
        moved = theta + _DIFFERENCE * torch.eye(theta.numel(), dtype=theta.dtype)
        rows = torch.stack([self.mean_square(point)[1] for point in moved])
        hessian = (rows - base) / _DIFFERENCE
        return (hessian + hessian.T) / 2 + self._penalty.hessian(theta, convex=False)


def gauss_newton(loss: StudentLoss, theta: Tensor, steps: int, tolerance: float) -> Minimum:
    """Levenberg-Marquardt steps (H + damping diag H) d = -g; the damping by the gain ratio (Nielsen 1999).

    Ends where the gradient is within the tolerance or the loss stalls: with residuals this large Gauss-Newton only
    converges linearly, and `newton` is for what is left.
    """
    value, gradient = loss.value_and_gradient(theta)
    damping, growth, history, done = 1e-2, 2.0, [value], 0
    while done < steps and float(gradient.abs().max()) > tolerance:
        hessian = loss.gauss_newton(theta)
        scale = hessian.diagonal().clamp_min(1e-8 * float(hessian.diagonal().max()))
        for _ in range(_MOST_TRIALS):
            factor, failed = torch.linalg.cholesky_ex(hessian + torch.diag(damping * scale))
            gain = -1.0
            if not int(failed):
                step = -torch.cholesky_solve(gradient[:, None], factor)[:, 0]
                after, slope = loss.value_and_gradient(theta + step)
                predicted = -float(gradient @ step + step @ hessian @ step / 2)
                gain = (value - after) / predicted if predicted > 0 else -1.0
            if gain > 0:  # false for NaN
                break
            damping, growth = damping * growth, growth * 2
        else:
            break
        theta, value, gradient = theta + step, after, slope
        damping, growth = max(damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), 1e-12), 2.0
        done += 1
        history.append(value)
        if done >= _WINDOW and history[-1 - _WINDOW] - value < _STALLED * value:
            break
    return Minimum(theta, value, float(gradient.abs().max()), done)


def newton(loss: StudentLoss, theta: Tensor, steps: int, tolerance: float) -> Minimum:
    """Newton steps d = -Q (|lambda| + damping)^-1 Q^T g, with the eigenvalues and eigenvectors of the whole Hessian.

    |lambda| instead of lambda makes saddle points repel (Dauphin et al. 2014, arXiv:1406.2572). Where the gradient is
    within the tolerance but an eigenvalue is negative, the step goes along its eigenvector.
    """
    value, gradient = loss.value_and_gradient(theta)
    damping, done = 1e-6, 0
    while done < steps:
        size = float(gradient.abs().max())
        values, vectors = torch.linalg.eigh(loss.hessian(theta))
        if size <= tolerance:
            downhill = _escape(loss, theta, value, vectors[:, 0]) if float(values[0]) < -1e-6 else None
            if downhill is None:
                break
            theta, damping, done = downhill, 1e-4, done + 1
            value, gradient = loss.value_and_gradient(theta)
            continue
        slopes, growth = vectors.T @ gradient, 2.0
        for _ in range(_MOST_TRIALS):
            step = -vectors @ (slopes / (values.abs().clamp_min(_FLAT) + damping))
            after, slope = loss.value_and_gradient(theta + step)
            equal = abs(after - value) <= _ROUNDING * max(1.0, value)
            if (equal and float(slope.abs().max()) < size) or (not equal and after < value):
                break
            damping, growth = max(damping, 1e-8) * growth, growth * 2
        else:
            break
        along = vectors.T @ step
        predicted = -float(slopes @ along + (values * along) @ along / 2)
        gain = (value - after) / predicted if predicted > 0 and not equal else 1.0
        damping = max(damping * max(0.1, 1 - (2 * gain - 1) ** 3), 1e-14)
        theta, value, gradient = theta + step, after, slope
        done += 1
    return Minimum(theta, value, float(gradient.abs().max()), done)


def _escape(loss: StudentLoss, theta: Tensor, value: float, direction: Tensor) -> Tensor | None:
    """The lowest of some points along the direction, if any is lower than here."""
    points = [theta + length * direction for length in (-0.3, -0.1, -0.03, 0.03, 0.1, 0.3)]
    losses = [loss.value_and_gradient(point)[0] for point in points]
    best = int(np.argmin(losses))
    return points[best] if losses[best] < value and math.isfinite(losses[best]) else None
