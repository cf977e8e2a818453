"""Domains combined, moved and renamed: what holds in every dimension; each dimension has a module for the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError, short

if TYPE_CHECKING:  # domains are combined by these
    from .domain import Domain

Points = npt.NDArray[np.float64]

_WORDS = {"|": "union", "&": "intersection", "-": "difference"}
# An angle that is nearer to a multiple of a quarter turn is one: boxes stay boxes.
_QUARTER = 1e-14
# A whole turn, with rounding errors: larger angles may be degrees.
_ROUND = 2 * math.pi + 1e-6


def combined(operation: str, one: Domain, other: object) -> Domain:
    """``one | other``, ``one & other`` or ``one - other``.

    Raises:
        InputError: no domain, other coordinates, a dimension that has no such operation, an empty result.
    """
    from .domain import Domain

    what = f"{type(one).__name__} {operation} {type(other).__name__}"
    if not isinstance(other, Domain):
        raise InputError(f"{what}: the {_WORDS[operation]} is of two domains, got {short(other)}")
    if one.coords != other.coords:
        how = "in one order" if sorted(one.coords) == sorted(other.coords) else "with one set of coordinates"
        raise InputError(
            f"{what}: expected domains {how}, got {list(one.coords)} and {list(other.coords)}; names are given by "
            "Box(x=..., y=...), or coords='x y' of other shapes"
        )
    from . import by_factor

    if (product := by_factor.combined(what, operation, one, other)) is not None:
        return product
    found: Domain = _shapes(what, one, other).combined(operation, one, other)
    by_factor.warn_of_lost_time(what, found, one, other)
    return found


def multiplied(one: Domain, other: object) -> Domain:
    """``one * other``.

    Raises:
        InputError: no domain, a coordinate that both have, more than four coordinates in all.
    """
    from .product import multiplied

    return multiplied(one, other)


def translated(domain: Domain, step: Sequence[float]) -> Domain:
    """Moved by one number along each coordinate.

    Raises:
        InputError: other than one finite number a coordinate; a dimension that has no such operation.
    """
    what, d = f"{type(domain).__name__}.translated", len(domain.coords)
    from .box import Box

    vector = checks.numbers(f"{what}: step", step)
    if vector.shape != (d,):
        example = ", ".join(["0.5", *["0"] * (d - 1)])
        raise InputError(
            f"{what}: expected {d} numbers, one for each of {list(domain.coords)}, e.g. translated({example})"
        )
    if domain.is_box:
        ends = zip((domain.low + vector).tolist(), (domain.high + vector).tolist(), strict=True)
        return Box(**dict(zip(domain.coords, ends, strict=True)))
    from . import by_factor
    from .product import Product

    if isinstance(domain, Product):
        return by_factor.translated(domain, vector)
    return _shapes(what, domain).moved(domain, np.eye(d), vector)  # type: ignore[no-any-return]  # a module


def rotated(domain: Domain, angle: float, about: Sequence[float] | None, axis: Sequence[float] | None) -> Domain:
    """Turned by an angle in radians, about a point, and in three dimensions an axis.

    Raises:
        InputError: an angle beyond a whole turn, a point of another dimension; an axis in the plane, none in space.
    """
    what, d = f"{type(domain).__name__}.rotated", len(domain.coords)
    turn = checks.number(f"{what}: angle", angle)
    if abs(turn) > _ROUND:
        raise InputError(
            f"{what}: angle: expected radians, up to 2 pi, got {turn:g}; if it is degrees, math.radians(...)"
        )
    fixed = domain.centre if about is None else checks.numbers(f"{what}: about", about)
    if fixed.shape != (d,):
        raise InputError(f"{what}: about: expected a point of {d} numbers, got {short(about)}")
    shapes = _shapes(what, domain)
    matrix = rotation(what, turn, d, axis)
    from . import by_factor

    if (product := by_factor.rotated(domain, turn, fixed, axis)) is not None:
        return product
    found: Domain = shapes.moved(domain, matrix, fixed - matrix @ fixed)
    by_factor.warn_of_lost_time(what, found, domain)
    return found


def rotation(what: str, angle: float, d: int, axis: Sequence[float] | None) -> Points:
    """The matrix (d, d) of a turn: in the plane from the first coordinate to the second, in space about an axis by the
    right hand. Quarter turns are exact."""
    quarters = round(angle / (math.pi / 2))
    if abs(angle - quarters * math.pi / 2) < _QUARTER * max(1, abs(quarters)):
        cos, sin = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[quarters % 4]
    else:
        cos, sin = math.cos(angle), math.sin(angle)
    if d == 2:
        if axis is not None:
            raise InputError(f"{what}: axis: a plane domain turns about a point, expected None, got {short(axis)}")
        return np.array([[cos, -sin], [sin, cos]])
    if axis is None:
        raise InputError(f"{what}: axis: expected the direction to turn about, e.g. axis=(0, 0, 1)")
    vector = checks.numbers(f"{what}: axis", axis)
    if vector.shape != (3,) or not vector.any():
        raise InputError(f"{what}: axis: expected three numbers that are not all zero, got {short(axis)}")
    x, y, z = vector / np.linalg.norm(vector)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(cos * np.eye(3) + sin * cross + (1 - cos) * np.outer([x, y, z], [x, y, z]))


def renamed(domain: Domain, names: Mapping[str, str]) -> Domain:
    """With other names of some parts; parts that get one name are one.

    Raises:
        InputError: no such part, names that are no texts; a dimension that has no such operation.
    """
    what = f"{type(domain).__name__}.renamed"
    if not isinstance(names, Mapping) or not all(isinstance(name, str) and name for name in names.values()):
        raise InputError(f'{what}: expected a dictionary of names, e.g. {{"rim": "cylinder"}}, got {short(names)}')
    if unknown := [name for name in names if name not in domain.parts]:
        raise InputError(f"{what}: {short(unknown[0])} is none of its parts {list(domain.parts)}")
    from .product import Product

    if isinstance(domain, Product):
        return domain.named([names.get(part, part) for part in domain.parts])
    return _shapes(what, domain).renamed(domain, dict(names))  # type: ignore[no-any-return]  # a module


def _shapes(what: str, *domains: Domain) -> Any:
    """The module that combines, moves and renames such domains: meshes, or those of as many coordinates."""
    from . import meshes

    if any(map(meshes.is_mesh, domains)):
        return meshes
    domain, d = domains[0], len(domains[0].coords)
    if d == 2:
        from . import plane

        return plane
    if d == 3:
        from . import solids

        return solids
    raise InputError(
        f"{what}: domains of two and three coordinates are combined, moved and renamed; {domain} has "
        f"{list(domain.coords)}"
    )
