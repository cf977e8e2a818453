"""Places between points of an array: inside the region that they describe, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from psinn_fast.training.points.between import neighbours

FloatArray = np.ndarray


def grid(*counts: int) -> FloatArray:
    axes = np.meshgrid(*[np.linspace(0, 1, n) for n in counts], indexing="ij")
    return np.stack([axis.ravel() for axis in axes], 1)


def middles(points: FloatArray, straight: bool = False) -> FloatArray:
    i, j = neighbours(points, np.random.default_rng(0), straight)
    return (points[i] + points[j]) / 2


def cloud(n: int) -> FloatArray:
    return np.random.default_rng(1).random((n, 2))


def outside_slab(x: FloatArray) -> FloatArray:
    return (x[:, 0] < 0.4) | (x[:, 0] > 0.6)


def in_l(x: FloatArray) -> FloatArray:
    return (x[:, 0] < 0.5) | (x[:, 1] < 0.5)


def outside_disk(x: FloatArray) -> FloatArray:
    return ((x - 0.5) ** 2).sum(1) > 0.04


SQUARE, GRADED = grid(41, 41), grid(41, 41) ** 2


@pytest.mark.parametrize("region", [outside_slab, in_l, outside_disk])
@pytest.mark.parametrize(("points", "slack"), [(SQUARE, 0.015), (cloud(3_000), 0.02), (grid(120, 20), 0.03)])
def test_neither_a_hole_nor_a_notch_nor_a_missing_slab_has_points_between(
    points: FloatArray, slack: float, region: Callable[[FloatArray], FloatArray]
) -> None:
    given = points[region(points)]
    found = middles(given)
    assert len(found) > 300
    # A corner of the mask's staircase may be cut off; nothing lies further out than half a gap.
    moved = [found + slack * np.array([a, b]) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    assert np.any([region(x) for x in moved], 0).all()
    assert (region(found).mean()) > 0.97


@pytest.mark.parametrize(
    ("points", "least_share"), [(SQUARE, 0.4), (grid(400, 20), 0.4), (GRADED, 0.4), (grid(21, 21) * [1e-6, 1e6], 0.4)]
)
def test_gaps_along_every_axis_are_found_whatever_the_spacing(points: FloatArray, least_share: float) -> None:
    """A network that hides its errors between the rows of an uneven grid is seen too."""
    i, j = neighbours(points, np.random.default_rng(0), False)
    step = points[j] - points[i]
    assert ((step != 0).sum(1) == 1).all()
    for axis in range(2):
        assert (step[:, axis] != 0).mean() > least_share


def test_a_line() -> None:
    points = np.array([0.0, 0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0])[:, None]
    found = np.unique(middles(np.random.default_rng(0).permutation(points)).round(12))
    np.testing.assert_allclose(found, [0.05, 0.15, 0.25, 0.75, 0.85, 0.95])
    assert len(np.unique(middles(np.linspace(0, 1, 401)[:, None]).round(12))) == 400


def test_three_and_four_dimensions() -> None:
    for points in (grid(9, 9, 9), grid(5, 6, 5, 6)):
        step = np.subtract(*(points[k] for k in neighbours(points, np.random.default_rng(0), False)))
        assert ((step != 0).sum(1) == 1).all()
        assert (np.abs(step).max(1) < 0.26).all()


def test_boundaries() -> None:
    """On straight pieces, never across the domain; a curved one is left by every chord."""
    s = np.linspace(0, 1, 50)
    zero, one = np.zeros(50), np.ones(50)
    square = np.concatenate([np.stack(side, 1) for side in ((s, zero), (s, one), (zero, s), (one, s))])
    found = middles(square, straight=True)
    assert len(found) > 300
    assert (np.minimum(found, 1 - found).min(1) == 0).all()
    angle = np.linspace(0, 2 * np.pi, 101)[:-1]
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    for curve in (circle, circle * [1, 0.3]):
        assert len(middles(curve, straight=True)) == 0
        chords = middles(curve)
        assert len(chords) >= 150
        assert np.abs(np.linalg.norm(chords / curve.max(0), axis=1) - 1).max() < 0.01


@pytest.mark.parametrize(
    "points", [np.zeros((1, 2)), np.zeros((9, 2)), np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0]])]
)
def test_too_few_points(points: FloatArray) -> None:
    i, j = neighbours(points, np.random.default_rng(0), False)
    assert len(i) == len(j) == 0


def test_points_that_occur_twice() -> None:
    points = np.concatenate([SQUARE, SQUARE])
    i, j = neighbours(points, np.random.default_rng(0), False)
    assert len(i) > 300
    assert (np.linalg.norm(points[i] - points[j], axis=1) > 0.02).all()


def test_very_many_points() -> None:
    assert len(middles(cloud(100_000))) > 500
