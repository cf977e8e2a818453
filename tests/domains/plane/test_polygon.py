"""Polygons: areas by the shoelace formula, edges and their names, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from psinn_fast import Domain, InputError, Polygon

L = [(-1, -1), (1, -1), (1, 0), (0, 0), (0, 1), (-1, 1)]
NAMES = ["bottom", "right", "notch", "notch", "top", "left"]


def test_areas_and_lengths() -> None:
    rng = np.random.default_rng(0)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 200))
    corners = np.stack([np.cos(angle), np.sin(angle)], 1) * rng.uniform(0.5, 1, (200, 1)) + [3, -4]
    shape = Polygon(corners)
    x, y = corners.T
    assert shape.measure() == pytest.approx(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2, rel=1e-12)
    assert shape.measure("edge7") == pytest.approx(math.dist(corners[6], corners[7]), rel=1e-13)
    assert shape.parts == tuple(f"edge{i + 1}" for i in range(200))
    turned = shape.rotated(1.0, (0, 0))
    assert turned.measure() == pytest.approx(shape.measure(), rel=1e-12)
    assert np.linalg.norm(turned.boundary(400), axis=1) == pytest.approx(np.linalg.norm(shape.boundary(400), axis=1))


@pytest.mark.parametrize("corners", [L, L[::-1], [*L, L[0]], np.array(L, dtype=np.float32), torch.tensor(L)])
def test_edges_keep_their_names(corners: object) -> None:
    """Edge k leads from corner k to the next, in whichever order they go around."""
    shape = Polygon(corners, coords="r s")
    assert shape.coords == ("r", "s")
    assert shape.measure() == 3.0
    given = [tuple(map(float, corner)) for corner in corners][:6]
    for number, (start, end) in enumerate(zip(given, given[1:] + given[:1], strict=True)):
        points = shape.boundary(3, f"edge{number + 1}")
        np.testing.assert_allclose(points[1], np.add(start, end) / 2)
        assert shape.outside(points + 1e-4 * points.normals).all()
    Domain.check(shape)


def test_several_edges_are_one_part() -> None:
    shape = Polygon(L, NAMES)
    assert shape.parts == ("bottom", "right", "notch", "top", "left")
    notch = shape.boundary(10, "notch")
    assert (notch.normals == [[0, 1]] * 5 + [[1, 0]] * 5).all()
    assert shape.measure("notch") == 2.0
    assert [g.describe("xy") for g in shape.symmetries()] == ["x -> y, y -> x"]
    corners = np.array(L, dtype=float)
    shape = Polygon(corners)
    corners[:] = 0
    assert shape.measure() == 3.0
    assert shape.corners[1].tolist() == [1, -1]
    # A corner on a straight line only divides it.
    halves = Polygon([(0, 0), (1, 0), (2, 0), (2, 1), (0, 1)], ["inlet", "wall", "wall", "wall", "wall"])
    assert halves.measure("inlet") == 1.0


def test_points_on_the_boundary_count() -> None:
    square = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
    assert len(square.grid(11)) == 121
    assert len(square.rotated(math.pi / 2).grid(11)) == 121
    assert square.contains(np.array([[1, 1], [0.5, 1], [1, 0.3], [1 + 1e-9, 0.5], [0.5, -1e-9]])).tolist() == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Polygon([(0, 0), (1, 0)]), "corners: expected three or more, got 2"),
        (lambda: Polygon([(0, 0), (1, 0), (0, 0)]), "corners: expected three or more, got 2"),
        (lambda: Polygon([]), "corners"),
        (lambda: Polygon([0, 1, 2]), r"corners, coords: expected corners \(N, 2\) and two names, got shape \(3,\)"),
        (lambda: Polygon([(0, 0, 0), (1, 0, 0), (0, 1, 0)]), r"expected corners \(N, 2\)"),
        (lambda: Polygon(L, coords="x y z"), r"expected corners \(N, 2\) and two names"),
        (lambda: Polygon([(0, 0), (1, np.nan), (0, 1)]), "corners: 1 of 6 numbers are NaN"),
        (lambda: Polygon([(0, 0), (1, 0), (1, 0), (0, 1)]), r"numbers 2 and 3 are one, \(1, 0\)"),
        (lambda: Polygon([(0, 0), (1, 0), (0, 1), (1e-13, 0)]), r"numbers 4 and 1 are one"),
        (lambda: Polygon([(0, 0), (1, 1), (2, 2), (3, 3)]), "all are on one line"),
        (lambda: Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), r"edges 1 and 3 meet at \(0.5, 0.5\)"),
        (lambda: Polygon([(0, 0), (2, 0), (2, 1), (1, 0), (0, 1)]), r"edges 1 and 3 meet at \(1, 0\)"),
        (lambda: Polygon([(0, 0), (2, 0), (2, 2), (2, 1), (0, 1)]), r"edge 3 goes back along edge 2 from \(2, 2\)"),
        (lambda: Polygon([(0, 0), (1, 0), (0, 1), (0, 0.5), (1, 0), (2, 1)]), r"edges 1 and 4 meet at \(1, 0\)"),
        (lambda: Polygon(L, ["wall"] * 5), "parts: expected a list of 6 names, one for each edge, got"),
        (lambda: Polygon(L, "wall"), "parts: expected a list of 6 names"),
        (lambda: Polygon(L, {"wall": 6}), "parts: expected a list of 6 names"),
        (lambda: Polygon(L, [1] * 6), "parts: expected a list of 6 names"),
    ],
)
def test_bad_input(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_too_thin() -> None:
    sliver = Polygon([(0, 0), (1, 1), (1, 1.00001)])
    assert sliver.measure() == pytest.approx(5e-6, rel=1e-9)
    with pytest.raises(
        InputError, match=r"Polygon: it is too thin to draw points from: its area is 5e-06, and it holds"
    ):
        sliver.random(50, 0)
