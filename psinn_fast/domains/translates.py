"""Regions that are each other's translates, as the two sides of a periodic condition are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .pointset import Region
from .unit import sobol

Points = npt.NDArray[np.float64]

# Of the bounds: points that differ by less are one.
_SAME = 1e-6
# Points of the one region that are looked for in the other. How near some thousand points of a part are to each of its
# own, of its domain's longest side; how well sizes are known.
_PROBES, _NEAR, _SIZE = 64, 0.02, 1e-3


def step_of(regions: Sequence[Region], sites: Sequence[Points]) -> Points | None:
    """(d,): what each point of one site (N, d) is moved by to be the partner of its row; None where they differ."""
    steps = sites[1] - sites[0]
    step = np.median(steps, axis=0)
    same = [(abs(steps - step) <= _SAME * (own.domain.high - own.domain.low)).all() for own in regions]
    return np.asarray(step) if all(same) else None


def common_step(regions: Sequence[Region], sites: Sequence[Points]) -> Points | None:
    """(d,): by which one region, and each of its points, is moved to be the other and the partner of its row; None
    where there is no such step, and so other points of the one have no known partners."""
    step = step_of(regions, sites)
    return step if step is not None and are_translates(regions[0], regions[1], step) else None


def step_to(one: Region, other: Region) -> Points | None:
    """(d,): by which ``one`` is moved to be the ``other``; None where no translation does that."""
    step = _lowest(other) - _lowest(one)
    return step if are_translates(one, other, step) else None


def are_translates(one: Region, other: Region, step: Points) -> bool:
    """Whether ``one``, moved by ``step``, is the ``other``: their sizes, and points of each lie in the other.

    Interiors are only told from each other where both are boxes.
    """
    if len(one.coords) != len(other.coords) or one.is_solid != other.is_solid:
        return False
    if one.is_solid:
        ends = [(own.domain.low, own.domain.high) for own in (one, other)]
        slack = _SAME * (ends[0][1] - ends[0][0])
        is_plain = all(type(own) is Region and own.domain.is_box for own in (one, other))
        return is_plain and all((abs(b - a - step) <= slack).all() for a, b in zip(*ends, strict=True))
    sizes = [sum(own.domain.measure(part) for part in own.parts) for own in (one, other)]
    if abs(sizes[1] - sizes[0]) > _SIZE * sizes[0]:
        return False
    return _lies_on(one, step, other) and _lies_on(other, -step, one)


def _lies_on(one: Region, step: Points, other: Region) -> bool:
    unit = sobol(len(one.coords), np.random.default_rng(0))
    moved = np.asarray(one.drawn(_PROBES, unit)) + step
    domain = other.domain
    far = np.min([domain._distances(moved, part) / domain._longest_side(part) for part in other.parts], axis=0)
    return bool((far <= _NEAR).all() and domain.on_boundary(moved, _SAME).all())


def _lowest(region: Region) -> Points:
    return np.asarray(np.min([low for low, _ in region.extents], axis=0))
