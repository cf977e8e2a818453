"""Domains of a user's own: what follows from `contains` and `boundary_at`, and what is refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from domains.shapes import Ball, LShape, Ring

from psinn_fast import PDE, Box, Domain, InputError, Problem, Residual
from psinn_fast.domains import PointSet, Region, region_of

EVERY = {"l": LShape(), "ring": Ring((2.0, -1.0)), "ball": Ball()}


@pytest.fixture(params=list(EVERY))
def domain(request: pytest.FixtureRequest) -> Domain:
    return EVERY[request.param]


def test_points_inside(domain: Domain) -> None:
    d = len(domain.coords)
    points = domain.random(300, seed=1)
    assert points.shape == (300, d)
    assert domain.inside(points).all()
    assert (points == domain.random(300, seed=1)).all()
    assert (points != domain.random(300, seed=2)).any()
    grid, unseen = domain.grid(11), domain.unseen_grid(11)
    assert 0 < len(grid) < 11**d
    assert domain.inside(grid).all()
    assert domain.inside(unseen).all()
    assert not {*map(tuple, grid.tolist())} & {*map(tuple, unseen.tolist())}


def test_parts_of_the_interior_get_points_by_their_size() -> None:
    """A quarter of three squares is a third; 2,048 Sobol points are closer to it than 1 %."""
    points = LShape().random(2048, seed=0)
    assert abs((points[:, 0] > 0).mean() - 1 / 3) < 0.01
    assert abs((points[:, 1] > 0).mean() - 1 / 3) < 0.01


def test_thin_domains() -> None:
    """A ring of a thousandth of its bounds; one of a millionth is refused, in a second."""
    assert len(Ring(inner=0.9995).random(200, 0)) == 200
    assert len(Ring(inner=0.9995).random(1, 0)) == 1
    assert len(Ring(inner=0.9995).unseen_grid(5)) == 25
    with pytest.raises(
        InputError, match=r"Ring.contains: it holds \d of .* points within the bounds of Ring.*tighter ones"
    ):
        Ring(inner=1 - 1e-7).random(200, 0)


def test_boundaries_get_points_by_their_length() -> None:
    ring = Ring(inner=0.25)
    points = ring.boundary(100)
    assert len(points) == 100
    assert (np.linalg.norm(points, axis=1) > 0.5).sum() == 80
    np.testing.assert_allclose(np.linalg.norm(ring.boundary(7, "inner"), axis=1), 0.25)
    assert np.bincount([abs(y + 1) < 1e-12 for _, y in LShape().boundary(800)]).tolist() == [600, 200]
    unseen = LShape().unseen_boundary(50)
    assert unseen.shape == (200, 2)
    assert not {*map(tuple, unseen.tolist())} & {*map(tuple, LShape().boundary(200).tolist())}
    assert Ball().boundary(64).shape == (64, 3)
    np.testing.assert_allclose(Ball().boundary(512).mean(0), 0, atol=0.02)  # even


def test_measures() -> None:
    """Of chords of 512 parts of a circle, to 1e-5; of a sphere's facets, to 2 %."""
    ring = Ring()
    assert ring.shares(["inner", "outer"], 300_000) == [100_000, 200_000]
    assert ring._measured["outer"].size == pytest.approx(2 * np.pi, rel=1e-5)
    assert Ball()._measured["sphere"].size == pytest.approx(4 * np.pi, rel=0.02)
    assert LShape().extent("top")[0].tolist() == [-1, 1]
    assert LShape().extent("top")[1].tolist() == [0, 1]


def test_normals() -> None:
    for domain in (LShape(), Ring()):
        points = domain.boundary(60)
        assert points.normals is not None
        assert domain.outside(points + 1e-3 * points.normals).all()
        assert not domain.outside(points - 1e-3 * points.normals).any()
        again = pickle.loads(pickle.dumps(points))
        assert (again.normals == points.normals).all()
        assert points[:5].__class__ is np.ndarray
        points[0] = 0.5
        assert points.normals is points.region is None
    assert Ball().boundary(9).normals is Ring().random(9, 0).normals is None
    assert Box(t=(0, 1), x=(0, 1)).face("x", "low", 3).normals.tolist() == [[0, -1]] * 3
    box = Box(x=(0, 1), y=(0, 1)).boundary(2)
    assert box.normals.tolist() == [[-1, 0]] * 2 + [[1, 0]] * 2 + [[0, -1]] * 2 + [[0, 1]] * 2


