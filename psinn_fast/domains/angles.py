"""How much of the directions from a point lead into a domain: all inside, half of them on a smooth boundary."""

from __future__ import annotations

from functools import cache
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # domains ask for these shares
    from .domain import Domain

Points = npt.NDArray[np.float64]

# Of the bounds: how far along each direction is looked.
_STEP = 1e-5
# The lengths of a direction's components along the axes, in some order: no two of a ratio that shapes have.
_COMPONENTS = (1.0, 0.4142, 0.1716, 0.0711)


def shares_inside(domain: Domain, points: Points) -> Points:
    """(N,): of the directions from points (N, d) the share that leads inside; 1/4 at a corner of a rectangle."""
    found = np.zeros(len(points))
    if not len(points):
        return found
    directions = _directions(len(domain.coords)) * _STEP * (domain.high - domain.low)
    for direction in directions:
        found += domain.inside(points + direction)
    return np.asarray(found / len(directions))


@cache
def _directions(d: int) -> Points:
    """(2^d d!, d): all orders and signs of the components, so that no axis, diagonal or sign is preferred."""
    signs = np.array(list(product((1.0, -1.0), repeat=d)))
    found = np.concatenate([signs * np.array(order) for order in permutations(_COMPONENTS[:d])])
    found.flags.writeable = False
    return found
