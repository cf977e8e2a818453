"""Points inside a plane domain that are denser towards its re-entrant corners, and what they weigh."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .corners import radii
from .pointset import PointSet, Region
from .quadrature import UNIFORM
from .unit import even

Points = npt.NDArray[np.float64]

# Of all points, those drawn about corners.
_SHARE = 1 / 3
# Exponent of the weights, and the part of a corner's radius within which they are the same: none is zero.
_EXPONENT, _NEAREST = 1.5, 1e-4
# Points about a corner of which those inside are counted.
_TRIED = 4096


@dataclass(frozen=True, eq=False)
class Cornered(Region):
    """The interior, of which a third of the points is drawn about re-entrant corners.

    About a corner the density is (1 - s) / s, s the distance over the corner's radius (`radii`), 0 beyond. Residuals
    are weighed by min(1, s)^(3/2), the least of all corners': a corner of interior angle omega has solutions like
    rho^lambda, lambda = pi / omega, or half of that between two kinds of conditions, which a least-squares method finds
    where squares of residuals weigh as rho^(2 beta), beta > 1 - lambda (Lee, Manteuffel & Westphal 2006, SIAM J. Numer.
    Anal. 44, 1974). Without a weight it misses them: no smooth function has nearly their residuals.
    """

    @property
    def text(self) -> str:
        return "the interior, denser towards re-entrant corners"

    @cached_property
    def _corners(self) -> Points:
        return np.asarray(self.domain.reentrant_corners())

    @cached_property
    def _radii(self) -> Points:
        return radii(self._corners, (self.domain.high - self.domain.low).tolist())

    @cached_property
    def _heights(self) -> Points:
        """(K,): by which (1 - s) / s is multiplied to be a corner's density times the domain's area."""
        held = self.domain.inside(self._about(even(_TRIED, 2))).mean()
        return np.asarray(self.domain.measure() / (len(self._corners) * math.pi * self._radii**2 * held))

    def density(self, points: Points) -> Points:
        s = self._distances(points)
        about = np.where(s < 1, (1 - s) / s, 0.0) @ self._heights
        return np.asarray(1 - _SHARE + _SHARE * about)

    def weight(self, points: Points) -> Points:
        """(N,): what the square of a residual at points (N, 2) weighs."""
        return np.asarray(np.minimum(1.0, self._distances(points).min(1)) ** _EXPONENT)

    def drawn(self, count: int, unit: Callable[[int], Points]) -> PointSet:
        n_about = round(_SHARE * count)
        kept = [self.domain.interior(count - n_about, unit)]
        while (missing := count - sum(map(len, kept))) > 0:
            tried = self._about(unit(2 * missing))
            kept.append(tried[self.domain.inside(tried)][:missing])
        return PointSet.of(np.concatenate(kept), self, layout=UNIFORM)

    def _about(self, unit: Points) -> Points:
        """Points about all corners alike: their distances s have the density 2 (1 - s), all directions the same."""
        n = len(self._corners)
        corner = np.minimum(unit[:, 0] * n, n - 1).astype(np.int64)
        s, angle = 1 - np.sqrt((unit[:, 0] * n - corner).clip(0, 1)), 2 * math.pi * unit[:, 1]
        steps = np.stack([np.cos(angle), np.sin(angle)], 1)
        return np.asarray(self._corners[corner] + (self._radii[corner] * s)[:, None] * steps)

    def _distances(self, points: Points) -> Points:
        """(N, K): s, at least a little."""
        found = np.linalg.norm(points[:, None] - self._corners, axis=2) / self._radii
        return np.asarray(np.maximum(found, _NEAREST))
