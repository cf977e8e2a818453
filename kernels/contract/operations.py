"""What operations take and give: terms of a loss, losses with their gradients, reports of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from ..errors import InputError
from ..language.program import Program


@dataclass(frozen=True)
class Term:
    """One term of the loss: the mean over its rows of the sum over its residuals of r^2.

    Every point is a row, or all of them are one: sum_i q_i r(x_i), q the weights of a quadrature rule.

    Args:
        name: what histories and error messages call it.
        program: the residuals and their adjoint.
        points: (n_sites, N, d).
        columns: (N, n_columns), the program's given numbers per point.
        quadrature: (N,), q; None: every point is a row.
    """

    name: str
    program: Program
    points: Tensor
    columns: Tensor
    quadrature: Tensor | None = None

    def __post_init__(self) -> None:
        self.check_sizes()

    def check_sizes(self) -> None:
        """Asked before every operation: tensors may be given other memory, ``term.points.data = ...``.

        Raises:
            InputError: they do not fit the program, or each other.
        """
        n_sites, n_inputs = self.program.n_sites, self.program.channels.n_inputs
        shape = tuple(self.points.shape)
        if len(shape) != 3 or (shape[0], shape[2]) != (n_sites, n_inputs) or shape[1] < 1:
            raise InputError(f"term {self.name!r}: points: expected shape ({n_sites}, N >= 1, {n_inputs}), got {shape}")
        if tuple(self.columns.shape) != (shape[1], self.program.n_columns):
            raise InputError(
                f"term {self.name!r}: columns: expected shape ({shape[1]}, {self.program.n_columns}), "
                f"got {tuple(self.columns.shape)}"
            )
        if self.quadrature is not None and tuple(self.quadrature.shape) != (shape[1],):
            raise InputError(
                f"term {self.name!r}: quadrature: expected shape ({shape[1]},), got {tuple(self.quadrature.shape)}"
            )

    @property
    def n_points(self) -> int:
        return self.points.shape[1]

    @property
    def n_rows(self) -> int:
        """Of its residuals: one for each point, or one for all."""
        return self.n_points if self.quadrature is None else 1

    @property
    def pointwise(self) -> Term:
        """The term in which every point is a row."""
        return self if self.quadrature is None else replace(self, quadrature=None)

    def part(self, rows: slice) -> Term:
        """The term at some of its points only: their mean square is its loss, or their part of the sum its row. The
        term itself if these are all."""
        if rows.step is None and not rows.start and (rows.stop is None or rows.stop >= self.n_points):
            return self
        quadrature = None if self.quadrature is None else self.quadrature[rows]
        return replace(self, points=self.points[:, rows], columns=self.columns[rows], quadrature=quadrature)


def total_loss(losses: Sequence[float], weights: Sequence[float]) -> float:
    """sum_t weight_t * loss_t. Terms of weight 0 do not count: their loss may be NaN, or not have been computed."""
    return float(sum(weight * loss for loss, weight in zip(losses, weights, strict=True) if weight))


class LossAndGradient(NamedTuple):
    """``losses`` (T,): each term's mean of squares over its rows, unweighted; ``penalty`` (): the regulariser's value.

    The gradients are those of sum_t weight_t * losses_t + penalty.
    """

    losses: Tensor
    penalty: Tensor
    theta: Tensor
    coefficients: Tensor


class PulledBack(NamedTuple):
    """J^T s, J the Jacobian of a term's residuals, for theta (P,), the coefficients (K,) and, if asked, the points.

    ``points`` (n_sites, N, d): as far as the network reads them; what else a program makes of coordinates counts as
    given. ``residuals`` (n_rows, m): if asked, the residuals themselves, unweighted.
    """

    theta: Tensor
    coefficients: Tensor
    points: Tensor | None
    residuals: Tensor | None


class TrainReport(NamedTuple):
    """``losses`` (steps done, T + 1) on the CPU: every term, then the penalty, each *before* that step's update.

    ``failure``: None, or the index of the term that was not finite (T: the penalty, T + 1: the gradient). The state is
    then the last one whose losses and gradient were finite, one step back, also where that lies in an earlier call.
    """

    losses: Tensor
    failure: int | None
