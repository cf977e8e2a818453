"""Domains with their time cut off."""

from __future__ import annotations

import numpy as np

from ..kernels.errors import InputError, short
from .domain import Domain
from .returned import called

# Of the bounds: a window ends where it was asked for, to this part.
_SAME = 1e-9


def shrunk(domain: Domain, coord: str, origin: float, factor: float) -> Domain | None:
    """`Domain.shrunk`, with what it returns checked.

    Raises:
        InputError: it fails, or returns something else than a domain with the same coordinates and parts, cut off.
    """
    what = f"{type(domain).__name__}.shrunk({coord!r}, {origin:g}, {factor:g})"
    window = called(what, lambda: domain.shrunk(coord, origin, factor))
    if window is None:
        return None
    if not isinstance(window, Domain) or window.coords != domain.coords:
        raise InputError(
            f"{what}: expected a domain of the coordinates {list(domain.coords)} or None, got {short(window)}"
        )
    if tuple(window.parts) != tuple(domain.parts):
        raise InputError(f"{what}: expected a domain with the parts {list(domain.parts)}, got {list(window.parts)}")
    axis = domain.coords.index(coord)
    for name, found, end in (("from", window.low, domain.low), ("to", window.high, domain.high)):
        wanted = end.copy()
        wanted[axis] = origin + factor * (end[axis] - origin)
        if (wrong := abs(found - wanted) > _SAME * (domain.high - domain.low)).any():
            which = int(np.argmax(wrong))
            raise InputError(
                f"{what}: expected a domain {name} {domain.coords[which]} = {wanted[which]:g}, got {found[which]:g}"
            )
    return window


def check_shrunk(domain: Domain, time: str | None) -> None:
    """
    Raises:
        InputError: half of the time is not what `shrunk` makes of it, or no domain.
    """
    if time is None or domain.is_box:
        return
    window = shrunk(domain, time, float(domain.low[domain.coords.index(time)]), 0.5)
    if window is not None:
        window.check()
