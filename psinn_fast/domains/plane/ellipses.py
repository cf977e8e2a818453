"""Disks and ellipses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...kernels import checks
from ...kernels.errors import InputError
from ...language.names import Names, split_names
from ..domain import Mask
from .curves import Arc
from .outline import Outline
from .plane_domain import PlaneDomain

Points = npt.NDArray[np.float64]


class Ellipse(PlaneDomain):
    """The points with ((x - centre_x) / a)^2 + ((y - centre_y) / b)^2 <= 1, e.g. ``Ellipse((1, 0), (2, 0.5))``.

    Its boundary has one part, "rim". Even parameters of it are even in arc length, counterclockwise from the point with
    the largest first coordinate. Ellipses whose axes are not the coordinates' are `rotated`.

    Args:
        centre: two numbers.
        semi_axes: a and b > 0, half of the width and half of the height.
        coords: names of the two coordinates, in the PDE's order.

    Raises:
        InputError: other than two coordinates, semi-axes that are not positive and finite.
    """

    def __init__(
        self, centre: Sequence[float] = (0.0, 0.0), semi_axes: Sequence[float] = (1.0, 1.0), coords: Names = "x y"
    ) -> None:
        axes = checks.numbers("semi_axes", semi_axes)
        if axes.shape != (2,) or not (axes > 0).all():
            raise InputError(f"semi_axes: expected two numbers > 0, half of the width and height, got {semi_axes!r}")
        middle, names = _plane(centre, coords)
        arc = Arc.round((float(middle[0]), float(middle[1])), (float(axes[0]), float(axes[1])))
        super().__init__(names, Outline.of([arc], ["rim"], ["rim"]))
        self._have(middle=middle, semi_axes=axes)


class Disk(PlaneDomain):
    """The points (x, y) with |(x, y) - centre| <= radius, e.g. ``Disk((1, 0), 2)``.

    Its boundary has one part, "rim". Even parameters of it are even angles, from the x axis towards the y axis.

    Args:
        centre: two numbers.
        radius: a number > 0.
        coords: names of the two coordinates, in the PDE's order.

    Raises:
        InputError: other than two coordinates, a radius that is not positive and finite.
    """

    parts = ("rim",)
    middle: Points
    radius: float

    def __init__(self, centre: Sequence[float] = (0.0, 0.0), radius: float = 1.0, coords: Names = "x y") -> None:
        middle, names = _plane(centre, coords)
        r = checks.number("radius", radius, above=0)
        arc = Arc.round((float(middle[0]), float(middle[1])), (r, r))
        super().__init__(names, Outline.of([arc], ["rim"], ["rim"]))
        self._have(middle=middle, radius=r)

    def contains(self, points: npt.ArrayLike) -> Mask:
        with np.errstate(over="ignore"):  # of points as far as numbers go
            return np.asarray(np.linalg.norm(self._points(points) - self.middle, axis=1) <= self.radius)

    def interior_at(self, unit: Points) -> Points:
        radius, angle = self.radius * np.sqrt(unit[:, :1]), 2 * math.pi * unit[:, 1]
        return np.asarray(self.middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def _plane(centre: Sequence[float], coords: Names) -> tuple[Points, tuple[str, ...]]:
    middle, names = checks.numbers("centre", centre), split_names(coords, "coords")
    if middle.shape != (2,) or len(names) != 2:
        raise InputError(f"centre, coords: expected two of each, got {centre!r} and {coords!r}")
    return middle, names
