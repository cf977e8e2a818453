"""Boxes: products of intervals, whose parts are their faces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..frozen import frozen
from ..kernels.errors import InputError
from ..language.names import normal
from ..networks.groups import SignedPermutation, maps_of_box
from .domain import ON_BOUNDARY, Domain, Mask
from .pointset import PointSet, Region
from .unit import OFFSET, counts, mesh

Points = npt.NDArray[np.float64]

_ENDS = ("low", "high")


class Box(Domain):
    """A product of intervals, e.g. ``Box(t=(0, 1), x=(-1, 1))``; the order of the names is that of the columns.

    Its parts are its faces, "t_low", "t_high", "x_low", "x_high". Points of faces are evenly spaced, as many along each
    axis as asked for, and every face gets as many of a set as any other.
    """

    is_box = True

    def __init_subclass__(cls) -> None:
        for name in ("contains", "boundary_at", "parts"):
            if name in cls.__dict__:
                raise InputError(
                    f"{cls.__name__}: a Box is all of its bounds, its own {name} would not count; derive from Domain"
                )
        super().__init_subclass__()

    def __init__(self, /, **intervals: tuple[float, float]) -> None:
        if not intervals:
            raise InputError("intervals: expected at least one, e.g. Box(x=(-1, 1))")
        super().__init__(**intervals)
        self._have(parts=tuple(f"{coord}_{end}" for coord in self.coords for end in _ENDS))

    def __repr__(self) -> str:
        ends = zip(self.coords, self.low, self.high, strict=True)
        return f"Box({', '.join(f'{name}={_text(low, high)}' for name, low, high in ends)})"

    @property
    def interval_axes(self) -> tuple[int, ...]:
        return tuple(range(len(self.coords)))

    @property
    def centre(self) -> Points:
        return np.asarray(frozen((self.low + self.high) / 2))

    def face(self, coord: str, end: str, n: int | Sequence[int]) -> PointSet:
        """Evenly spaced points on the face where ``coord`` is at its ``"low"`` or ``"high"`` end."""
        if not isinstance(coord, str) or normal(coord) not in self.coords:
            raise InputError(f"coord: expected one of {list(self.coords)}, got {coord!r}")
        if end not in _ENDS:
            raise InputError(f"end: expected 'low' or 'high', got {end!r}")
        return self.boundary(n, f"{normal(coord)}_{end}")

    def boundary(self, n: int | Sequence[int], part: str | Sequence[str] | None = None) -> PointSet:
        """Evenly spaced points, ``n`` along each axis of one face, or of each of several (a list), or of all faces."""
        parts = self._chosen_parts(part)
        along = counts(n, len(self.coords) - 1)
        points = np.concatenate([self._on_face(name, [np.linspace(0, 1, k) for k in along]) for name in parts])
        normals = np.repeat([self._normal(name) for name in parts], len(points) // len(parts), axis=0)
        return PointSet.of(points, Region(self, parts), normals, tuple(along))

    def unseen_parts(self, n: int) -> dict[str, Points]:
        """All faces, offset like `unseen_grid`."""
        steps = [(np.arange(k) + OFFSET) / k for k in counts(n, len(self.coords) - 1)]
        return {part: self._on_face(part, steps) for part in self.parts}

    def check(self) -> None:
        """Nothing can be wrong with a box."""

    def contains(self, points: npt.ArrayLike) -> Mask:
        """Which of the points (N, d) lie in the box, but for the rounding errors of float32: (N,)."""
        return ~self.outside(points)

    def outside(self, points: npt.ArrayLike) -> Mask:
        return self._beyond_bounds(self._points(points))

    def on_boundary(self, points: npt.ArrayLike, slack: float = ON_BOUNDARY) -> Mask:
        given, widths = self._points(points), slack * (self.high - self.low)
        return np.asarray(((abs(given - self.low) < widths) | (abs(self.high - given) < widths)).any(1))

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points]:
        axis, end = self._face(part)
        points = self.from_unit(np.insert(unit, axis, 0.0, axis=1))
        points[:, axis] = end
        return points, np.tile(self._normal(part), (len(unit), 1))

    def extent(self, part: str) -> tuple[Points, Points]:
        axis, end = self._face(part)
        low, high = self.low.copy(), self.high.copy()
        low[axis] = high[axis] = end
        return low, high

    def measure(self, part: str | None = None) -> float:
        sides = self.high - self.low
        if part is not None:
            self._some_parts(part)
            sides = np.delete(sides, self._face(part)[0])
        return float(np.prod(sides))

    def elements(self, part: str, unit: Points) -> Points:
        return np.full(len(unit), self.measure(part))

    def shares(self, parts: Sequence[str], n: int) -> list[int]:
        return [len(share) for share in np.array_split(np.empty(n), len(parts))]

    def interior_at(self, unit: Points) -> Points:
        return self.from_unit(unit)

    def unit_on(self, part: str, unit: Points) -> Points:
        return np.delete(unit, self._face(part)[0], axis=1)

    def shrunk(self, coord: str, origin: float, factor: float) -> Box:
        axis = self.coords.index(coord)
        ends = [(low, high) for low, high in zip(self.low.tolist(), self.high.tolist(), strict=True)]
        low, high = ends[axis]
        ends[axis] = origin + factor * (low - origin), origin + factor * (high - origin)
        return Box(**dict(zip(self.coords, ends, strict=True)))

    @cached_property
    def _reentrant_corners(self) -> Points:
        found = np.empty((0, len(self.coords)))
        found.flags.writeable = False
        return found

    @cached_property
    def _symmetries(self) -> tuple[SignedPermutation, ...]:
        """Reflections, and exchanges of coordinates of which the box has equal sides."""
        return tuple(maps_of_box((self.high - self.low) / (self.high - self.low).max()))

    @property
    def _has_exact_sizes(self) -> bool:
        return True

    def _distances(self, points: Points, part: str) -> Points:
        axis, end = self._face(part)
        return np.asarray(abs(points[:, axis] - end))

    def _face(self, part: str) -> tuple[int, float]:
        """The axis that a face is across, and where on it."""
        number = self.parts.index(part)
        axis = number // 2
        return axis, float((self.low if number % 2 == 0 else self.high)[axis])

    def _normal(self, part: str) -> Points:
        number = self.parts.index(part)
        vector = np.zeros(len(self.coords))
        vector[number // 2] = 1.0 if number % 2 else -1.0
        return vector

    def _on_face(self, part: str, steps: Sequence[Points]) -> Points:
        number = self.parts.index(part)
        axis = number // 2
        unit = mesh([*steps[:axis], np.array([float(number % 2)]), *steps[axis:]])
        return np.asarray(self.low * (1 - unit) + self.high * unit)


def _text(low: float, high: float) -> str:
    """The interval in six digits, or as many as it takes to see its width."""
    short = f"({low:g}, {high:g})"
    is_wide = high - low > 1e-3 * max(abs(low), abs(high))
    return short if is_wide else f"({low:.10g}, {high:.10g})"
