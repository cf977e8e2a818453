"""Weights of points: integrals in closed form, over lines, rims, faces and what lies inside."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from shapes import Ball, LShape, Ring

from psinn_fast import Box, Disk, Ellipse, Polygon
from psinn_fast.domains import Domain, PointSet, Region


def integral(points: PointSet, values: np.ndarray) -> float:
    assert points.weights is not None
    return float(points.weights @ values)


class Curve(Domain):
    """The upper half of an ellipse, at even angles: its points are not even in length."""

    parts = ("arc", "axis")

    def __init__(self) -> None:
        super().__init__(x=(-2, 2), y=(0, 1))

    def contains(self, points):
        return (points[:, 0] / 2) ** 2 + points[:, 1] ** 2 <= 1 + 1e-12

    def boundary_at(self, part, unit):
        angle = math.pi * unit[:, 0]
        if part == "axis":
            return np.stack([-2 + 4 * unit[:, 0], 0 * angle], 1), None
        return np.stack([2 * np.cos(angle), np.sin(angle).clip(0)], 1), None


@pytest.mark.parametrize("n", [2, 5, 7, 12, 40])
def test_a_grid_of_a_box(n: int) -> None:
    """Exact for polynomials up to degree n - 1 along each axis, and at most 5."""
    grid = Box(x=(0, 2), y=(-1, 3)).grid([n, 9])
    x, y, k = grid[:, 0], grid[:, 1], min(n, 6) - 1
    assert integral(grid, x**k * (1 + y**5)) == pytest.approx(2 ** (k + 1) / (k + 1) * (4 + (729 - 1) / 6), rel=1e-12)


def test_smooth_functions_on_faces() -> None:
    """The error falls by the seventh power."""
    box = Box(x=(0, 1), y=(0, 1))
    errors = []
    for n in (20, 40):
        face = box.face("x", "high", n)
        errors.append(abs(integral(face, np.exp(face[:, 1]) * np.sin(3 * face[:, 1])) - exact_exp_sin()))
    assert errors[0] < 1e-7
    assert errors[1] < errors[0] / 2**6
    every = box.boundary(9)
    assert integral(every, np.ones(36)) == pytest.approx(4, rel=1e-13)
    assert integral(every, every[:, 0]) == pytest.approx(2, rel=1e-13)


def exact_exp_sin() -> float:
    return (math.e * (math.sin(3) - 3 * math.cos(3)) + 3) / 10


def test_a_box_of_one_and_of_three_coordinates() -> None:
    line = Box(x=(0, 3))
    assert line.boundary(2).weights.tolist() == [1.0, 1.0]
    assert integral(line.grid(6), line.grid(6)[:, 0] ** 4) == pytest.approx(3**5 / 5)
    cube = Box(x=(0, 1), y=(0, 2), z=(0, 3))
    face = cube.face("y", "low", [5, 6])
    assert integral(face, face[:, 0] ** 2 * face[:, 2] ** 3) == pytest.approx(27 / 4)


def test_around_a_rim() -> None:
    """The rule of a smooth closed curve is as good as it gets: exact for trigonometric polynomials."""
    disk = Disk((1, 2), 0.5)
    rim = disk.boundary(9)
    x = (rim[:, 0] - 1) / 0.5
    assert integral(rim, np.ones(9)) == pytest.approx(math.pi, rel=1e-9)
    assert integral(rim, x**8) == pytest.approx(math.pi * math.comb(8, 4) / 2**8, rel=1e-9)


def test_the_divergence_theorem() -> None:
    ring = Ring((0.3, 0.0), 0.5, 1.0)
    edge = ring.boundary(60)
    assert edge.normals is not None
    assert integral(edge, (np.asarray(edge) * edge.normals).sum(1)) == pytest.approx(2 * math.pi * 0.75, rel=1e-9)
    ell = LShape().boundary(60)
    assert ell.normals is not None
    flux = ell[:, 0] ** 3 * ell.normals[:, 0]
    assert integral(ell, flux) == pytest.approx(2 * 1 + 1, rel=1e-12)  # of 3 x^2
    assert integral(LShape().boundary(12, "right"), np.ones(12)) == pytest.approx(1)


def test_curves_of_a_combination() -> None:
    """Each curve of a part has a rule of its own: corners within a part are no matter."""
    plate = (Box(x=(0, 2), y=(0, 1)) - Disk((0, 0), 0.5) - Ellipse((1.2, 0.5), (0.4, 0.2))).renamed({"x_low": "y_low"})
    for n, error in ((80, 2e-3), (320, 1e-8)):
        edge = plate.boundary(n)
        assert edge.normals is not None
        x = np.asarray(edge)
        assert integral(edge, np.ones(n)) == pytest.approx(sum(map(plate.measure, plate.parts)), rel=1e-12)
        flux = np.stack([x[:, 0] ** 3, x[:, 1]], 1)  # its divergence is 3 x^2 + 1
        inside = 8 + 2 - (math.pi / 16 * (1 + 3 / 16)) - (math.pi * 0.08 * (1 + 3 * (1.44 + 0.04)))
        assert integral(edge, (flux * edge.normals).sum(1)) == pytest.approx(inside, abs=error)


def test_uneven_parameters() -> None:
    """Points weigh by the length that they stand for."""
    arc = Curve().boundary(200, "arc")
    assert integral(arc, np.ones(200)) == pytest.approx(4.844224110273838, rel=1e-9)  # half of an ellipse
    both = Curve().boundary(300)
    assert integral(both, np.ones(300)) == pytest.approx(4 + 4.844224110273838, rel=1e-9)


def test_inside_and_on_surfaces() -> None:
    disk = Disk((1, 2), 0.5)
    inside = disk.random(4096, 0)
    assert integral(inside, (inside[:, 0] - 1) ** 2) == pytest.approx(math.pi * 0.5**4 / 4, rel=1e-2)
    assert integral(disk.grid(80), np.ones(len(disk.grid(80)))) == pytest.approx(math.pi / 4, rel=1e-12)
    sphere = Ball().boundary(2000)
    assert integral(sphere, sphere[:, 2] ** 2) == pytest.approx(4 * math.pi / 3, rel=2e-3)


def exp_on(x: tuple[float, float], y: tuple[float, float]) -> float:
    """The integral of exp(x + 2 y) over a rectangle."""
    return (math.exp(x[1]) - math.exp(x[0])) * (math.exp(2 * y[1]) - math.exp(2 * y[0])) / 2


@pytest.mark.parametrize(
    "domain",
    [
        Box(x=(0, 1), y=(-1, 1)).renamed({"x_low": "inlet"}),
        Polygon([(0, -1), (1, -1), (1, 1), (0, 1)]),
        Box(x=(0, 1)) * Box(y=(-1, 1)),
        Box(x=(0, 1), y=(-1, 1)) | Box(x=(0, 0.5), y=(0, 1)),
    ],
)  # fmt: skip
def test_a_grid_of_a_rectangle_has_the_rule_of_a_box(domain: Domain) -> None:
    grid, box = domain.grid(12), Box(x=(0, 1), y=(-1, 1)).grid(12)
    np.testing.assert_allclose(grid.weights, box.weights, rtol=1e-12)
    assert np.array_equal(pickle.loads(pickle.dumps(grid)).weights, grid.weights)
    assert integral(grid, np.exp(grid[:, 0] + 2 * grid[:, 1])) == pytest.approx(exp_on((0, 1), (-1, 1)), rel=1e-5)


def test_points_of_a_grid_weigh_by_what_is_inside_around_them() -> None:
    """The trapezoidal rule where edges lie on lines of the grid; the corner within has three quarters of a cell."""
    ell = Box(x=(-1, 1), y=(-1, 1)) - Box(x=(0, 1), y=(0, 1))
    exact = exp_on((-1, 1), (-1, 1)) - exp_on((0, 1), (0, 1))
    errors = []
    for domain in (ell, LShape()):
        for n in (5, 9, 17):
            grid = domain.grid(n)
            errors.append(integral(grid, np.exp(grid[:, 0] + 2 * grid[:, 1])) - exact)
            at = grid.weights * (n - 1) ** 2 / 4
            for place, share in (((0, 0), 0.75), ((-1, 0), 0.5), ((0, 1), 0.25), ((-0.5, -0.5), 1.0)):
                assert at[(grid == np.array(place)).all(1)] == pytest.approx(share, rel=3e-3)  # areas of one's own
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)
    solid = Box(x=(-1, 1), y=(-1, 1), z=(-1, 1)) - Box(x=(0, 1), y=(0, 1), z=(0, 1))
    grid = solid.grid(5)
    assert grid.weights[(grid == 0).all(1)] * 8 == pytest.approx(7 / 8, rel=1e-3)
    turned = Polygon([(-1, 0), (0, -1), (1, 0), (0, 1)]).grid(5)  # whose edges are diagonals of the grid
    np.testing.assert_allclose(turned.weights.sum(), 2)
    np.testing.assert_allclose(np.unique((turned.weights * 4).round(12)), [0.25, 0.5, 1.0])


def test_points_that_are_denser_weigh_less() -> None:
    box = Box(x=(0, 1), y=(0, 1))
    graded = box.graded(4000, 0, "x_low", 30)
    assert np.mean(graded[:, 0]) < 0.35
    assert integral(graded, np.ones(4000)) == pytest.approx(1)
    assert integral(graded, graded[:, 0]) == pytest.approx(0.5, rel=5e-3)


def test_products() -> None:
    """Parts of one factor over the inside of the others."""
    tube = Disk((1, 2), 0.5) * Box(t=(0, 3))
    for part, size in (("rim", 3 * math.pi), ("t_low", Disk((1, 2), 0.5).measure())):
        points = tube.boundary(2000, part)
        assert integral(points, np.ones(2000)) == pytest.approx(size, rel=1e-9)
        assert integral(points, points[:, 0]) == pytest.approx(size, rel=1e-2)
    inside = tube.random(1000, 0)
    assert integral(inside, np.ones(1000)) == pytest.approx(tube.measure())


def test_only_untouched_points_have_weights() -> None:
    grid = Box(x=(0, 1), y=(0, 1)).grid(5)
    for same in (pickle.loads(pickle.dumps(grid)), copy.deepcopy(grid), copy.copy(grid), grid.copy()):
        assert np.array_equal(same.weights, grid.weights)
    with pytest.raises(ValueError, match="read-only"):
        grid.weights[:] = 0.0
    assert not hasattr(grid[:10], "weights")
    assert not hasattr(np.array(grid), "weights")
    grid[0, 0] = 0.5
    assert grid.weights is None
    assert PointSet.of(np.zeros((3, 2)), Region(Box(x=(0, 1), y=(0, 1)))).weights is None


def test_more_points_of_a_region() -> None:
    box, ell = Box(x=(0, 1), y=(0, 1)), LShape()
    some = [Region(domain, domain.parts[i:j]) for domain in (box, ell) for i, j in ((0, 1), (0, 2), (0, None))]
    for region in (Region(box), Region(ell), *some):
        more = region.spread(50)
        assert len(more) >= 50
        assert more.region is not None
        assert more.region.parts == region.parts
        assert more.weights is not None


def test_fewer_points_than_pieces_stand_for_all_of_them() -> None:
    angle = 2 * math.pi * np.arange(200) / 200
    polygon = Polygon(np.stack([np.cos(angle), np.sin(angle)], 1))
    for n in (1, 50, 100, 199, 200):
        points = polygon.boundary(n)
        assert integral(points, np.ones(n)) == pytest.approx(sum(map(polygon.measure, polygon.parts)), rel=1e-12)
    assert integral(polygon.boundary(50), polygon.boundary(50)[:, 0] ** 2) == pytest.approx(math.pi, rel=1e-2)
    for domain in (LShape(), Ring(), Box(x=(0, 1), y=(0, 9), z=(0, 1)) - Disk((0, 0), 0.5) * Box(z=(0, 1))):
        for n in (1, 2, 3):
            points = domain.boundary(n)
            assert integral(points, np.ones(n)) == pytest.approx(sum(map(domain.measure, domain.parts)), rel=1e-3)
