"""Points inside a domain that are denser towards a part of its boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError
from .pointset import PointSet, Region
from .quadrature import UNIFORM
from .unit import even, refuse_too_many, sobol

if TYPE_CHECKING:  # domains make these point sets
    from .domain import Domain

Points = npt.NDArray[np.float64]

# By default points are denser within this part of the longest side of the bounds.
_REACH = 0.1
# They are less than so many times as dense: of as many points that are tried one may be left.
_MOST = 10_000.0
# Multiples of this, modulo 1, are as even as one sequence can be; Sobol points are of other ones.
_GOLDEN = 0.6180339887498949
_AT_ONCE = 1 << 18
# Points of a part of a plane domain from which distances are measured; in space there are four times as many.
_NEARBY = 1 << 12


@dataclass(frozen=True, eq=False)
class Graded(Region):
    """The interior, of which points are drawn with a density of 1 + (ratio - 1) exp(-s / reach), up to a factor, at the
    distance s from the part ``towards``."""

    towards: str = ""
    ratio: float = 1.0
    reach: float = 1.0

    @property
    def text(self) -> str:
        return f"the interior, denser towards {self.towards}"

    def density(self, points: Points) -> Points:
        """(N,), from 1 far away to ``ratio`` at the part."""
        return np.asarray(1 + (self.ratio - 1) * np.exp(-self.domain._distances(points, self.towards) / self.reach))

    def drawn(self, count: int, unit: Callable[[int], Points]) -> PointSet:
        """Of even points of the interior those are kept whose density is above an even sequence of numbers."""
        kept, tried = np.empty((0, len(self.coords))), 0
        while len(kept) < count:
            wanted = count - len(kept)
            more = wanted * (tried / len(kept) if len(kept) else 2)
            points = self.domain.interior(min(int(1.1 * more) + 1, _AT_ONCE), unit)
            bars = (tried + np.arange(len(points)) + 0.5) * _GOLDEN % 1 * self.ratio
            kept, tried = np.concatenate([kept, points[bars < self.density(points)]]), tried + len(points)
        return PointSet.of(kept[:count], self, layout=UNIFORM)


def graded(domain: Domain, n: int, seed: int, part: str, ratio: float, reach: float | None) -> PointSet:
    """`Domain.graded`.

    Raises:
        InputError: no such part, a ratio below 1 or of 10,000 and more, a reach that is not positive and finite.
    """
    n, seed = checks.integer("n", n, 1), checks.seed("seed", seed)
    refuse_too_many(n)
    if part is None:
        raise InputError(f"part: expected one of {list(domain.parts)}, got None")
    domain._some_parts(part)
    most = checks.number("ratio", ratio, least=1, below=_MOST)
    far = _REACH * domain._longest_side(part) if reach is None else checks.number("reach", reach, above=0)
    return Graded(domain, (), part, most, far).drawn(n, sobol(len(domain.coords), np.random.default_rng(seed)))


def distances(domain: Domain, points: Points, part: str) -> Points:
    """(N,): from some thousand points of a part."""
    from scipy.spatial import cKDTree  # takes a while to import, and few need it

    d = len(domain.coords)
    near = domain.surface(part, even(_NEARBY if d < 3 else 4 * _NEARBY, d - 1))[0]
    return np.asarray(cKDTree(near).query(points)[0])
