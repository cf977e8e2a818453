"""Plane domains with exact boundaries: shapes, and what they are combined to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...kernels.errors import InputError
from ..box import Box
from ..domain import Domain
from .clipping import clipped
from .curves import Segment
from .ellipses import Disk, Ellipse
from .outline import Outline
from .plane_domain import PlaneDomain
from .polygon import Polygon

Points = npt.NDArray[np.float64]


def combined(operation: str, one: Domain, other: Domain) -> PlaneDomain:
    what = f"{type(one).__name__} {operation} {type(other).__name__}"
    return PlaneDomain(one.coords, clipped(what, operation, _outline_of(one, what), _outline_of(other, what)))


def moved(domain: Domain, matrix: Points, step: Points) -> PlaneDomain:
    """x -> matrix x + step, a rotation and a translation."""
    outline = _outline_of(domain, type(domain).__name__, "give one of your own its place where it is made")
    return PlaneDomain(domain.coords, outline.moved(matrix, step))


def renamed(domain: Domain, names: Mapping[str, str]) -> PlaneDomain:
    outline = _outline_of(domain, type(domain).__name__, "a class of your own names its parts itself, in `parts`")
    return PlaneDomain(domain.coords, outline.renamed(names))


def _outline_of(domain: Domain, what: str, advice: str = "") -> Outline:
    if isinstance(domain, PlaneDomain):
        return domain._outline
    if isinstance(domain, Box):
        (x0, y0), (x1, y1) = domain.low.tolist(), domain.high.tolist()
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        x, y = domain.coords
        names = [f"{y}_low", f"{x}_high", f"{y}_high", f"{x}_low"]
        sides = [Segment(corners[i], corners[(i + 1) % 4]) for i in range(4)]
        return Outline.of(sides, names, domain.parts)
    raise InputError(
        f"{what}: the boundary of {type(domain).__name__} is not known as curves; expected Box, Disk, Ellipse, "
        f"Polygon, and what they are combined to{advice and '; '}{advice}"
    )


__all__ = ["Disk", "Ellipse", "PlaneDomain", "Polygon", "combined", "moved", "renamed"]
