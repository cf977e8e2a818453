"""Disks: circles with what is inside."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError
from ..language.names import Names, split_names
from .domain import Domain, Mask

Points = npt.NDArray[np.float64]


class Disk(Domain):
    """The points (x, y) with |(x, y) - centre| <= radius, e.g. ``Disk((1, 0), 2)``.

    Its boundary has one part, "rim". Even parameters of it are even angles, from the x axis towards the y axis.

    Args:
        centre: two numbers.
        radius: > 0.
        coords: names of the two coordinates, in the PDE's order.

    Raises:
        InputError: other than two coordinates, a radius that is not positive and finite.
    """

    parts = ("rim",)
    middle: Points
    radius: float

    def __init__(self, centre: Sequence[float] = (0.0, 0.0), radius: float = 1.0, coords: Names = "x y") -> None:
        middle, names = checks.numbers("centre", centre), split_names(coords, "coords")
        if middle.shape != (2,) or len(names) != 2:
            raise InputError(f"centre, coords: expected two of each, got {centre!r} and {coords!r}")
        r = checks.number("radius", radius, above=0)
        super().__init__(**{name: (c - r, c + r) for name, c in zip(names, middle.tolist(), strict=True)})
        self._have(middle=middle, radius=r)

    def contains(self, points: Points) -> Mask:
        return np.asarray(np.linalg.norm(points - self.middle, axis=1) <= self.radius)

    def boundary_at(self, part: str, unit: Points) -> tuple[Points, Points]:
        angle = 2 * math.pi * unit[:, 0]
        normals = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return self.middle + self.radius * normals, normals

    def interior_at(self, unit: Points) -> Points:
        radius, angle = self.radius * np.sqrt(unit[:, :1]), 2 * math.pi * unit[:, 1]
        return np.asarray(self.middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
