"""The equation near re-entrant corners of a plane domain, where solutions are singular: points and weights for it."""

from __future__ import annotations

from dataclasses import replace

from ..domains import Cornered, Region
from ..frozen import frozen
from .conditions import EQUATION, Condition
from .given_columns import ROOT, CornerRoots
from .pde import PDE


def towards_corners(condition: Condition, pde: PDE) -> Condition:
    """The condition, with what `Cornered` says of points and weights.

    If it asks for an equation of second order or more, without time, all over a plane domain that has re-entrant
    corners, and its points have no weights of their own.
    """
    region = condition.regions[0]
    is_asked = condition.kind == EQUATION and type(region) is Region and region.is_solid and pde.time is None
    if not is_asked or ROOT in condition.targets or pde.traced().program.channels.order < 2:
        return condition
    assert region is not None
    if not len(region.domain.reentrant_corners()):
        return condition
    roots = CornerRoots(Cornered(region.domain))
    return replace(
        condition,
        regions=(roots.region,),
        targets=frozen({**condition.targets, ROOT: roots}),
        columns=frozen({**condition.columns, ROOT: roots.at(condition.sites[0])}),
    )
