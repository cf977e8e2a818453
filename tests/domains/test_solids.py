"""Domains in space: balls, cylinders, and what they are combined to, against closed forms."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from domains.shapes import Ball as BallWithoutNormals
from domains.shapes import LShape

import psinn_fast as pf
from psinn_fast import PDE, Ball, Box, Cylinder, Dirichlet, Disk, Domain, InputError, Problem, Residual
from psinn_fast.pictures.canvas import Canvas
from psinn_fast.problem.checks.missing_conditions import missing_conditions

PI = math.pi
CUBE = Box(x=(-1, 1), y=(-1, 1), z=(-1, 1))
BALL, CYLINDER = Ball((0.5, 0, -0.25), 1.5), Cylinder((1, 0, 0), (1, 2, 2), 0.5)
HOLLOW = CUBE - Ball((0, 0, 0), 0.5)
DRILLED = CUBE - Cylinder((0, 0, -3), (0, 0, 3), 0.5)
LEFT, RIGHT = Ball((-0.5, 0, 0), 1), Ball((0.5, 0, 0), 1)
CAP, CAP_AREA = PI * 0.5**2 * 2.5 / 3, PI  # of height 1/2 of a unit ball
LENS, BOTH, BITTEN = LEFT & RIGHT, LEFT | RIGHT, LEFT - RIGHT
BESIDE = CUBE | Box(x=(1, 2), y=(-1, 1), z=(-1, 1))
TURNED = CUBE.rotated(0.3, axis=(0, 0, 1))
EVERY = {
    "ball": BALL, "cylinder": CYLINDER, "hollow": HOLLOW, "drilled": DRILLED, "lens": LENS, "both": BOTH,
    "bitten": BITTEN, "side by side": BESIDE, "turned": TURNED,
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_points_and_normals(name: str) -> None:
    """Parts are on the boundary, normals point out, and the divergence theorem holds as far as points are even."""
    domain = EVERY[name]
    domain.check()
    surface, flux, sums = 0.0, 0.0, np.zeros(3)
    for part in domain.parts:
        points, area = domain.boundary(3000, part), domain.measure(part)
        assert domain.on_boundary(points).all()
        np.testing.assert_allclose(np.linalg.norm(points.normals, axis=1), 1, rtol=1e-14)
        inwards, outwards = (domain.inside(points + sign * 1e-6 * points.normals) for sign in (-1, 1))
        assert inwards.mean() > 0.995
        assert outwards.mean() < 0.005
        assert points.weights.sum() == pytest.approx(area)
        surface, flux = surface + area, flux + points.weights @ (points * points.normals).sum(1)
        sums += points.weights @ points.normals
    np.testing.assert_allclose(sums, 0, atol=1.5e-3 * surface)
    assert flux / 3 == pytest.approx(domain.measure(), rel=2e-3)
    low, high = zip(*map(domain.extent, domain.parts), strict=True)
    np.testing.assert_allclose([np.min(low, 0), np.max(high, 0)], [domain.low, domain.high], atol=5e-3)


@pytest.mark.parametrize(
    ("domain", "volume", "areas", "tolerance"),
    [
        (BALL, 4 / 3 * PI * 1.5**3, {"sphere": 9 * PI}, 1e-14),
        (CYLINDER, PI * 0.25 * 8**0.5, {"side": PI * 8**0.5, "bottom": PI / 4, "top": PI / 4}, 1e-14),
        (HOLLOW, 8 - PI / 6, {"x_low": 4, "sphere": PI}, 1e-12),
        (DRILLED, 8 - PI / 2, {"side": 2 * PI, "z_high": 4 - PI / 4, "x_low": 4}, 1e-4),
        (LENS, 2 * CAP, {"sphere1": CAP_AREA, "sphere2": CAP_AREA}, 1e-4),
        (BOTH, 8 / 3 * PI - 2 * CAP, {"sphere1": 4 * PI - CAP_AREA, "sphere2": 4 * PI - CAP_AREA}, 1e-4),
        (BITTEN, 4 / 3 * PI - 2 * CAP, {"sphere1": 4 * PI - CAP_AREA, "sphere2": CAP_AREA}, 1e-4),
        (BESIDE, 12, {"x_low1": 4, "x_high2": 4, "y_low1": 4, "y_low2": 2}, 1e-12),
        (TURNED, 8, {"x_low": 4, "z_high": 4}, 1e-12),
    ],
    ids=list(EVERY),
)
def test_sizes(domain: Domain, volume: float, areas: dict[str, float], tolerance: float) -> None:
    assert domain.measure() == pytest.approx(volume, rel=tolerance)
    for part, area in areas.items():
        assert domain.measure(part) == pytest.approx(area, rel=tolerance)


def test_small_shapes_in_long_ones() -> None:
    """Volumes of what is cut out, and of shapes much longer than wide."""
    for length in (10, 1000):
        slab = Box(x=(0, length), y=(0, 1), z=(0, 1)) - Cylinder((0.3 * length, 0.5, -1), (0.3 * length, 0.5, 0.5), 0.2)
        hole = PI * 0.2**2
        assert slab.measure() == pytest.approx(length - hole / 2, abs=1e-4 * hole)
        assert slab.measure("z_low") == pytest.approx(length - hole, abs=1e-4 * hole)
        assert slab.boundary(300, "top").region is not None
    tee = Cylinder((0, 0, 0), (100, 0, 0), 0.5) | Cylinder((50, 0, 0), (50, 0, 20), 0.5)
    assert tee.measure() == pytest.approx(PI * 0.25 * 120 - 1 / 3, rel=2e-5)
    cut = Cylinder((0, 0, 0), (100, 0, 0), 0.5) & Box(x=(-1, 50.123), y=(-1, 1), z=(-1, 0.1))
    segment = 0.25 * math.acos(0.2) - 0.1 * math.sqrt(0.24)
    assert cut.measure() == pytest.approx(50.123 * (PI / 4 - segment), rel=1e-4)
    bubble = Box(x=(0, 100), y=(0, 100), z=(0, 100)) - Ball((50, 50, 0), 0.1)
    assert bubble.measure("sphere") == pytest.approx(2 * PI * 0.01, rel=1e-4)
    with pytest.raises(InputError, match="nothing is taken away"):
        LENS - Ball((0, 0, 5), 1)


def test_what_two_surfaces_share_counts_once() -> None:
    both = CUBE | Box(x=(0, 2), y=(-1, 1), z=(-1, 1))
    assert (both.measure(), both.measure("y_low1"), both.measure("y_low2")) == pytest.approx((12, 4, 2))
    assert (BALL | BALL).parts == ("sphere1",)


def test_points_are_those_of_the_surfaces() -> None:
    sphere = HOLLOW.boundary(500, "sphere")
    np.testing.assert_allclose(np.linalg.norm(sphere, axis=1), 0.5, rtol=1e-14)
    np.testing.assert_allclose(sphere.normals, -sphere / 0.5, atol=1e-14)
    side = DRILLED.boundary(500, "side")
    np.testing.assert_allclose(np.hypot(side[:, 0], side[:, 1]), 0.5, rtol=1e-14)
    np.testing.assert_allclose(side.normals, np.column_stack([-side[:, :2] / 0.5, np.zeros(500)]), atol=1e-14)
    assert abs(side[:, 2]).max() <= 1
    for part, middle in (("sphere1", (-0.5, 0, 0)), ("sphere2", (0.5, 0, 0))):
        cap = LENS.boundary(500, part)
        np.testing.assert_allclose(np.linalg.norm(cap - middle, axis=1), 1, rtol=1e-14)
        np.testing.assert_allclose(cap.normals, cap - middle, atol=1e-14)
    along = np.array([0, 1, 1]) / 2**0.5
    for part, height in (("bottom", 0.0), ("top", 8**0.5)):
        disk = CYLINDER.boundary(100, part)
        np.testing.assert_allclose((disk - CYLINDER.start) @ along, height, atol=1e-14)
        np.testing.assert_allclose(disk.normals, np.tile(along if height else -along, (100, 1)), atol=1e-15)


def test_points_are_even() -> None:
    """As many on both halves of a sphere in each direction, and as many in equal boxes of the interior."""
    for points, middle in ((BALL.boundary(4000), BALL.middle), (HOLLOW.boundary(4000, "sphere"), 0.0)):
        np.testing.assert_allclose((points > middle).mean(0), 0.5, atol=2e-3)
    unit = np.random.default_rng(0).random((20000, 3))
    for domain in (BALL, CYLINDER, DRILLED):
        inside = domain.interior_at(unit)
        assert domain.inside(inside).all()
        np.testing.assert_allclose(inside.mean(0), domain.centre, atol=0.02)
        np.testing.assert_allclose(inside.std(0), domain.random(8192, 0).std(0), atol=0.02)


def test_contains() -> None:
    p = np.random.default_rng(0).uniform(-2, 2, (4000, 3))
    cube, radius = (abs(p) <= 1).all(1), np.linalg.norm(p, axis=1)
    left, right = (np.linalg.norm(p - (x, 0, 0), axis=1) <= 1 for x in (-0.5, 0.5))
    turned = p @ np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])
    own = (p - CYLINDER.start) @ (np.array([0, 1, 1]) / 2**0.5)
    across = np.linalg.norm(p - CYLINDER.start - own[:, None] * np.array([0, 1, 1]) / 2**0.5, axis=1)
    for domain, expected in (
        (HOLLOW, cube & (radius >= 0.5)), (DRILLED, cube & (np.hypot(p[:, 0], p[:, 1]) >= 0.5)), (LENS, left & right),
        (BOTH, left | right), (BITTEN, left & ~right), (TURNED, (abs(turned) <= 1).all(1)),
        (BALL, np.linalg.norm(p - BALL.middle, axis=1) <= 1.5),
        (CYLINDER, (across <= 0.5) & (own >= 0) & (own <= 8**0.5)),
    ):  # fmt: skip
        np.testing.assert_array_equal(domain.inside(p), expected)
    np.testing.assert_allclose(BALL.signed_distance(p), np.linalg.norm(p - BALL.middle, axis=1) - 1.5)


def test_bounds_are_tight() -> None:
    np.testing.assert_allclose([LENS.low, LENS.high], np.outer([-1, 1], [0.5, 0.75**0.5, 0.75**0.5]), atol=3e-7)
    np.testing.assert_allclose([BITTEN.low, BITTEN.high], [[-1.5, -1, -1], [0, 1, 1]], atol=3e-7)
    reach = np.cos(0.3) + np.sin(0.3)
    np.testing.assert_allclose(TURNED.high, [reach, reach, 1], atol=1e-7)
    flush = CUBE - Box(x=(0, 1), y=(-1, 1), z=(-1, 1))
    np.testing.assert_array_equal([flush.low, flush.high], [[-1, -1, -1], [0, 1, 1]])
    assert (flush.parts[1], flush.measure()) == ("y_low1", pytest.approx(4))


@pytest.mark.parametrize("seed", [0, 2])
def test_random_combinations(seed: int) -> None:
    """Volumes against counted points."""
    rng = np.random.default_rng(seed)

    def shape() -> Domain:
        middle = rng.uniform(-0.4, 0.4, 3)
        kind = rng.integers(3)
        if kind == 0:
            return Ball(middle, rng.uniform(0.5, 1))
        if kind == 1:
            return Cylinder(middle, middle + rng.uniform(-1, 1, 3), rng.uniform(0.3, 0.8))
        box = Box(x=(-0.5, 0.7), y=(-0.6, 0.5), z=(-0.4, 0.8))
        return box.rotated(rng.uniform(0, 3), axis=rng.standard_normal(3)).translated(*middle)

    one, two, three = shape(), shape(), shape()
    domain = (one | two) - three if seed == 0 else (one | two) & three
    n = 1 << 16
    unit = domain.from_unit(np.random.default_rng(9).random((n, 3)))
    counted = domain.inside(unit).mean() * np.prod(domain.high - domain.low)
    assert domain.measure() == pytest.approx(counted, rel=0.02)
    for part in domain.parts:
        points = domain.boundary(200, part)
        assert domain.inside(points - 1e-7 * points.normals).mean() > 0.98
        assert domain.inside(points + 1e-7 * points.normals).mean() < 0.02


def test_any_domain_of_three_coordinates() -> None:
    prism = LShape() * Box(z=(0, 1))
    domain = prism - Ball((-0.5, -0.5, 1), 0.4)
    assert domain.parts == (*prism.parts, "sphere")
    assert domain.measure("sphere") == pytest.approx(2 * PI * 0.4**2, rel=1e-4)
    top = domain.boundary(400, "z_high")
    assert (np.hypot(top[:, 0] + 0.5, top[:, 1] + 0.5) >= 0.4).all()
    assert (top[:, 2] == 1).all()
    assert not ((top[:, 0] > 0) & (top[:, 1] > 0)).any()


def test_moving_and_naming() -> None:
    assert repr(CUBE.translated(1, 0, 2)) == "Box(x=(0, 2), y=(-1, 1), z=(1, 3))"
    ball = BALL.rotated(PI / 2, (0, 0, 0), axis=(0, 0, 1))
    assert isinstance(ball, Ball)
    np.testing.assert_allclose(ball.middle, [0, 0.5, -0.25], atol=1e-15)
    tube = Cylinder((0, 0, 0), (1, 0, 0), 0.5).rotated(PI / 2, (0, 0, 0), axis=(0, 0, 1)).translated(0, 0, 1)
    assert isinstance(tube, Cylinder)
    np.testing.assert_allclose([tube.start, tube.end], [[0, 0, 1], [0, 1, 1]], atol=1e-15)
    again = HOLLOW.rotated(0.4, axis=(1, 2, 3)).rotated(-0.4, axis=(1, 2, 3)).translated(1, 0, 0)
    np.testing.assert_allclose(again.low, [0, -1, -1], atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(again.boundary(50, "sphere") - (1, 0, 0), axis=1), 0.5, rtol=1e-12)
    holes = CUBE - Ball((0.5, 0, 0), 0.2).renamed({"sphere": "hot"}) - Ball((-0.5, 0, 0), 0.2)
    assert holes.parts == (*CUBE.parts, "hot", "sphere")
    walls = HOLLOW.renamed(dict.fromkeys(CUBE.parts, "walls"))
    assert (walls.parts, walls.measure("walls")) == (("walls", "sphere"), pytest.approx(24))
    assert (Box(t=(0, 1)) * BALL).renamed({"sphere": "wall"}).parts == ("t_low", "t_high", "wall")
    named = (Box(t=(0, 1)) * Disk()).renamed({"rim": "wall"})
    assert named.parts == ("t_low", "t_high", "wall")
    assert named.shrunk("t", 0, 0.5).parts == named.parts  # type: ignore[union-attr]


def test_far_from_the_origin_and_small() -> None:
    for scale, away in ((1.0, 1e4), (1e-6, 0.0)):
        cube = Box(x=(away - scale, away + scale), y=(-scale, scale), z=(-scale, scale))
        domain = cube - Ball((away, 0, 0), scale / 2)
        assert domain.measure() == pytest.approx((8 - PI / 6) * scale**3, rel=1e-9)
        assert domain.on_boundary(domain.boundary(300)).all()


def test_symmetries() -> None:
    maps = [len(domain.symmetries()) for domain in (BALL, HOLLOW, DRILLED, LENS, BITTEN)]
    assert maps == [47, 47, 15, 15, 7]
    assert len((CUBE - Ball((0.2, 0, 0), 0.5)).symmetries()) == 7


def test_copies_and_pictures() -> None:
    for again in (copy.deepcopy(LENS), pickle.loads(pickle.dumps(LENS))):
        np.testing.assert_array_equal(again.boundary(50), LENS.boundary(50))
    canvas = Canvas(HOLLOW, 41)
    assert canvas.place == "z = 0"
    assert len(canvas.points) == 41**2 - np.hypot(*np.meshgrid(*[np.linspace(-1, 1, 41)] * 2)).__lt__(0.5 - 1e-9).sum()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ball((0, 0), 1), "expected three of each"),
        (lambda: Ball((0, 0, 0), 0), "radius: expected a finite number > 0"),
        (lambda: Ball((0, 0, math.nan), 1), "NaN"),
        (lambda: Ball(coords="x y"), "expected three of each"),
        (lambda: Cylinder((0, 0, 0), (0, 0, 0), 1), "expected another point than start"),
        (lambda: Cylinder((0, 0, 0), (0, 0, 1), -1), "radius: expected"),
        (lambda: Cylinder((0, 0, 0), 1, 1), "expected three of each"),
        (lambda: BALL - BALL, "nothing is left, it is empty"),
        (lambda: LEFT & Ball((5, 0, 0), 1), "nothing is left"),
        (lambda: LEFT - Ball((5, 0, 0), 1), "nothing is taken away"),
        (lambda: CUBE - Box(x=(1, 2), y=(-1, 1), z=(-1, 1)), "nothing is taken away"),
        (lambda: CUBE - Ball(coords="a b c"), r"got \['x', 'y', 'z'\] and \['a', 'b', 'c'\]"),
        (lambda: CUBE - BallWithoutNormals(), "gives no normals"),
        (lambda: HOLLOW.boundary(9, "rim"), "expected one of"),
        (lambda: (LEFT | Ball((-0.5, 0, 0), 0.5)).boundary(9, "sphere2"), "nothing is left of 'sphere2'"),
        (lambda: CUBE.rotated(1.0), "axis: expected the direction to turn about"),
        (lambda: Box(t=(0, 1)) * BALL - Box(t=(0, 1)) * BALL, "nothing is left, it is empty"),
        (lambda: Box(t=(0, 1)) * HOLLOW - Box(t=(0, 2)) * CUBE, "domains of two and three coordinates are combined"),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_missing_conditions() -> None:
    pde = PDE("x y z", "u", lambda u: u.lap + 1)
    outer = [Dirichlet(HOLLOW.boundary(100, part), u=0.0) for part in CUBE.parts]
    own = Problem("p", pde, HOLLOW, [Residual(HOLLOW.random(300, 0)), *outer])
    assert missing_conditions(own) == (
        "the equation is of order 2 in space, with no condition on part 'sphere' of the boundary",
    )


@pytest.mark.trajectory
@pytest.mark.parametrize(
    ("domain", "source", "exact", "bar"),
    [
        (Ball(), 1.0, lambda x, y, z: (1 - x**2 - y**2 - z**2) / 6, 1e-2),
        (HOLLOW, 0.0, lambda x, y, z: np.exp(x) * np.sin(y) + z, 1e-2),
    ],
    ids=["ball", "hollow cube"],
)
def test_poisson(domain: Domain, source: float, exact: Any, bar: float) -> None:
    pde = PDE("x y z", "u", lambda u, f: u.lap + f, coefficients={"f": source})
    conditions = [Residual(domain.random(500, 0)), Dirichlet(domain.boundary(200), u=exact)]
    own = Problem("poisson", pde, domain, conditions, exact=lambda p: exact(*p.T))
    found = pf.solve(own, pf.Network("pinn", layers=[3, 10, 10, 1]), pf.GaussNewton(steps=25), seed=0)
    assert found.metrics["relative_l2"] < bar
