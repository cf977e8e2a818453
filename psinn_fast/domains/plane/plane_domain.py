"""Plane domains: what follows from a boundary of exact curves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from ...frozen import frozen
from ...kernels import checks
from ...kernels.errors import InputError
from ...networks.groups import SignedPermutation, maps_of_box
from ..corners import reentrant
from ..domain import ON_BOUNDARY, Domain, Mask
from ..measured import Measured
from ..pointset import PointSet, Region
from ..quadrature import EVEN, apportioned, weights_of_lines
from ..unit import even, refuse_too_many
from .curves import Curve
from .outline import Outline, extent_of
from .scanning import is_near, is_within

Points = npt.NDArray[np.float64]

# Points that float64 puts beyond the boundary count, to this part of the longer side of the bounds.
_LAST_DIGITS = 1e-12
# Points of each curve: of an outline, and when symmetries are found.
_DRAWN, _TRIED = 257, 8


class PlaneDomain(Domain):
    """A domain of two coordinates within closed curves: segments and arcs of ellipses, whose points, normals, lengths
    and areas are exact. It is what shapes of the plane are combined to, moved to, and renamed to.

    Even parameters of a part are even in arc length, over all of its curves.
    """

    _outline: Outline

    def __init_subclass__(cls) -> None:
        is_ours = cls.__module__.startswith(f"{__name__.rpartition('.')[0]}.")
        for name in () if is_ours else ("contains", "boundary_at", "parts"):
            if name in cls.__dict__:
                raise InputError(
                    f"{cls.__name__}: {cls.__bases__[0].__name__} knows its boundary, its own {name} would not count; "
                    "derive from Domain"
                )
        super().__init_subclass__()

    def __init__(self, coords: Sequence[str], outline: Outline) -> None:
        ends = zip(*(end.tolist() for end in outline.extent), strict=True)
        super().__init__(**dict(zip(coords, ends, strict=True)))
        self._have(_outline=outline, parts=tuple(outline.parts))

    @property
    def centre(self) -> Points:
        return np.asarray(frozen((self.low + self.high) / 2))

    def contains(self, points: npt.ArrayLike) -> Mask:
        given, curves = self._points(points), self._outline.curves
        found = is_within(curves, given)
        rest = np.flatnonzero(~found)
        found[rest] = is_near(curves, given[rest], self._outline.slack(_LAST_DIGITS))
        return found

    def on_boundary(self, points: npt.ArrayLike, slack: float = ON_BOUNDARY) -> Mask:
        given = self._points(points)
        # Far from the origin rounding errors are more than the slack.
        return super().on_boundary(given, slack) | is_near(self._outline.curves, given, self._outline.slack(0.0))

    def surface(self, part: str, unit: Points) -> tuple[Points, Points]:
        """`boundary_at`, in which nothing can be wrong."""
        self._some_parts(part)
        return self.boundary_at(part, unit)

    def check(self) -> None:
        """
        Raises:
            InputError: it is too thin to draw points from.
        """
        self.random(1, 0)

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points]:
        curves = self._outline.parts[part]
        ends = np.cumsum([curve.length for curve in curves])
        along = unit[:, 0] * ends[-1]
        which = np.minimum(np.searchsorted(ends, along, "right"), len(curves) - 1)
        points, normals = np.empty((len(unit), 2)), np.empty((len(unit), 2))
        for number, curve in enumerate(curves):
            rows = which == number
            share = 1 + (along[rows] - ends[number]) / curve.length
            points[rows], normals[rows] = curve.at(share.clip(0, 1))
        return points, normals

    def boundary(self, n: int, part: str | Sequence[str] | None = None) -> PointSet:
        """``n`` points spread evenly over one part, several (a list) or all, by length; if n allows, each of the curves
        gets one."""
        n = checks.integer("n", n, 1)
        refuse_too_many(n)
        parts = self._chosen_parts(part)
        curves = self._curves_of(parts)
        shares = zip(curves, apportioned([curve.length for curve in curves], n), strict=True)
        return Region(self, parts).joined([curve.at(even(own, 1)[:, 0]) for curve, own in shares], EVEN)

    def weights_on(self, parts: Sequence[str], n: int) -> Points:
        curves = self._curves_of(parts)
        are_closed = [curve.start == curve.end for curve in curves]
        return weights_of_lines([curve.length for curve in curves], are_closed, n)

    def elements(self, part: str, unit: Points) -> Points:
        return np.full(len(unit), self.measure(part))

    def _curves_of(self, parts: Sequence[str]) -> list[Curve]:
        return [curve for name in parts for curve in self._outline.parts[name]]

    def measure(self, part: str | None = None) -> float:
        """Of the domain its area, of a part its length, exactly."""
        if part is None:
            return self._outline.area
        self._some_parts(part)
        return self._measured[part].size

    def outline(self) -> list[Points]:
        steps = np.linspace(0, 1, _DRAWN)
        return [curve.at(steps)[0] for curve in self._outline.curves]

    @cached_property
    def _measured(self) -> dict[str, Measured]:
        return {part: _measured(curves) for part, curves in self._outline.parts.items()}

    @cached_property
    def _reentrant_corners(self) -> Points:
        ends = [end for curve in self._outline.curves if curve.start != curve.end for end in (curve.start, curve.end)]
        found = reentrant(self, np.array(ends).reshape(-1, 2))
        found.flags.writeable = False
        return found

    @cached_property
    def _symmetries(self) -> tuple[SignedPermutation, ...]:
        """Those that take the boundary to itself, about the centre of the bounds, which are tight."""
        curves = self._outline.curves
        edge = np.concatenate([curve.at((np.arange(_TRIED) + 0.4) / _TRIED)[0] for curve in curves]) - self.centre
        slack = self._outline.slack(ON_BOUNDARY)
        return tuple(g for g in maps_of_box([1.0, 1.0]) if is_near(curves, self.centre + g(edge), slack).all())

    @property
    def _has_exact_sizes(self) -> bool:
        return True

    def _some_parts(self, part: object) -> tuple[str, ...]:
        if isinstance(part, str) and part in self._outline.vanished:
            raise InputError(
                f"part: nothing is left of {part!r} on the boundary of {self}: it lies out of the domain, or within; "
                f"what is left are {list(self.parts)}"
            )
        return super()._some_parts(part)

    def _refuse_empty(self, kept: int, tried: int) -> None:
        try:
            super()._refuse_empty(kept, tried)
        except InputError:
            self._refuse_thin(kept, tried)

    def _refuse_thin(self, kept: int, tried: int) -> NoReturn:
        raise InputError(
            f"{type(self).__name__}: it is too thin to draw points from: its area is {self.measure():.2g}, "
            f"and it holds {kept} of {tried:,} points within the bounds of {self}"
        ) from None


def _measured(curves: Sequence[Curve]) -> Measured:
    low, high = frozen(extent_of(curves))
    return Measured(sum(curve.length for curve in curves), low, high)
