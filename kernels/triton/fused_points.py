"""The first kernel of a training step: what all terms do with their points, in one launch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .functions import IS_INTERPRETED
from .layout import Layout
from .point_kernel import Gather, PointKernel, Weights
from .schedule import Schedule, TermGroup


class FusedPoints:
    """One generated kernel, its tables and its tiles: see `training.PointsOfStep`."""

    graph_steps = 50
    # Few: what costs the second kernel is to wait for memory. In the interpreter programs run one after another.
    update_block = 32 if IS_INTERPRETED.value else 8

    def __init__(
        self,
        layout: Layout,
        weights: Weights,
        kernel: PointKernel,
        groups: Sequence[TermGroup],
        schedule: Schedule,
        like: Tensor,
        n_unknown: int,
    ) -> None:
        self._layout, self.weights, self.kernel = layout, weights, kernel
        self._groups, self._schedule = groups, schedule
        self._n_packed, self._n_unknown = layout.n_packed, n_unknown
        self.row, self.n_programs = kernel.row, schedule.n_programs
        self.owners, self.scales = schedule.owners, schedule.scales
        # Where w is not linear in theta, torch leads gradients back.
        self.is_summed_by_torch = layout.reads_w
        self.back = _with_unknown(weights.back, layout.n_packed, n_unknown)
        self.scatter = _without_unknown(weights.scatter, n_unknown)
        self._w = like.new_zeros(layout.plan.expansion.shape[0] if layout.reads_w else layout.plan.n_parameters)
        self.tiles = weights.tiles(self._w)
        self._data = self._points_and_columns(like)

    def weigh(self, weights: Tensor) -> None:
        self._schedule.weigh(weights)

    def refresh(self) -> bool:
        moved = [group.refresh() for group in self._groups]
        if any(moved):
            self._data = self._points_and_columns(self._w)
        return any(moved)

    def prepare(self, theta: Tensor) -> None:
        if not self._layout.reads_w:
            self._tile(theta)

    def run(self, theta: Tensor, unknown: Tensor, partials: Tensor, state: Tensor) -> None:
        source = self._tile(theta) if self._layout.reads_w else theta
        schedule = self._schedule
        self.kernel(
            source, self.tiles, unknown, partials, schedule.table, schedule.factors, state, self._data, counts=True
        )

    def summed(self, partials: Tensor) -> tuple[Tensor, Tensor]:
        total = partials.sum(0)
        w_bar = self.weights.back.apply(total[: self._n_packed])
        return self._layout.plan.pull_back(self._w, w_bar), total[self._n_packed : -1].clone()

    def _tile(self, theta: Tensor) -> Tensor:
        """Write the tiles of theta; what they are made of."""
        source = self._w.copy_(self._layout.plan.expand(theta)) if self._layout.reads_w else theta
        self.weights.write_tiles(source, self.tiles)
        return source

    def _points_and_columns(self, like: Tensor) -> list[tuple[Tensor, Tensor, int]]:
        """Of all groups. A pointer is needed even where nothing is read."""
        return [
            (group.points.tensor, group.columns.tensor if group.program.n_columns else like, group.n_points)
            for group in self._groups
        ]


def _without_unknown(scatter: Gather, n_unknown: int) -> Gather:
    """The unknown coefficients stand in no tile."""
    none = scatter.rows.new_zeros(scatter.terms, n_unknown)
    return Gather(torch.cat([scatter.rows, none], 1), torch.cat([scatter.factors, none.to(scatter.factors)], 1))


def _with_unknown(back: Gather, n_packed: int, n_unknown: int) -> Gather:
    """The unknown coefficients' gradients follow the packed weights' in ``partials``, one entry each."""
    rows = back.rows.new_zeros(back.terms, n_unknown)
    rows[0] = torch.arange(n_packed, n_packed + n_unknown, dtype=rows.dtype, device=rows.device)
    factors = back.factors.new_zeros(back.terms, n_unknown)
    factors[0] = 1
    return Gather(torch.cat([back.rows, rows], 1).contiguous(), torch.cat([back.factors, factors], 1).contiguous())
