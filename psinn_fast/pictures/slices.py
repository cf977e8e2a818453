"""What is shown of a solution that depends on many coordinates: two of these, or one, at some values of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..problem.problem import Problem

# Of their interval: where the first and last times are telling, faces of space only show boundary values.
_TIMES = {1: (1.0,), 2: (0.5, 1.0), 3: (0.0, 0.5, 1.0)}
_PLACES = {1: (0.5,), 2: (1 / 3, 2 / 3), 3: (0.25, 0.5, 0.75)}
At = Mapping[str, "float | npt.ArrayLike"]


@dataclass(frozen=True)
class Slices:
    """``axes``: the one or two coordinates that are drawn; ``places``: values of others by number, a slice each."""

    axes: tuple[int, ...]
    places: tuple[dict[int, float], ...]


def slices_of(problem: Problem, at: At | None = None, most: int = 3) -> Slices:
    """Coordinates of space are drawn before time, and this before parameters; the first that is left, time before
    space, takes up to ``most`` values, the others the one at the centre.

    Args:
        at: values of coordinates, which are not drawn then; several of one, ``{"t": [0, 0.5, 1]}``, are that many
            slices.

    Raises:
        InputError: no coordinates, values beyond the domain, several values of more than one, or all of them given.
    """
    pde, domain = problem.pde, problem.domain
    given = checked_at(problem, at)
    order = [i for i in _order(problem) if i not in given]
    if not order:
        raise InputError(f"at: all of the coordinates {list(pde.coords)} have values; leave out the one to draw along")
    axes, left = tuple(sorted(order[:2])), sorted(order[2:], key=lambda i: pde.coords[i] != pde.time)
    several = [i for i, values in given.items() if len(values) > 1]
    if len(several) > 1:
        names = [pde.coords[i] for i in several]
        raise InputError(f"at: one coordinate may have several values, got several of {names}")
    fixed = {i: values[0] for i, values in given.items()}
    if several:
        return Slices(axes, tuple({**fixed, several[0]: value} for value in given[several[0]]))
    if not left or given:
        return Slices(axes, (fixed,))
    parts = (_PLACES if left[0] in pde.spatial else _TIMES)[most]
    low, high = domain.low[left[0]], domain.high[left[0]]
    return Slices(axes, tuple({**fixed, left[0]: float(low + part * (high - low))} for part in parts))


def drawn_axes(problem: Problem) -> tuple[int, ...]:
    """The one or two coordinates that are drawn where nothing else is asked for."""
    return tuple(sorted(_order(problem)[:2]))


def _order(problem: Problem) -> list[int]:
    """All coordinates, those first that are drawn first."""
    pde, domain = problem.pde, problem.domain
    time = [i for i, name in enumerate(pde.coords) if name == pde.time]
    parameters = [pde.coords.index(name) for name in pde.parameters]
    first = pde.spatial if domain.is_box else domain.pictured_axes
    return list(dict.fromkeys([*first, *pde.spatial, *time, *parameters]))


def times_of(problem: Problem) -> tuple[float, float, float]:
    """The first, the middle and the last."""
    axis = problem.pde.coords.index(str(problem.pde.time))
    low, high = float(problem.domain.low[axis]), float(problem.domain.high[axis])
    return low, (low + high) / 2, high


def fields_of(problem: Problem, fields: object) -> tuple[int, ...]:
    """The numbers of some fields, by a name or several; None: all.

    Raises:
        InputError: none, or another name.
    """
    own = problem.pde.fields
    if fields is None:
        return tuple(range(len(own)))
    names = fields.replace(",", " ").split() if isinstance(fields, str) else fields
    if not isinstance(names, (list, tuple)) or not names or not set(map(str, names)) <= set(own):
        raise InputError(f"fields: expected some of {list(own)}, e.g. {own[0]!r}, got {short(fields)}")
    return tuple(own.index(str(name)) for name in names)


def checked_at(problem: Problem, at: object) -> dict[int, list[float]]:
    """By number of the coordinate, at least one value each.

    Raises:
        InputError: no mapping, no coordinate, no numbers, or numbers beyond the domain.
    """
    if at is None:
        return {}
    coords, domain = problem.pde.coords, problem.domain
    if not isinstance(at, Mapping):
        raise InputError(f"at: expected values of coordinates, e.g. {{{coords[-1]!r}: 0.5}}, got {short(at)}")
    found = {}
    for name, value in at.items():
        if name not in coords:
            raise InputError(f"at: {short(name)} is none of the coordinates {list(coords)}")
        i = coords.index(name)
        values = np.atleast_1d(checks.numbers(f"at[{name!r}]", value))
        low, high = domain.low[i], domain.high[i]
        if values.ndim != 1 or not values.size:
            raise InputError(f"at[{name!r}]: expected one number or a sequence of them, got shape {values.shape}")
        if not ((values >= low) & (values <= high)).all():
            raise InputError(f"at[{name!r}]: expected values from {low:g} to {high:g}, got {short(value)}")
        found[i] = [float(one) for one in values]
    return found
