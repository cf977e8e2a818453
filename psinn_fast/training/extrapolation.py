"""Points outside of the domain, where networks give numbers of which nothing was asked."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..domains import Domain
from ..kernels import checks

Points = npt.NDArray[np.float64]

# Of numbers in float32, however far from 0 an interval of them is.
_DIGITS = 4 * float(np.finfo(np.float32).eps)
# Points at which it is tried whether a period leads back into the domain, and how well, relative to the values there.
_TRIED, _SAME = 50, 1e-3


def warn_of_outside(
    domain: Domain,
    points: npt.ArrayLike | Tensor,
    values: Callable[[Points], npt.ArrayLike],
    may_repeat: bool,
    stacklevel: int = 3,
) -> None:
    """One warning of the points (..., d) that lie outside of the domain by more than rounding: how many, along what.

    Args:
        values: the fields at points (N, d).
        may_repeat: whether they may be periodic, by an embedding: where a whole number of the domain's widths leads
            back into it, and the values are the same there, nothing is said.
    """
    given = np.array(checks.numbers("points", points)).reshape(-1, len(domain.coords))
    given = _without_rounding(domain, given)
    outside = domain.outside(given)
    if may_repeat and outside.any():
        given[outside] = _led_back(domain, given[outside], values)
        outside = domain.outside(given)
    if not outside.any():
        return
    beyond = given[outside]
    ends = (beyond < domain.low) | (beyond > domain.high)
    places = [
        _farthest(domain, axis, beyond[:, axis]) for axis in range(len(domain.coords)) if bool(ends[:, axis].any())
    ]
    if (within := ~ends.any(1)).any():
        first = ", ".join(f"{x:.6g}" for x in beyond[int(np.argmax(within))])
        places.append(f"({first}), which is not in {domain}")
    warnings.warn(
        f"points: {len(beyond)} of {len(given)} outside of the domain, as far as {'; '.join(places)}: there the "
        "network extrapolates, and nothing says how far it is off",
        stacklevel=stacklevel + 1,
    )


def _farthest(domain: Domain, axis: int, values: Points) -> str:
    name, low, high = domain.coords[axis], domain.low[axis], domain.high[axis]
    farthest = values[int(np.argmax(np.maximum(low - values, values - high)))]
    return f"{name} = {farthest:.6g}, where {name} is from {low:g} to {high:g}"


def _without_rounding(domain: Domain, points: Points) -> Points:
    """Those that are beyond the bounds by the last digits of float32 alone are on them."""
    slack = _DIGITS * np.maximum(abs(domain.low), abs(domain.high))
    within = np.clip(points, domain.low, domain.high)
    return np.where(abs(points - within) <= slack, within, points)


def _led_back(domain: Domain, points: Points, values: Callable[[Points], npt.ArrayLike]) -> Points:
    """By whole widths of the domain along coordinates in which the values are periodic."""
    points = points.copy()
    for axis, (low, high) in enumerate(zip(domain.low, domain.high, strict=True)):
        beyond = np.flatnonzero((points[:, axis] < low) | (points[:, axis] > high))
        if not len(beyond):
            continue
        moved = points[beyond]
        moved[:, axis] = low + (moved[:, axis] - low) % (high - low)
        tried = np.linspace(0, len(beyond) - 1, min(_TRIED, len(beyond))).astype(int)
        here, there = (np.asarray(values(own[tried]), dtype=np.float64) for own in (points[beyond], moved))
        if np.abs(here - there).max() <= _SAME * np.abs(there).max():
            points[beyond] = moved
    return points
