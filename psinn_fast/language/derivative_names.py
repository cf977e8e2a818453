"""Derivatives by name: ``xxy``, ``lap``, ``lapxy``; what is time, and which coordinates' names leave no doubt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import permutations, product

from ..kernels.errors import InputError
from ..kernels.language.channels import MAX_ORDER, Channel, Laplacian
from .names import normal

LAPLACIAN = "lap"
# What a time may be called. Only t is one without being declared: others stand for other quantities as well.
TIMES = ("t", "tau", "time", "T")


def time_of(coords: Sequence[str], time: str | None = "auto") -> str | None:
    """The coordinate that is time. "auto": the one named t, if there is one.

    Raises:
        InputError: it is no coordinate.
    """
    if time == "auto" and "auto" not in coords:
        return "t" if "t" in coords else None
    if time is not None and (not isinstance(time, str) or normal(time) not in coords):
        raise InputError(f"time: expected one of the coordinates {list(coords)} or None, got {time!r}")
    return None if time is None else normal(time)


def undeclared_time(coords: Sequence[str]) -> str | None:
    """The coordinate that may be time by its name, where none is called t."""
    return None if "t" in coords else next((name for name in coords if name in TIMES), None)


def spatial_axes(coords: Sequence[str], time: str | None = "auto") -> tuple[int, ...]:
    """The axes of all coordinates but time."""
    time = time_of(coords, time)
    return tuple(axis for axis, name in enumerate(coords) if name != time)


def parse_derivative(text: str, coords: Sequence[str], spatial: Sequence[int]) -> Channel | None:
    """``"xxy"`` -> (2, 1), ``""`` -> (0, 0), ``"lap"`` -> Laplacian over the spatial axes, ``"lapxy"`` over x and y.

    None if it is neither. A Laplacian over one axis is its second derivative.
    """
    text = normal(text)
    steps = _split(text, coords)
    if steps is not None:
        return tuple(steps.count(name) for name in coords)
    named = _split(text[len(LAPLACIAN) :], coords) if text.startswith(LAPLACIAN) else None
    if named is None or len(set(named)) < len(named):
        return None
    return laplacian(sorted(map(coords.index, named)) if named else spatial, len(coords))


def laplacian(axes: Sequence[int], d: int) -> Channel | None:
    """The sum of second derivatives along the axes, of d coordinates; None without axes."""
    if len(axes) == 1:
        return tuple(2 * (axis == axes[0]) for axis in range(d))
    return Laplacian(tuple(axes)) if axes else None


def _split(text: str, names: Sequence[str]) -> list[str] | None:
    if not text:
        return []
    for name in names:
        if text.startswith(name):
            rest = _split(text[len(name) :], names)
            if rest is not None:
                return [name, *rest]
    return None


def derivative_name(channel: Channel, coords: Sequence[str], spatial: Sequence[int]) -> str:
    """Inverse of `parse_derivative`."""
    if isinstance(channel, Laplacian):
        return LAPLACIAN + ("" if channel.axes == tuple(spatial) else "".join(coords[i] for i in channel.axes))
    return "".join(name * order for name, order in zip(coords, channel, strict=True))


@lru_cache(maxsize=256)
def refuse_ambiguous(coords: tuple[str, ...]) -> None:
    """Coordinates whose names can be put together to one derivative in two ways, e.g. x and xx, or l, a and p.

    Raises:
        InputError: names the derivative and both readings.
    """
    known: dict[str, str] = {}
    readings = [("".join(steps), " ".join(steps)) for steps in chains(coords)]
    for n in range(len(coords) + 1):
        for axes in permutations(coords, n):
            readings.append(
                (LAPLACIAN + "".join(axes), " ".join(("the Laplacian", *(("over", *axes) if axes else ()))))
            )
    for text, reading in readings:
        other = known.setdefault(text, reading)
        if other != reading:
            raise InputError(
                f"coords: u.{text} has two readings, {other!r} and {reading!r}; rename one of {list(coords)}"
            )


def chains(coords: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All derivatives, as the coordinates in the order of their names."""
    return (steps for order in range(1, MAX_ORDER + 1) for steps in product(coords, repeat=order))
