"""Normals that point into the domain: those of another shape's boundary, of a hole by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...domains.angles import shares_inside
from ...domains.boundary_checks import inside_along
from ...kernels.errors import InputError
from ..condition_residuals import flux_residuals
from ..conditions import Condition
from ..given_columns import normal_column

if TYPE_CHECKING:  # it is checked, not made, here
    from ..problem import Problem

Points = npt.NDArray[np.float64]
# Of the bounds: how near points on the boundary are to it. Steps along the normal that have to agree.
_NEAR, _AGREE = 1e-6, 2
# At corners, where normals are those of several parts, the domain takes up another share of the directions than a half.
_CORNER = 0.1
# How far from 1 the length of what is called n_x, n_y may be.
_UNIT = 1e-6


def refuse_inward_normals(problem: Problem) -> None:
    """
    Raises:
        InputError: on the boundary of the problem's domain a condition has normals that point into it. Normals
            elsewhere, at interfaces within, point wherever they are meant to.
    """
    domain, coords = problem.domain, problem.pde.coords
    for condition in problem.conditions:
        normals, points = _normals(condition, coords), condition.sites[0]
        if normals is None or _is_of_any_sign(condition):
            continue
        rows = np.flatnonzero(domain.on_boundary(points, _NEAR))
        ahead, behind = (inside_along(domain, points[rows], sign * normals[rows])[:_AGREE] for sign in (1.0, -1.0))
        inward = rows[(ahead & ~behind).all(0)]
        inward = inward[abs(shares_inside(domain, points[inward]) - 0.5) < _CORNER]
        if not len(inward):
            continue
        first = points[inward[:1]]
        part = min(domain.parts, key=lambda name: float(domain._distances(first, name)[0]), default=None)
        own = f"domain.boundary(n, {part!r})" if part is not None else "points of its own boundary"
        raise InputError(
            f"{condition.name}: normals: {len(inward)} of {len(points)} point into the domain {domain}, the first is "
            f"{_text(normals[inward[0]])} at {_text(first[0])}; there the outward ones are meant: take {own}, whose "
            "normals point out of this domain (those of a hole's own shape point into it), or give -normals"
        )


def _normals(condition: Condition, coords: tuple[str, ...]) -> Points | None:
    """(N, d): unit vectors that a condition's residual reads as normals; None where it reads none."""
    for names in ([normal_column(axis) for axis in range(len(coords))], [f"n_{coord}" for coord in coords]):
        if all(name in condition.columns for name in names):
            vectors = np.stack([condition.columns[name] for name in names], 1)
            is_unit = (abs(np.linalg.norm(vectors, axis=1) - 1) < _UNIT).all()
            return vectors if is_unit else None
    return None


def _is_of_any_sign(condition: Condition) -> bool:
    """Whether the condition says the same with the other normals: no flux at all."""
    residual = condition.residual
    if not isinstance(residual, partial) or residual.func is not flux_residuals:
        return False
    return not any(condition.columns[field].any() for field in residual.args[0])


def _text(point: Points) -> str:
    return f"({', '.join(f'{x:.6g}' for x in point + 0.0)})"
