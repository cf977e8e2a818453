"""What a residual meant when it was first traced: a function may read what has changed since, a global for instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..language.tracing import Traced

Points = npt.NDArray[np.float64]
# Points at which sources are compared, and their relative difference that another processor may make.
_POINTS, _SAME = 16, 1e-9


@dataclass(frozen=True, eq=False)
class Meaning:
    """A program by its digest, the sources it reads at some points, and the names of the equations.

    It can be compared in another process, where everything is traced anew.
    """

    program: str
    sources: Points
    equations: tuple[str, ...]

    @classmethod
    def of(cls, traced: Traced, sites: Sequence[Points]) -> Meaning:
        picked = np.linspace(0, len(sites[0]) - 1, _POINTS).round().astype(np.int64)
        sources = traced.columns([points[picked] for points in sites])
        return cls(traced.program.digest(), sources, traced.equations)

    @classmethod
    def anywhere(cls, traced: Traced, d: int) -> Meaning:
        """At points of all sizes, for a residual at one site that has no points of its own."""
        sizes = np.geomspace(1e-2, 1e2, _POINTS)[:, None]
        return cls.of(traced, [sizes * np.random.default_rng(0).uniform(-1, 1, (_POINTS, d))])

    def differs(self, earlier: Meaning) -> bool:
        same = self.program == earlier.program and self.equations == earlier.equations
        return not same or not same_numbers(self.sources, earlier.sources)


def same_numbers(one: Points, other: Points) -> bool:
    """Up to rounding errors of the largest; NaN and infinity are where they were."""
    size = np.abs(one[np.isfinite(one)]).max(initial=0.0)
    return one.shape == other.shape and np.allclose(one, other, rtol=_SAME, atol=_SAME * size, equal_nan=True)
