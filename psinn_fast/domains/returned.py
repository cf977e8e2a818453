"""What methods of a user's class return, with errors that name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError, short
from .beyond import how_far

if TYPE_CHECKING:  # domains ask for these checks
    from .domain import Domain

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Unit vectors may have lengths that differ by so much from 1: float32.
_UNIT = 1e-6


def called(what: str, function: Callable[[], Any], where: str = "") -> Any:
    """What the function returns; ``what`` names it, and ``where`` says what it was asked for, if that does not."""
    try:
        return function()
    except InputError:
        raise
    except Exception as error:  # the method is the user's: it may raise anything
        raise InputError(f"{what}: it failed{where and ' ' + where} ({type(error).__name__}: {error})") from error


def vectors(what: str, returned: object, shape: tuple[int, int]) -> Points:
    """As finite float64 numbers (N, d)."""
    given = checks.numbers(what, returned)
    if given.shape != shape:
        raise InputError(f"{what}: expected shape {shape}, got {given.shape}")
    return given


def contained(domain: Domain, points: Points) -> Mask:
    """What `Domain.contains` says of the points (N, d): (N,)."""
    what = f"{type(domain).__name__}.contains"
    returned = called(what, lambda: domain.contains(np.array(points)), f"on {len(points)} points")
    if not isinstance(returned, np.ndarray) or returned.dtype != np.bool_ or returned.shape != (len(points),):
        got = f"{returned.dtype} {returned.shape}" if isinstance(returned, np.ndarray) else short(returned)
        raise InputError(f"{what}: expected an array of {len(points)} truth values for as many points, got {got}")
    return returned


def placed(domain: Domain, part: str, unit: Points) -> tuple[Points, Points | None]:
    """Points and normals by `Domain.boundary_at`."""
    what, shape = f"{type(domain).__name__}.boundary_at({part!r}, ...)", (len(unit), len(domain.coords))
    returned = called(what, lambda: domain.boundary_at(part, np.array(unit)), f"on {len(unit)} points")
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise InputError(f"{what}: expected points and normals (or None), got {short(returned)}")
    points = vectors(f"{what}: points", returned[0], shape)
    beyond = domain.outside(points)
    if beyond.any():
        first = ", ".join(f"{x:.10g}" for x in points[int(np.argmax(beyond))])
        raise InputError(
            f"{what}: {int(beyond.sum())} of {len(points)} points lie outside of {domain}, by its bounds or by "
            f"{type(domain).__name__}.contains, the first is ({first}); {how_far(domain, points[beyond])}"
        )
    if returned[1] is None:
        return points, None
    normals = vectors(f"{what}: normals", returned[1], shape)
    lengths = np.linalg.norm(normals, axis=1)
    if (wrong := abs(lengths - 1) > _UNIT).any():
        first = f"{lengths[int(np.argmax(wrong))]:.6g}"
        raise InputError(f"{what}: expected normals of length 1, {int(wrong.sum())} differ, the first has {first}")
    return points, normals
