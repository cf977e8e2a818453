"""The point that symmetries of a domain leave where it is, found from its boundary where its bounds are loose.

A signed permutation that takes a domain to itself takes its tightest bounds to themselves, so that it leaves their
centre where it is: whatever the shape, there is no need to look elsewhere. Only a user's class may give looser bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..kernels.errors import InputError
from ..networks.groups import SignedPermutation, maps_of_box
from .unit import OFFSET, even

if TYPE_CHECKING:  # domains ask for their centre
    from .domain import Domain

Points = npt.NDArray[np.float64]

# Points at which maps are tried, inside and on each part.
_TRIED, _TRIED_ON_PARTS = 1024, 64
# Points of a part among which its farthest ones are looked for; centres are one that differ by this part of the bounds.
_FARTHEST, _ONE = 513, 1e-9
# How near to the boundary maps take it, of the bounds: float32.
_ON = 1e-6


def centre_of(domain: Domain) -> Points:
    """The centre of the bounds, or of what the parts of the boundary span, about whichever more maps are found."""
    middle = np.asarray((domain.low + domain.high) / 2)
    try:
        others = [own for own in _spanned(domain) if (abs(own - middle) > _ONE * (domain.high - domain.low)).any()]
        return max([middle, *others], key=lambda centre: len(maps_about(domain, centre))) if others else middle
    except InputError:  # what is wrong with a user's class is said where a problem is made of it
        return middle


def maps_about(domain: Domain, centre: Points) -> tuple[SignedPermutation, ...]:
    """The signed permutations about a point that take the domain to itself, but for the identity."""
    d, reach = len(domain.coords), float((domain.high - domain.low).max()) / 2
    within = reach * (2 * even(_TRIED, d) - 1)
    is_inside = domain.inside(centre + within)
    parts = [domain.surface(part, even(_TRIED_ON_PARTS, d - 1, OFFSET))[0] for part in domain.parts]
    edge = np.concatenate([np.empty((0, d)), *parts])
    return tuple(
        g
        for g in maps_of_box([1.0] * d)
        if np.array_equal(domain.inside(centre + g(within)), is_inside)
        and domain.on_boundary(centre + g(edge - centre), _ON).all()
    )


def _spanned(domain: Domain) -> list[Points]:
    """Of the boundary's parts together: of curves by parabolas through their farthest points; by points alone."""
    if not domain.parts:
        return []
    low, high = np.array([domain.extent(part) for part in domain.parts]).swapaxes(0, 1)
    found = [(low.min(0) + high.max(0)) / 2]
    if len(domain.coords) == 2:
        steps = np.linspace(0, 1, _FARTHEST)[:, None]
        curves = [domain.surface(part, steps)[0] for part in domain.parts]
        lowest, highest = (np.array([_farthest(sign * curve) for curve in curves]) for sign in (-1.0, 1.0))
        found.insert(0, (highest.max(0) - lowest.max(0)) / 2)
    return found


def _farthest(curve: Points) -> Points:
    """(2,): the largest of each coordinate of a curve's points (m, 2), between them where they are smooth."""
    found = np.asarray(curve.max(0))
    for axis, row in enumerate(curve.argmax(0)):
        if 0 < row < len(curve) - 1:
            before, top, after = curve[row - 1 : row + 2, axis]
            bend = 2 * top - before - after
            found[axis] += (after - before) ** 2 / (8 * bend) if bend > 0 else 0.0
    return found
