"""What lies beside points, inside of a domain and out of it: where its boundary is, for all that it says itself."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # domains ask for it
    from .domain import Domain

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def beside(domain: Domain, points: Points, slack: Points) -> tuple[Mask, Mask]:
    """(N,) both: whether any of these lies inside, and any outside: the points (N, d) themselves, and those that are
    away from them by ``slack`` (d,) in all directions, along axes and diagonals."""
    inside, outside = np.zeros((2, len(points)), bool)
    # First those that are opposite each other across most boundaries: two are enough at most points of one.
    for step in sorted(product((0, 1, -1), repeat=len(domain.coords)), key=lambda step: -abs(sum(step))):
        rest = np.flatnonzero(~(inside & outside))
        if not len(rest):
            break
        found = domain.inside(points[rest] + np.array(step) * slack)
        inside[rest] |= found
        outside[rest] |= ~found
    return inside, outside
