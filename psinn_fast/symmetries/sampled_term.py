"""A term of a problem at points where its residuals are compared with those of other terms."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import cKDTree

from ..kernels.errors import InputError
from ..kernels.language.channels import Channel, Laplacian, MultiIndex
from ..kernels.language.torch_program import torch_program
from ..language.tracing import Traced
from ..problem.conditions import Condition
from ..problem.given_columns import ROOT, columns_of, known_anywhere, normal_column
from ..problem.problem import Problem

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Jets = dict[MultiIndex, FloatArray]
# Points of a term at which its equation is compared; with measurements or boundary values, every point up to `_MOST`.
_FEW, _MOST = 400, 4096
# Points with one given value stand for a region only where their gaps are smaller than this part of the domain.
_DENSE = 0.05
# A mapped point lies in the region of a term's points if it is at most this many of their largest gaps away from one.
GAPS = 2.0
# Of the largest weight of an integral's points: the same.
_SAME_WEIGHT = 1e-9


class SampledTerm:
    """A condition at the points where it is compared, with what evaluates its residuals."""

    def __init__(self, problem: Problem, condition: Condition, traced: Traced, rng: np.random.Generator) -> None:
        self.name, self.program = condition.name, traced.program
        # Weights say how errors count, not what holds.
        given = {name: np.ones_like(own) if name == ROOT else own for name, own in condition.columns.items()}
        self.has_values = bool(given.keys() - {ROOT})
        self._computed = traced.columns
        self._all = np.stack(condition.sites)
        self._given = np.stack([*given.values()], 1) if given else None
        domain = problem.domain
        is_constant = self._given is not None and bool((self._given == self._given[0]).all())
        self.is_dense = 0 < self.gap <= _DENSE * float(np.linalg.norm(domain.high - domain.low))
        self._targets, self.normals = condition.targets, _normals(condition)
        # A box's points have counterparts on its other side; points of other regions need not.
        regions = [region for region in condition.regions if region is not None and not region.domain.is_box]
        self.is_known = len(regions) == len(condition.sites) and known_anywhere(condition.targets, np.empty(0))
        self.stands_for_region = not self.has_values or (is_constant and self.is_dense) or self.is_known
        # Of an integral; its points stand for a region where they brought their weights along.
        self.quadrature = condition.quadrature
        self.stands_for_region &= self.quadrature is None or condition.regions[0] is not None
        self._residuals = torch_program(traced.program).residuals
        self.n_sites, n, _ = self._all.shape
        most = _MOST if self.has_values else _FEW
        self.picked = np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))

    @property
    def points(self) -> FloatArray:
        """Those compared, (n_sites, n, d)."""
        return self._all[:, self.picked]

    @cached_property
    def tree(self) -> cKDTree:
        """All points, those of several sites side by side."""
        return cKDTree(np.concatenate(list(self._all), axis=1))

    @cached_property
    def gap(self) -> float:
        """Largest distance between a point and the next other one."""
        points = np.unique(self.tree.data, axis=0)
        if len(points) < 2:
            return 0.0
        return float(cKDTree(points).query(points, k=2)[0][:, 1].max())

    def is_image_of(self, other: SampledTerm, g: Callable[[FloatArray], FloatArray], same: float) -> bool:
        """Whether the sum over these points is the one over the other integral's points, mapped by ``g``.

        Over regions, where each of these points lies near a mapped one (the reverse is seen point by point); else where
        the points are the same, to ``same``, and weigh the same.
        """
        assert self.quadrature is not None
        assert other.quadrature is not None
        mapped = g(other._all[0])
        if self.stands_for_region and other.stands_for_region:
            reach = max(same, GAPS * max(self.gap, other.gap))
            return bool((cKDTree(mapped).query(self._all[0])[0] <= reach).all())
        distance, numbers = self.tree.query(mapped)
        if len(mapped) != len(self._all[0]) or not (distance <= same).all():
            return False
        ours, theirs = (q / q.sum() for q in (self.quadrature[numbers], other.quadrature))
        return bool((abs(ours - theirs) <= _SAME_WEIGHT * abs(theirs).max()).all())

    def at(self, numbers: IntArray, jets: Jets, coefficients: FloatArray) -> FloatArray:
        """Residuals (n, m) at own points, by number."""
        points = self._all[:, numbers]
        given = None if self._given is None else self._given[numbers]
        return self._evaluate(points, given, jets, coefficients)

    def anywhere(
        self, points: FloatArray, normals: FloatArray | None, jets: Jets, coefficients: FloatArray
    ) -> FloatArray:
        """Residuals (n, m) at any points, with their ``normals`` (n, d), for terms that stand for a region. NaN where
        normals are not known, or a function is not."""
        n = points.shape[1]
        given = None if self._given is None else np.broadcast_to(self._given[0], (n, self._given.shape[1]))
        if self.is_known and given is not None:
            try:
                columns = columns_of(points[0], normals, self._targets, self.name)
            except InputError:
                return np.full((n, self.program.n_residuals), np.nan)
            given = np.stack([np.ones(n) if name == ROOT else column for name, column in columns.items()], 1)
        return self._evaluate(points, given, jets, coefficients)

    def _evaluate(
        self, points: FloatArray, given: FloatArray | None, jets: Jets, coefficients: FloatArray
    ) -> FloatArray:
        computed = self._computed(list(points))
        columns = computed if given is None else np.concatenate([given, computed], 1)
        stacked = np.stack([_channel(jets, channel) for channel in self.program.channels.channels], 1)
        values = self._residuals(*(torch.from_numpy(a) for a in (stacked, points, columns, coefficients)))
        n = points.shape[1]
        return np.stack([np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)) for value in values], 1)


def _normals(condition: Condition) -> FloatArray | None:
    """(N, d), where a condition has any."""
    names = [normal_column(axis) for axis in range(condition.sites[0].shape[1])]
    return np.stack([condition.columns[name] for name in names], 1) if names[0] in condition.columns else None


def _channel(jets: Jets, channel: Channel) -> FloatArray:
    if not isinstance(channel, Laplacian):
        return jets[channel]
    d = len(next(iter(jets)))
    return np.asarray(sum(jets[tuple(2 * (axis == i) for i in range(d))] for axis in channel.axes))
