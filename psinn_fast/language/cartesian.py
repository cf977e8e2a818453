"""Shorthands that are those of Cartesian coordinates, ``u.lap``, ``grad``, ``div``, and coordinates that are others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_RADII = ("r", "radius")
# Radii beside another coordinate of that system only: rho is a density elsewhere.
_RADII_BESIDE = ("rho", "R")
_ANGLES = ("theta", "phi", "varphi", "angle", "azimuth")
_HEIGHTS = ("z", "Z")

_used: ContextVar[dict[str, None] | None] = ContextVar("used", default=None)


@contextmanager
def shorthands() -> Iterator[dict[str, None]]:
    """Those that are used inside, in order."""
    found: dict[str, None] = {}
    token = _used.set(found)
    try:
        yield found
    finally:
        _used.reset(token)


def use(shorthand: str) -> None:
    """Say that a residual function has used it over all spatial coordinates, without naming them."""
    if (found := _used.get()) is not None:
        found[shorthand] = None


def misread(used: Sequence[str], spatial: Sequence[str]) -> str | None:
    """What shorthands mean, and what to write; None where coordinates may be Cartesian by their names.

    Args:
        used: of ``u.lap``, ``lap``, ``grad``, ``div``.
        spatial: names of the coordinates that they are over.
    """
    radius, angles, others = _system(spatial)
    if radius is None and len(angles) < 2:
        return None
    # A gradient without angles is the same in all of these systems.
    wrong = [name for name in used if angles or name != "grad"]
    if not wrong:
        return None
    cartesian = " + ".join(f"u_{name}{name}" for name in spatial)
    verb = "is" if len(wrong) == 1 else "are"
    return (
        f"{' and '.join(wrong)} {verb} Cartesian: a Laplacian is {cartesian}, whatever the coordinates are called; "
        f"{_what_to_write(radius, angles, others)}"
    )


def _system(spatial: Sequence[str]) -> tuple[str | None, list[str], list[str]]:
    """The radius, angles and other coordinates; no radius and no angles where x and y are there."""
    if {"x", "y"} <= set(spatial):
        return None, [], list(spatial)
    angles = [name for name in spatial if name in _ANGLES]
    beside = bool(angles) or any(name in _HEIGHTS for name in spatial)
    radii = [name for name in spatial if name in _RADII or (beside and name in _RADII_BESIDE)]
    radius = radii[0] if len(radii) == 1 else None
    return radius, angles, [name for name in spatial if name != radius and name not in angles]


def _what_to_write(r: str | None, angles: Sequence[str], others: Sequence[str]) -> str:
    if r is None:
        return f"on a sphere, with the angle {angles[0]} from its pole, write {_on_sphere(*angles[:2])}"
    straight = "".join(f" + u.{name}{name}" for name in others)
    if len(angles) > 1:
        return (
            f"in spherical coordinates, with {angles[0]} from the pole, write u.{r}{r} + 2*u.{r}/{r} + "
            f"({_on_sphere(*angles[:2])})/{r}**2"
        )
    around = "".join(f" + u.{name}{name}/{r}**2" for name in angles)
    system = "cylindrical" if others else "polar"
    spherical = f" (in spherical ones u.{r}{r} + 2*u.{r}/{r})" if not angles and not others else ""
    return f"in {system} coordinates write u.{r}{r} + u.{r}/{r}{around}{straight}{spherical}"


def _on_sphere(pole: str, around: str) -> str:
    return f"u.{pole}{pole} + cos({pole})/sin({pole})*u.{pole} + u.{around}{around}/sin({pole})**2"