def test_where_points_are() -> None:
    ring = Ring((2.0, -1.0))
    rim = ring.boundary(101)
    assert not ring.outside(rim).any()  # whatever the rounding
    assert not ring.outside(rim.astype(np.float32)).any()
    assert ring.outside(rim + 1e-4 * rim.normals).all()
    assert ring.on_boundary(rim).all()
    assert not ring.on_boundary(rim - 1e-4 * rim.normals).any()
    assert not ring.on_boundary(ring.centre[None]).any()
    assert LShape().on_boundary([[0, 0], [0.5, 0], [1, -0.3], [-0.5, 0.0], [2, 0]]).tolist() == [True] * 3 + [False] * 2
    assert LShape().outside([[0.1, 0.1], [np.nan, 0], [1.1, -0.5], [0, 0]]).tolist() == [True, True, True, False]


def test_symmetries() -> None:
    swapped = {g.describe("xy") for g in LShape().symmetries()}
    assert swapped == {"x -> y, y -> x"}
    assert len(Ring((2.0, -1.0)).symmetries()) == 7
    assert len(Ball().symmetries()) == 47

    class Holed(Ring):
        """A hole that hardly a point meets, off the axes and diagonals."""

        parts = ("inner", "outer", "hole")
        HOLE = np.array([0.7, 0.2])

        def contains(self, points):
            return super().contains(points) & (np.linalg.norm(points - self.HOLE, axis=1) >= 1e-3)

        def boundary_at(self, part, unit):
            if part != "hole":
                return super().boundary_at(part, unit)
            return self.HOLE + 1e-3 * Ring(outer=1.0).boundary_at("outer", unit)[0], None

    assert Holed().symmetries() == ()
    # Loose bounds with other sides change nothing.
    assert len(Loose().symmetries()) == 7


class Loose(Ring):
    def __init__(self) -> None:
        super().__init__()
        Domain.__init__(self, x=(-1, 1), y=(-3, 3))


def test_it_does_not_change() -> None:
    ring = Ring()
    for change in (lambda: setattr(ring, "radii", {}), lambda: delattr(ring, "middle"), lambda: setattr(ring, "z", 1)):
        with pytest.raises(AttributeError, match="a domain does not change once it is made"):
            change()
    for again in (ring, copy.deepcopy(ring), pickle.loads(pickle.dumps(ring))):
        for array in (again.low, again.high, again.middle):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1.0
        with pytest.raises(AttributeError, match="does not change"):
            again.low = array
        assert (again.random(9, 0) == ring.random(9, 0)).all()
    given = np.zeros(2)
    Ring(given)
    given[0] = 1.0  # the user's own array is still his
    points = pickle.loads(pickle.dumps(ring.boundary(8, "inner")))
    assert isinstance(points, PointSet)
    assert region_of(points).parts == ("inner",)
    assert repr(ring) == "Ring(x in [-1, 1], y in [-1, 1])"


def test_other_points_of_a_region() -> None:
    rng = np.random.default_rng(0)

    def unit(n: int) -> np.ndarray:
        return rng.random((n, 2))

    ring = Ring(inner=0.9)
    assert ring.inside(Region(ring).drawn(501, unit)).all()
    edge = Region(ring, ("outer", "inner")).drawn(501, unit)
    assert len(edge) == 501
    assert ring.on_boundary(edge).all()


def changed(**methods: Any) -> Callable[[], Domain]:
    return type("Own", (Ring,), methods)


