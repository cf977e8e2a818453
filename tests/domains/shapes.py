"""Domains as users write them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from psinn_fast import Domain


class LShape(Domain):
    """The square [-1, 1]^2 without its upper right quarter."""

    CORNERS = np.array([[-1, -1], [1, -1], [1, 0], [0, 0], [0, 1], [-1, 1], [-1, -1]], dtype=float)
    parts = ("bottom", "right", "notch_bottom", "notch_left", "top", "left")

    def __init__(self) -> None:
        super().__init__(x=(-1, 1), y=(-1, 1))

    def contains(self, points):
        return ~((points > 0).all(1))

    def boundary_at(self, part, unit):
        start, end = list(pairwise(self.CORNERS))[self.parts.index(part)]
        along = (end - start) / np.linalg.norm(end - start)
        return start + unit * (end - start), np.tile([along[1], -along[0]], (len(unit), 1))


class Ring(Domain):
    """Between two circles about a point; x before y."""

    parts = ("inner", "outer")

    def __init__(self, centre: tuple[float, float] = (0.0, 0.0), inner: float = 0.5, outer: float = 1.0) -> None:
        self.middle, self.radii = np.array(centre), {"inner": inner, "outer": outer}
        (x, y), r = centre, outer
        super().__init__(x=(x - r, x + r), y=(y - r, y + r))

    def contains(self, points):
        distance = np.linalg.norm(points - self.middle, axis=1)
        return (distance >= self.radii["inner"]) & (distance <= self.radii["outer"])

    def boundary_at(self, part, unit):
        angle = 2 * np.pi * unit[:, 0]
        normals = np.stack([np.cos(angle), np.sin(angle)], 1)
        return self.middle + self.radii[part] * normals, normals if part == "outer" else -normals


class Ball(Domain):
    """The unit ball of three dimensions, without normals."""

    parts = ("sphere",)

    def __init__(self) -> None:
        super().__init__(x=(-1, 1), y=(-1, 1), z=(-1, 1))

    def contains(self, points):
        return (points**2).sum(1) <= 1

    def boundary_at(self, part, unit):
        angle, z = 2 * np.pi * unit[:, 0], 2 * unit[:, 1] - 1
        r = np.sqrt(1 - z**2)
        return np.stack([r * np.cos(angle), r * np.sin(angle), z], 1), None
