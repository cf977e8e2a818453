"""Regions that are each other's translates, as the two sides of a periodic condition are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .pointset import Region
from .unit import sobol

Points = npt.NDArray[np.float64]

# Of the bounds: points that differ by less are one.
_SAME = 1e-6
# Points of the one region that are looked for in the other: some first, which tell most regions apart; then so many
# that they meet a thousandth of the one which the other has not.
_FIRST, _PROBES = 64, 1 << 12
# How near some thousand points of a part are to each of its own, of its domain's longest side.
_NEAR = 0.02
# How well sizes are known: to rounding (of nodes in files, too), or as cells and meshes give them.
_EXACT, _SIZE = 1e-6, 1e-3
# Answers that are kept: training asks for the same ones at each draw.
_KEPT = 64


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
    return next((step for step in _tried(one, other) if are_translates(one, other, step)), None)


def are_translates(one: Region, other: Region, step: Points) -> bool:
    """Whether ``one``, moved by ``step``, is the ``other``: their sizes, and points of each lie in the other.

    Interiors are only told from each other where both are boxes.
    """
    return _are_translates(one, other, tuple(step.tolist()))


def lies_on_boundary(points: Points, other: Region) -> npt.NDArray[np.bool_]:
    """(N,): which points (N, d) lie on the boundary of the domain whose parts the ``other`` is."""
    return other.domain.on_boundary(points, _SAME)


@lru_cache(_KEPT)
def _are_translates(one: Region, other: Region, moved_by: tuple[float, ...]) -> bool:
    if len(one.coords) != len(other.coords) or one.is_solid != other.is_solid:
        return False
    step = np.array(moved_by)
    if one.is_solid:
        ends = [(own.domain.low, own.domain.high) for own in (one, other)]
        slack = _SAME * (ends[0][1] - ends[0][0])
        is_plain = all(type(own) is Region and own.domain.is_box for own in (one, other))
        return is_plain and all((abs(b - a - step) <= slack).all() for a, b in zip(*ends, strict=True))
    sizes = [sum(own.domain.measure(part) for part in own.parts) for own in (one, other)]
    tolerance = _EXACT if one.domain._has_exact_sizes and other.domain._has_exact_sizes else _SIZE
    if abs(sizes[1] - sizes[0]) > tolerance * sizes[0]:
        return False
    return _lies_on(one, step, other) and _lies_on(other, -step, one)


def _lies_on(one: Region, step: Points, other: Region) -> bool:
    unit, domain = sobol(len(one.coords), np.random.default_rng(0)), other.domain
    some = np.asarray(one.drawn(_FIRST, unit)) + step
    far = np.min([domain._distances(some, part) / domain._longest_side(part) for part in other.parts], axis=0)
    if (far > _NEAR).any() or not lies_on_boundary(some, other).all():
        return False
    return bool(lies_on_boundary(np.asarray(one.drawn(_PROBES, unit)) + step, other).all())


def _tried(one: Region, other: Region) -> Iterator[Points]:
    """Steps (d,), of which one is exact if the regions are translates: between places that parts have by themselves,
    whatever is cut from them; then, which takes longer and is known a little less well of solids, between bounds."""
    if not one.is_solid and not other.is_solid:
        places = [np.concatenate([own.domain._anchors(part) for part in own.parts]) for own in (one, other)]
        yield from np.unique((places[1] - places[0][:, None]).reshape(-1, len(one.coords)), axis=0)
    bounds = [np.min([low for low, _ in own.extents], axis=0) for own in (one, other)]
    yield bounds[1] - bounds[0]