def given(points: Any = None, normals: Any = None) -> Any:
    """A `boundary_at` that gives other points or normals than a ring's."""

    def boundary_at(self: Ring, part: str, unit: np.ndarray) -> Any:
        p, n = Ring.boundary_at(self, part, unit)
        return (p if points is None else points(p)), (n if normals is None else normals(n))

    return boundary_at


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (changed(contains=lambda self, p: True), r"Own.contains: expected an array of \d+ truth values .* got True"),
        (changed(contains=lambda self, p: p[:, 0]), r"Own.contains: expected an array .* got float64 \(\d+,\)"),
        (changed(contains=lambda self, p: p > 0), r"Own.contains: expected an array .* got bool \(\d+, 2\)"),
        (changed(contains=lambda self, p: 1 / 0), r"Own.contains: it failed on \d+ points \(ZeroDivisionError"),
        (changed(contains=lambda self, p: p[:, 0] > 9), r"Own.contains: it holds 0 of .* points within the bounds"),
        (changed(parts="rim"), "Own.parts: expected a tuple of names, got 'rim'"),
        (changed(parts=("outer", "outer")), "Own.parts: expected no name twice"),
        (changed(parts=(1,)), "Own.parts: expected a tuple of names"),
        (changed(boundary_at=lambda self, part, unit: unit), r"Own.boundary_at\('inner', ...\): expected points and"),
        (
            changed(boundary_at=lambda self, part, unit: (unit, None)),
            r"'inner', ...\): points: expected shape \(\d+, 2\)",
        ),
        (changed(boundary_at=given(lambda p: 3 * p)), r"64 of 64 points lie outside of Own.* the first is"),
        (changed(boundary_at=given(lambda p: p * np.nan)), r"points: 128 of 128 numbers are NaN"),
        (
            changed(boundary_at=given(normals=lambda n: 2 * n)),
            r"expected normals of length 1, 64 differ, the first has 2",
        ),
        (changed(boundary_at=given(normals=lambda n: n[:, :1])), r"normals: expected shape \(64, 2\), got \(64, 1\)"),
        (changed(boundary_at=given(normals=lambda n: -n)), r"64 of 64 normals point inwards"),
        (changed(boundary_at=lambda self, part, unit: {}[part]), r"boundary_at\('inner', ...\): it failed .*KeyError"),
        (type("Own", (Domain,), {"__init__": lambda self: None}), "Own: its __init__ calls super"),
        (type("Own", (Domain,), {"__init__": lambda self: Domain.__init__(self)}), "Own: expected the bounds"),
        (lambda: type("Own", (Domain,), {})(x=(0, 1), y=(0, 1)), r"Own: it has no method contains\(points\)"),
        (lambda: type("Own", (Domain,), {})(x=(0, 1), y=(1, 1)), "y: expected a finite interval"),
        (
            lambda: type("Own", (Domain,), {})(**dict.fromkeys("rstuvwxyz", (0, 1))),
            "Own: expected 1 to 8 coordinates, got 9",
        ),
        (
            lambda: type("Own", (Box,), {"contains": LShape.contains})(),
            "Own: a Box is all of its bounds, its own contains",
        ),
        (
            lambda: type("Own", (Ring,), {"parts": ("rim",), "boundary_at": Domain.boundary_at})(),
            r"Own: it has no method boundary_at\(part, unit\)",
        ),
    ],
)
def test_what_a_class_says_wrongly_is_refused(make: Callable[[], Domain], message: str) -> None:
    """When a problem is made, and where a set is asked for."""
    points = np.array([[0.7, 0.0], [0.0, 0.7]])
    with pytest.raises(InputError, match=message):
        Problem("p", PDE("x y", "u", lambda u: u.lap), make(), [Residual(points)])


def test_bad_arguments() -> None:
    ring = Ring()
    with pytest.raises(InputError, match=r"part: expected one of \['inner', 'outer'\], the parts of Ring.*, got 'rim'"):
        ring.boundary(5, "rim")
    with pytest.raises(InputError, match=r"part: expected one of \['x_low', 'x_high'\]"):
        Box(x=(0, 1)).boundary(5, "left")
    with pytest.raises(InputError, match="names no parts of its boundary"):
        changed(parts=())().boundary(5)
    with pytest.raises(InputError, match="no point of a grid of 2 along each axis lies in Ring"):
        ring.grid(2)
    with pytest.raises(InputError, match="n: expected an integer >= 1"):
        ring.boundary(0)
    assert len(ring.unseen_grid(2)) > 0


def test_one_and_four_dimensions() -> None:
    class Ends(Domain):
        parts = ("start", "end")

        def __init__(self) -> None:
            super().__init__(x=(0, 2))

        def contains(self, points):
            return abs(points[:, 0] - 1) <= 1

        def boundary_at(self, part, unit):
            sign = 1.0 if part == "end" else -1.0
            return np.full((len(unit), 1), 1 + sign), np.full((len(unit), 1), sign)

    ends = Ends()
    ends.check()
    assert ends.boundary(2).tolist() == [[0], [2]]
    assert ends.boundary(2).normals.tolist() == [[-1], [1]]
    assert [g.describe("x") for g in ends.symmetries()] == ["x -> -x"]
    assert Region(ends, ("end",)).is_point

    class Ball4(Domain):
        parts = ("sphere",)

        def __init__(self) -> None:
            super().__init__(**dict.fromkeys("xyzw", (-1, 1)))

        def contains(self, points):
            return (points**2).sum(1) <= 1

        def boundary_at(self, part, unit):
            a, b, c = (unit * [np.pi, np.pi, 2 * np.pi]).T
            n = [np.cos(a), np.sin(a) * np.cos(b), np.sin(a) * np.sin(b) * np.cos(c), np.sin(a) * np.sin(b) * np.sin(c)]
            return np.stack(n, 1), np.stack(n, 1)

    ball = Ball4()
    ball.check()
    assert ball._measured["sphere"].size == pytest.approx(2 * np.pi**2, rel=0.1)
    assert len(ball.symmetries()) == 383
