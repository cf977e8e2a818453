"""What a residual meant when it was first traced: a function may read what has changed since, a global for instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .bounds import Interval
from .tracing import Traced

if TYPE_CHECKING:  # it imports conditions, which import this module
    from .pde import PDE

Points = npt.NDArray[np.float64]
# Points at which sources are compared, and their relative difference that another processor may make.
_POINTS, _SAME = 16, 1e-9


@dataclass(frozen=True, eq=False)
class Meaning:
    """A program by its digest, and the sources it reads at some of a condition's points, for a PDE and its bounds.

    It can be compared in another process, where everything is traced anew.
    """

    pde: PDE
    bounds: Mapping[str, Interval] = field(repr=False)
    program: str
    sources: Points

    @classmethod
    def of(cls, traced: Traced, pde: PDE, bounds: Mapping[str, Interval], sites: Sequence[Points]) -> Meaning:
        picked = np.linspace(0, len(sites[0]) - 1, _POINTS).round().astype(np.int64)
        return cls(pde, bounds, traced.program.digest(), traced.columns([points[picked] for points in sites]))

    def differs(self, earlier: Meaning) -> bool:
        """Whether the same function of the same PDE was something else earlier; other PDEs and bounds may differ."""
        if self.pde is not earlier.pde or self.bounds != earlier.bounds:
            return False
        return self.program != earlier.program or not same_numbers(self.sources, earlier.sources)


def same_numbers(one: Points, other: Points) -> bool:
    """Up to rounding errors of the largest; NaN and infinity are where they were."""
    size = np.abs(one[np.isfinite(one)]).max(initial=0.0)
    return one.shape == other.shape and np.allclose(one, other, rtol=_SAME, atol=_SAME * size, equal_nan=True)
