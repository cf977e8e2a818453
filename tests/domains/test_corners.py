"""Re-entrant corners: where they are, and points that are denser towards them."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from domains.shapes import Ball, LShape, Ring

from psinn_fast import Box, Disk, Domain, Polygon
from psinn_fast.domains import Cornered, region_of
from psinn_fast.domains.unit import sobol

SQUARE = Box(x=(0, 1), y=(0, 1))


class OnePart(LShape):
    """An L whose boundary is one part, along which there are corners at uneven parameters."""

    parts = ("all",)

    def boundary_at(self, part, unit):
        ends = np.linalg.norm(np.diff(self.CORNERS, axis=0), axis=1).cumsum()
        s, steps = unit[:, 0] * ends[-1], np.concatenate([[0.0], ends])
        return np.stack([np.interp(s, steps, column) for column in self.CORNERS.T], 1), None


class Heart(Domain):
    """Where a smooth curve meets itself at its ends, inwards: a cardioid, r = 1 - cos(angle)."""

    parts = ("curve",)

    def __init__(self) -> None:
        super().__init__(x=(-2, 0.25), y=(-1.3, 1.3))

    def contains(self, points):
        x, y = points.T
        return np.hypot(x, y) <= 1 - np.cos(np.arctan2(y, x)) + 1e-9

    def boundary_at(self, part, unit):
        angle = 2 * math.pi * unit[:, 0]
        return (1 - np.cos(angle))[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), None


CORNERS = {
    "an L": (LShape(), [[0, 0]]),
    "an L of one part": (OnePart(), [[0, 0]]),
    "a polygon, clockwise": (Polygon([[0, 0], [0, 1], [1, 1], [0.5, 0.5], [1, 0]]), [[0.5, 0.5]]),
    "a hole": (SQUARE - Box(x=(0.4, 0.6), y=(0.3, 0.6)), [[0.4, 0.3], [0.4, 0.6], [0.6, 0.3], [0.6, 0.6]]),
    "two disks": (Disk() | Disk((1, 0), 1), [[0.5, -math.sqrt(0.75)], [0.5, math.sqrt(0.75)]]),
    "a cusp": (Heart(), [[0, 0]]),
    "a notch": (SQUARE - Disk((0.5, 0), 0.2), []),
    "a rim": (Disk(), []),
    "a ring": (Ring(), []),
    "a box": (SQUARE, []),
    "a ball": (Ball(), []),
    "an L over a time": (LShape() * Box(t=(0, 1)), []),
    "a line": (Box(x=(0, 1)), []),
}


@pytest.mark.parametrize("name", CORNERS)
def test_where_they_are(name: str) -> None:
    domain, expected = CORNERS[name]
    found = domain.reentrant_corners()
    assert found.shape == (len(expected), len(domain.coords))
    assert np.allclose(
        np.array(sorted(found.round(9).tolist())).reshape(found.shape), np.array(expected).reshape(found.shape)
    )
    assert not found.flags.writeable


@pytest.mark.parametrize("name", ["an L", "a hole", "two disks"])
def test_a_mean_over_densely_drawn_points(name: str) -> None:
    """Divided by the density, it is one over the area; a third of the points is about corners."""
    domain = CORNERS[name][0]
    region = Cornered(domain)
    drawn = region.drawn(8192, sobol(2, np.random.default_rng(0)))
    points, even = np.asarray(drawn), np.asarray(domain.random(1 << 16, 1))
    assert not domain.outside(points).any()
    shares = 1 / region.density(points)
    assert shares.mean() == pytest.approx(1, abs=0.01)

    def values(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(x[:, 0]) * (1 + x[:, 1] ** 2) * region.weight(x))

    assert (shares * values(points)).mean() == pytest.approx(values(even).mean(), rel=0.01)
    assert drawn.weights @ values(points) == pytest.approx(domain.measure() * values(even).mean(), rel=0.01)
    corner = domain.reentrant_corners()[0]
    near, usual = ((np.linalg.norm(x - corner, axis=1) < 0.01).mean() for x in (points, even))
    assert near > 10 * usual


def test_weights_of_squares() -> None:
    region = Cornered(LShape())
    places = np.array([[-0.5, 0.0], [-0.125, 0.0], [-1, -1], [0, 0]])
    assert region.weight(places) == pytest.approx([1, 1 / 8, 1, 1e-6])


def test_they_say_what_they_stand_for() -> None:
    unit = sobol(2, np.random.default_rng(0))
    drawn = Cornered(LShape()).drawn(100, unit)
    region = region_of(pickle.loads(pickle.dumps(drawn)))
    assert isinstance(region, Cornered)
    assert region.text == "the interior, denser towards re-entrant corners"
    again = region.drawn(100, sobol(2, np.random.default_rng(0)))
    assert np.array_equal(again, drawn)
