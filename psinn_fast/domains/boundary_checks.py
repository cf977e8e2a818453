"""What a class of a user's own says of its boundary, compared with what else it says.

A normal is compared with differences of `Domain.boundary_at` along the part, and only where these are sure: where the
part is smooth over steps that are short, but long against rounding errors. Corners are none, nor is a jump where pieces
were glued together. Whether points lie on the boundary is asked of `Domain.contains` along the normals.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..kernels.errors import InputError, short
from .unit import OFFSET, even

if TYPE_CHECKING:  # domains ask for these checks
    from .domain import Domain

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Points inside, and of each part, at no place where edges of one length meet; how far their neighbours are in its
# parameters.
_POINTS, _STEP = 64, 1e-5
# Differences to both sides agree to this part where a part is smooth, and are longer than so many rounding errors.
_SMOOTH, _ROUNDING = 0.01, 1e3 * float(np.finfo(np.float64).eps)
# Along the parameters of a surface they span a plane, not a line, as they do at the pole of a sphere.
_SPANNED = 0.05
# The sine of the angle between a normal and the part's: polygons that stand for curves, and float32, are right; so are
# single points where something was misjudged.
_OFF, _FEW = 0.1, 4
# Points that differ by a smaller part of the bounds are one: float32. Rows that are asked for alone.
_MOVED, _ALONE = 1e-6, 8
# Steps along normals, of the bounds: the shortest tells outwards from inwards. A point with the domain on both sides of
# it at all of them is not on the boundary: a thin gap shows at short ones, a `contains` that is generous at long ones.
_STEPS = (1e-5, 1e-4, 1e-3, 1e-2)
# Directions in space have one unit of length, so that a normal in which one of them is missing says that it is zero.
# Along time or a parameter that the domain changes with it may be left out: a normal in space alone.
SPACE = ("x", "y", "z")


def check_domain(domain: Domain) -> None:
    """
    Raises:
        InputError: there is nothing inside, or what a method says of the parts is wrong.
    """
    what = f"{type(domain).__name__}.parts"
    if not isinstance(domain.parts, (tuple, list)) or not all(isinstance(part, str) for part in domain.parts):
        raise InputError(f"{what}: expected a tuple of names, got {short(domain.parts)}")
    if len(set(domain.parts)) < len(domain.parts):
        raise InputError(f"{what}: expected no name twice, got {list(domain.parts)}")
    domain.random(_POINTS, 0)
    check_contains(domain, domain.from_unit(even(_POINTS, len(domain.coords))))
    for part in domain.parts:
        check_part(domain, part)
    _refuse_one_place(domain)


def check_part(domain: Domain, part: str) -> None:
    """
    Raises:
        InputError: `boundary_at` gives other points when it is asked again, or for some of them; its normals are not
            normal to the part, or point inwards, or are those of points inside.
    """
    d, what = len(domain.coords), f"{type(domain).__name__}.boundary_at({part!r}, ...)"
    unit = even(_POINTS, d - 1, OFFSET).clip(_STEP, 1 - _STEP)
    points, normals = domain.surface(part, unit)
    if not np.array_equal(points, domain.surface(part, unit)[0]):
        raise InputError(f"{what}: it gives other points for the same parameters when it is asked again")
    for some in _some(len(unit)):
        moved = abs(domain.surface(part, unit[some])[0] - points[some]) > _MOVED * (domain.high - domain.low)
        if moved.any():
            raise InputError(
                f"{what}: it gives other points for the same parameters when it is asked for some of them, in another "
                "order; each point follows from its own row of unit alone, not from how many there are"
            )
    domain.extent(part)  # fails where all points are one
    if normals is None:
        return
    off = _off(domain, part, unit, points, normals) if d > 1 else np.zeros(len(points), bool)
    if off.sum() >= _FEW:
        first = int(np.argmax(off))
        raise InputError(
            f"{what}: {int(off.sum())} of {len(points)} normals are not normal to the part, as its points beside them "
            f"show, the first is {_text(normals[first])} at {_text(points[first])}"
        )
    outwards, inwards = (inside_along(domain, points, sign * normals) for sign in (1.0, -1.0))
    if wrong := int((outwards[0] & ~inwards[0]).sum()):
        raise InputError(f"{what}: {wrong} of {len(points)} normals point inwards; give the outward ones")
    within = outwards.all(0) & inwards.all(0)
    if 2 * within.sum() > len(points):
        raise InputError(
            f"{what}: {int(within.sum())} of {len(points)} points lie inside the domain by {type(domain).__name__}"
            f".contains, the first is {_text(points[int(np.argmax(within))])}; a part with outward normals is on the "
            "boundary, lines within the domain are given to conditions as arrays"
        )


def _refuse_one_place(domain: Domain) -> None:
    """
    Raises:
        InputError: two parts are one and the same.
    """
    unit = even(_POINTS, len(domain.coords) - 1, OFFSET)
    places = {part: domain.surface(part, unit)[0] for part in domain.parts}
    for one, other in combinations(domain.parts, 2):
        if (abs(places[one] - places[other]) <= _MOVED * (domain.high - domain.low)).all():
            raise InputError(
                f"{type(domain).__name__}.boundary_at: all of the {_POINTS} points tried of the parts {one!r} and "
                f"{other!r} are at the same places; give each part its own (by its argument `part`), or name one part"
            )


def check_contains(domain: Domain, points: Points) -> None:
    """
    Raises:
        InputError: `contains` says something else when it is asked again, or for some of the points.
    """
    if not np.array_equal(domain.inside(points), domain.inside(points)):
        raise InputError(
            f"{type(domain).__name__}.contains: it says something else of the same points when asked again"
        )
    for some in _some(len(points)):
        wrong = domain.inside(points[some]) != domain.inside(points)[some]
        if wrong.any() and not domain.on_boundary(points[some][wrong]).all():  # there rounding errors decide
            raise InputError(
                f"{type(domain).__name__}.contains: it says something else of the same points when asked for some of "
                "them, in another order; each answer follows from its own point alone, not from points.max() or such"
            )


def _some(n: int) -> Iterator[npt.NDArray[np.int64]]:
    """Half of n rows, in another order, and some of them alone."""
    order = np.random.default_rng(0).permutation(n)
    yield order[: max(1, n // 2)]
    yield from order[:_ALONE, None]


def _off(domain: Domain, part: str, unit: Points, points: Points, normals: Points) -> Mask:
    """(N,): where a normal is surely not the part's."""
    widths = domain.high - domain.low
    sure, tangents = np.ones(len(unit), bool), []
    least = _ROUNDING * float((abs(points) / widths).max())
    for axis in range(unit.shape[1]):
        step = _STEP * (np.arange(unit.shape[1]) == axis)
        ahead, behind = (domain.surface(part, unit + sign * step)[0] for sign in (1.0, -1.0))
        forward, backward = (ahead - points) / widths, (points - behind) / widths
        both = (forward + backward) / 2
        length = np.linalg.norm(both, axis=1)
        sure &= (length > least) & (np.linalg.norm(forward - backward, axis=1) < _SMOOTH * length)
        tangents.append(both / np.where(length > 0, length, 1.0)[:, None])
    _, sizes, directions = np.linalg.svd(np.stack(tangents, 1))
    sure &= sizes[:, -1] > _SPANNED
    own = directions[:, -1]  # normal to the part in units of the bounds, where n is n * widths
    kept = np.array([name in SPACE for name in domain.coords]) | normals.any(0)
    pairs = [(normals * widths, own), (normals, own / widths)]
    pairs += [(given[:, kept], right[:, kept]) for given, right in pairs if not kept.all()]
    return np.asarray(sure & (np.min([_sine(*pair) for pair in pairs], axis=0) > _OFF))


def _sine(a: Points, b: Points) -> Points:
    """(N,): of the angle between vectors (N, d); 1 where one of them is zero."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(1) / np.where(lengths > 0, lengths, 1.0)
    return np.asarray(np.sqrt(np.maximum(1 - cosine**2, 0.0)))


def inside_along(domain: Domain, points: Points, directions: Points) -> Mask:
    """(steps, N): whether points beside the given ones lie inside."""
    reach = 1 / np.linalg.norm(directions / (domain.high - domain.low), axis=1, keepdims=True)
    return np.stack([domain.inside(points + step * reach * directions) for step in _STEPS])


def _text(point: Points) -> str:
    return f"({', '.join(f'{x:.6g}' for x in point)})"
