"""Balls: spheres with what is inside."""

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


class Ball(Domain):
    """The points (x, y, z) with |(x, y, z) - centre| <= radius, e.g. ``Ball((1, 0, 0), 2)``.

    Its boundary has one part, "sphere". Even parameters of it are even in area: the first along the third coordinate,
    the second around it.

    Args:
        centre: three numbers.
        radius: a number > 0.
        coords: names of the three coordinates, in the PDE's order.

    Raises:
        InputError: other than three coordinates, a radius that is not positive and finite.
    """

    parts = ("sphere",)
    middle: Points
    radius: float

    def __init__(self, centre: Sequence[float] = (0.0, 0.0, 0.0), radius: float = 1.0, coords: Names = "x y z") -> None:
        middle, names = checks.numbers("centre", centre), split_names(coords, "coords")
        if middle.shape != (3,) or len(names) != 3:
            raise InputError(f"centre, coords: expected three of each, got {centre!r} and {coords!r}")
        r = checks.number("radius", radius, above=0)
        super().__init__(**{name: (c - r, c + r) for name, c in zip(names, middle.tolist(), strict=True)})
        self._have(middle=middle, radius=r)

    def signed_distance(self, points: npt.ArrayLike) -> Points:
        """(N,): how far the points (N, 3) are from the sphere, negative inside."""
        away = self._points(points) - self.middle
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", away, away)) - self.radius)

    def contains(self, points: npt.ArrayLike) -> Mask:
        with np.errstate(over="ignore"):  # of points as far as numbers go
            return np.asarray(self.signed_distance(points) <= 0)

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points]:
        normals = _directions(unit)
        return self.middle + self.radius * normals, normals

    def interior_at(self, unit: Points) -> Points:
        return np.asarray(self.middle + self.radius * np.cbrt(unit[:, :1]) * _directions(unit[:, 1:]))

    def elements(self, part: str, unit: Points) -> Points:
        return np.full(len(unit), self.measure(part))

    def measure(self, part: str | None = None) -> float:
        """4/3 pi radius^3, of the sphere 4 pi radius^2."""
        if part is not None:
            self._some_parts(part)
            return 4 * math.pi * self.radius**2
        return 4 / 3 * math.pi * self.radius**3


def _directions(unit: Points) -> Points:
    """Unit vectors (N, 3) for parameters (N, 2): their last components are as even as their angles (Archimedes)."""
    last, angle = 2 * unit[:, 0] - 1, 2 * math.pi * unit[:, 1]
    across = np.sqrt(np.maximum(1 - last**2, 0.0))
    return np.stack([across * np.cos(angle), across * np.sin(angle), last], axis=1)
