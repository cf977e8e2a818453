"""Circular cylinders of finite length."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...kernels import checks
from ...kernels.errors import InputError
from ...language.names import Names, split_names
from ..domain import Domain, Mask

Points = npt.NDArray[np.float64]


class Cylinder(Domain):
    """The points not farther than ``radius`` from the line between two points, and between the planes across its ends,
    e.g. ``Cylinder((0, 0, 0), (0, 0, 2), 0.5)``: its axis may have any direction.

    Its parts are "side", "bottom", the disk around ``start``, and "top", that around ``end``. Even parameters of each
    are even in area.

    Args:
        start, end: the middles of both disks, three numbers each.
        radius: a number > 0.
        coords: names of the three coordinates, in the PDE's order.

    Raises:
        InputError: other than three coordinates, ends that are one, a radius that is not positive and finite.
    """

    parts = ("side", "bottom", "top")
    start: Points
    end: Points
    radius: float
    _frame: Points

    def __init__(self, start: Sequence[float], end: Sequence[float], radius: float, coords: Names = "x y z") -> None:
        ends = checks.numbers("start", start), checks.numbers("end", end)
        names, r = split_names(coords, "coords"), checks.number("radius", radius, above=0)
        if any(point.shape != (3,) for point in ends) or len(names) != 3:
            raise InputError(f"start, end, coords: expected three of each, got {start!r}, {end!r} and {coords!r}")
        axis = ends[1] - ends[0]
        if not axis.any():
            raise InputError(f"end: expected another point than start, got {end!r} for both")
        along = axis / np.linalg.norm(axis)
        # A disk across a direction n reaches r sqrt(1 - n_i^2) along coordinate i.
        reach = r * np.sqrt(np.maximum(1 - along**2, 0.0))
        low, high = np.minimum(*ends) - reach, np.maximum(*ends) + reach
        super().__init__(**{name: (a, b) for name, a, b in zip(names, low.tolist(), high.tolist(), strict=True)})
        self._have(start=ends[0], end=ends[1], radius=r, _frame=_frame(along))

    @property
    def height(self) -> float:
        """Of the axis, from start to end."""
        return float(np.linalg.norm(self.end - self.start))

    def signed_distance(self, points: npt.ArrayLike) -> Points:
        """(N,): negative inside, zero on the boundary; the larger of the distances to the side and to the planes."""
        own = (self._points(points) - self.start) @ self._frame.T
        across = np.hypot(own[:, 0], own[:, 1]) - self.radius
        return np.asarray(np.maximum(across, abs(own[:, 2] - self.height / 2) - self.height / 2))

    def contains(self, points: npt.ArrayLike) -> Mask:
        with np.errstate(over="ignore", invalid="ignore"):  # of infinite points, which are outside
            return np.asarray(self.signed_distance(points) <= 0)

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points]:
        if part == "side":
            around = _circle(unit[:, 1])
            return self._placed(self.radius * around, self.height * unit[:, :1]), around @ self._frame[:2]
        points = self.radius * np.sqrt(unit[:, :1]) * _circle(unit[:, 1])
        normals = np.tile(self._frame[2] if part == "top" else -self._frame[2], (len(unit), 1))
        return self._placed(points, np.full((len(unit), 1), self.height if part == "top" else 0.0)), normals

    def interior_at(self, unit: Points) -> Points:
        across = self.radius * np.sqrt(unit[:, 1:2]) * _circle(unit[:, 2])
        return self._placed(across, self.height * unit[:, :1])

    def elements(self, part: str, unit: Points) -> Points:
        return np.full(len(unit), self.measure(part))

    def measure(self, part: str | None = None) -> float:
        """Exactly: pi radius^2 height; of the side 2 pi radius height, of a disk pi radius^2."""
        disk = math.pi * self.radius**2
        if part is None:
            return disk * self.height
        self._some_parts(part)
        return 2 * math.pi * self.radius * self.height if part == "side" else disk

    def _placed(self, across: Points, along: Points) -> Points:
        """Points (N, 3) at places (N, 2) across the axis and (N, 1) along it."""
        return np.asarray(self.start + across @ self._frame[:2] + along * self._frame[2])


def _circle(unit: Points) -> Points:
    angle = 2 * math.pi * unit
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _frame(along: Points) -> Points:
    """(3, 3): two unit vectors across a third, and that; coordinates' own, if that is one of them."""
    first = np.eye(3)[int(np.argmin(abs(along)))]
    first = first - (first @ along) * along
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(along, first), along])
