"""Union, intersection and difference: closed forms, degenerate cases, and what holds of any two shapes."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import shapely
from domains.plane_shapes import drawn, integrals
from domains.shapes import LShape
from hypothesis import given, settings
from hypothesis import strategies as st

import psinn_fast as pf
from psinn_fast import Box, Disk, Domain, Ellipse, InputError, Polygon

CHANNEL = Box(x=(0, 1.1), y=(-0.2, 0.2))
CYLINDER = Disk((0.2, 0), 0.05)
LEFT, SQUARE = Box(x=(0, 1), y=(0, 1)), Box(x=(-1, 1), y=(-1, 1))
UNIT = Disk()


def area_of(make: Callable[[], Domain], whole: float = 0.0) -> float:
    """0 of what is empty, ``whole`` of what nothing is taken from."""
    shape = made(make)
    return shape.measure() if isinstance(shape, Domain) else whole if "nothing is taken away" in shape else 0.0


def made(make: Callable[[], Domain]) -> Domain | str:
    """The domain, or why there is none, if it is one of two reasons."""
    try:
        return make()
    except InputError as error:
        if "it is empty" not in str(error) and "nothing is taken away" not in str(error):
            raise
        return str(error)


CLOSED_FORMS = {
    "channel": (CHANNEL - CYLINDER, 0.44 - math.pi / 400, {"rim": math.pi / 10, "x_low": 0.4, "y_high": 1.1}),
    "annulus": (Disk(radius=2) - UNIT, 3 * math.pi, {"rim1": 4 * math.pi, "rim2": 2 * math.pi}),
    "lens": (
        UNIT & Disk((1, 0)),
        2 * math.pi / 3 - math.sqrt(3) / 2,
        {"rim1": 2 * math.pi / 3, "rim2": 2 * math.pi / 3},
    ),
    "moon": (UNIT - Disk((1, 0)), math.pi / 3 + math.sqrt(3) / 2, {"rim1": 4 * math.pi / 3, "rim2": 2 * math.pi / 3}),
    "segment of a disk": (
        UNIT & Box(x=(0.5, 2), y=(-2, 2)),
        math.pi / 3 - math.sqrt(3) / 4,
        {"rim": 2 * math.pi / 3, "x_low": math.sqrt(3)},
    ),
    "half an ellipse": (Ellipse((1, 0), (2, 0.5)) & Box(x=(-5, 5), y=(0, 5)), math.pi / 2, {"y_low": 4.0}),
    "crossed bars": (
        Box(x=(-3, 3), y=(-1, 1)) | Box(x=(-1, 1), y=(-3, 3)),
        20.0,
        {"y_low1": 4.0, "y_low2": 2.0, "x_high1": 2.0, "x_high2": 4.0},
    ),
    "four holes": (
        SQUARE - Disk((0.5, 0.5), 0.2) - Disk((-0.5, 0.5), 0.2) - Disk((0.5, -0.5), 0.2) - Disk((-0.5, -0.5), 0.2),
        4 - 0.16 * math.pi,
        {f"rim{i}": 0.4 * math.pi for i in (1, 2, 3, 4)},
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms(name: str) -> None:
    shape, area, lengths = CLOSED_FORMS[name]
    assert shape.measure() == pytest.approx(area, rel=1e-12)
    assert {part: shape.measure(part) for part in lengths} == pytest.approx(lengths, rel=1e-12)
    for turned in (shape.rotated(0.7), shape.rotated(0.7, (3, 4)).translated(-1, 2), shape.rotated(math.pi / 2)):
        assert turned.parts == shape.parts
        assert turned.measure() == pytest.approx(area, rel=1e-11)
        assert {part: turned.measure(part) for part in lengths} == pytest.approx(lengths, rel=1e-11)
    for again in (copy.deepcopy(shape), pickle.loads(pickle.dumps(shape))):
        assert (again.random(9, 0) == shape.random(9, 0)).all()
        assert (again.boundary(40).normals == shape.boundary(40).normals).all()


def test_normals_are_the_curves() -> None:
    """On the hole they point to its centre, on the walls along the axes: not a polygon's."""
    rim = (CHANNEL - CYLINDER).boundary(50, "rim")
    np.testing.assert_allclose(np.linalg.norm(rim - [0.2, 0], axis=1), 0.05, rtol=1e-14)
    np.testing.assert_allclose(rim.normals, ([0.2, 0] - rim) / 0.05, atol=1e-14)
    steps = np.linalg.norm(np.diff(rim, axis=0), axis=1)
    np.testing.assert_allclose(steps, 0.1 * math.sin(math.pi / 50), rtol=1e-10)
    wall = (CHANNEL - CYLINDER).boundary(9, "y_high")
    assert wall.normals.tolist() == [[0, 1]] * 9
    turned = Ellipse((1, 2), (2, 0.5)).rotated(0.3).boundary(40)
    own = (turned - [1, 2]) @ [[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]]
    np.testing.assert_allclose((own**2) @ [1 / 4, 4], 1, rtol=1e-13)
    slopes = own * [1 / 4, 4] @ np.array([[math.cos(0.3), math.sin(0.3)], [-math.sin(0.3), math.cos(0.3)]])
    np.testing.assert_allclose(turned.normals, slopes / np.linalg.norm(slopes, axis=1)[:, None], atol=1e-13)


TOUCHING = {
    # (shape, area, parts)
    "side by side": (LEFT | Box(x=(1, 2), y=(0, 1)), 2.0, "x_low1 y_low1 y_high1 x_high2 y_low2 y_high2"),
    "a step": (LEFT | Box(x=(1, 2), y=(0, 0.5)), 1.5, "x_low1 x_high1 y_low1 y_high1 x_high2 y_low2 y_high2"),
    "one within": (SQUARE | UNIT, 4.0, "x_low x_high y_low y_high"),
    "the same": (UNIT | Disk(), math.pi, "rim1"),
    "cut in half": (SQUARE - Box(x=(0, 1), y=(-1, 1)), 2.0, "x_low1 y_low1 y_high1 x_low2"),
    "a hole at a wall": (SQUARE - Disk((0.5, 0), 0.5), 4 - math.pi / 4, "x_low x_high y_low y_high rim"),
    "a hole at all walls": (SQUARE - UNIT, 4 - math.pi, "x_low x_high y_low y_high rim"),
    "a bite at a corner": (SQUARE - Disk((1, 1), 1), 4 - math.pi / 4, "x_low x_high y_low y_high rim"),
    "a cut from corner to corner": (SQUARE - Polygon([(-1, -1), (1, 1), (-1, 1)]), 2.0, "x_high y_low edge1"),
    "disks that touch": (UNIT | Disk((2, 0)), 2 * math.pi, "rim1 rim2"),
    "disks that touch, nearly": (Disk((0.1 + 0.2, 0), 0.7) | Disk((0.3 + 1.4, 0), 0.7), 0.98 * math.pi, "rim1 rim2"),
    "a disk within that touches": (UNIT - Disk((0.5, 0), 0.5), 0.75 * math.pi, "rim1 rim2"),
    "an ellipse that touches twice": (Ellipse(semi_axes=(2, 1)) - UNIT, math.pi, "rim1 rim2"),
    "three that touch at one point": (
        Ellipse((-1, -0.5), (0.25, 0.5)) | Ellipse((-1, 0.75), (0.75, 0.5)).rotated(math.pi / 2)
        | Ellipse((-1, -0.5), (0.75, 0.5)), 0.75 * math.pi, "rim2 rim3",
    ),
    "a hole, and a neighbour": (
        SQUARE - (Disk(radius=0.5) | Box(x=(1, 2), y=(-1, 1))), 4 - math.pi / 4, "x_low1 x_high1 y_low1 y_high1 rim",
    ),
    "what was cut out, put back": ((SQUARE - UNIT) | UNIT, 4.0, "x_low x_high y_low y_high"),
    "two halves, put together": (
        (UNIT & Box(x=(0, 1), y=(-1, 1))) | (UNIT & Box(x=(-1, 0), y=(-1, 1))), math.pi, "rim1 rim2",
    ),
    "a stray edge": (
        Box(x=(0, 2), y=(0, 2)) - LEFT - Box(x=(1, 2), y=(0, 1)), 2.0, "x_low1 x_high1 y_high1 y_high2 y_high3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOUCHING)
def test_shapes_that_touch(name: str) -> None:
    shape, area, parts = TOUCHING[name]
    assert shape.measure() == pytest.approx(area, rel=1e-10)
    assert shape.parts == tuple(parts.split())
    vector, flux, length = integrals(shape)
    np.testing.assert_allclose(vector, 0, atol=1e-10)
    assert flux == pytest.approx(2 * area, rel=1e-10)
    assert length == pytest.approx(sum(map(shape.measure, shape.parts)), rel=1e-12)
    Domain.check(shape)  # as if it were a user's own: points beside the boundary, along its normals


def test_no_stray_points() -> None:
    """What is left of a face between two boxes that were both cut away is no part of the domain, on a grid neither."""
    left = TOUCHING["a stray edge"][0]
    assert left.grid(21)[:, 1].min() == 1.0
    both = Box(x=(0, 2), y=(0, 2)) & (Box(x=(0, 1), y=(0, 2)) | Box(x=(2, 3), y=(0, 2)))
    assert both.high.tolist() == [1, 2]
    assert len((Box(x=(0, 1), y=(0, 1)) | Box(x=(1, 2), y=(0, 1))).grid((5, 3))) == 15


@settings(max_examples=40, derandomize=True)
@given(st.integers(0, 2**31), st.booleans())
def test_any_two_shapes(seed: int, is_on_grid: bool) -> None:
    rng = np.random.default_rng(seed)
    one, other = drawn(rng, is_on_grid), drawn(rng, is_on_grid)
    if rng.random() < 0.5:
        bite = drawn(rng, is_on_grid)
        bitten = made(lambda one=one: one - bite)
        one = bitten if isinstance(bitten, Domain) else one
    a, b = one.measure(), other.measure()
    union, common = (one | other).measure(), area_of(lambda: one & other)
    assert a + b == pytest.approx(union + common, abs=1e-10)
    assert area_of(lambda: one - other, a) == pytest.approx(a - common, abs=1e-10)
    assert area_of(lambda: other - one, b) == pytest.approx(b - common, abs=1e-10)
    points = rng.uniform(-3, 3, (500, 2))
    for whole, wanted in (
        (one | other, one.inside(points) | other.inside(points)),
        *([(one & other, one.inside(points) & other.inside(points))] if common else []),
        *([(one - other, one.inside(points) & ~other.inside(points))] if 0 < common < a - 1e-6 else []),
    ):
        off = whole.inside(points) != wanted
        assert whole.on_boundary(points[off]).all()
        vector, flux, _ = integrals(whole)
        np.testing.assert_allclose(vector, 0, atol=1e-9)
        assert flux == pytest.approx(2 * whole.measure(), abs=1e-9)
        edge = whole.boundary(64)
        steps = 1e-7 * edge.normals
        sure = whole.inside(edge - steps) & ~whole.inside(edge + steps)
        assert sure.mean() > 0.9  # all but some at corners, and where two pieces touch
        assert not whole.outside(edge).any()


def test_areas_of_fine_polygons() -> None:
    """Against shapely's, of polygons with 2,048 corners."""
    angle = np.linspace(0, 2 * np.pi, 2049)[:-1]

    def ellipse(x: float, y: float, a: float, b: float, tilt: float) -> shapely.Polygon:
        own = np.stack([a * np.cos(angle), b * np.sin(angle)])
        turned = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]) @ own
        return shapely.Polygon(turned.T + np.array([x, y]))

    rng = np.random.default_rng(4)
    for _ in range(20):
        (x, y, a, b, tilt), other = rng.uniform([-0.5, -0.5, 0.3, 0.3, 0], [0.5, 0.5, 1, 1, 3], (2, 5))
        u, v, c, d, turn = other
        one, two = Ellipse((x, y), (a, b)).rotated(tilt), Ellipse((u, v), (c, d)).rotated(turn)
        p, q = ellipse(x, y, a, b, tilt), ellipse(u, v, c, d, turn)
        assert area_of(lambda one=one, two=two: one & two) == pytest.approx((p & q).area, abs=2e-5)
        assert (one | two).measure() == pytest.approx((p | q).area, abs=2e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UNIT - Disk(), "Disk - Disk: nothing is left, it is empty"),
        (lambda: UNIT - SQUARE, "Disk - Box: nothing is left, it is empty"),
        (lambda: UNIT & Disk((3, 0)), "Disk & Disk: nothing is left, it is empty"),
        (lambda: UNIT & Disk((2, 0)), "Disk & Disk: nothing is left, it is empty"),
        (lambda: SQUARE & Box(x=(1, 2), y=(-1, 1)), "Box & Box: nothing is left, it is empty"),
        (lambda: CHANNEL - Disk((2, 0), 0.05), "Box - Disk: nothing is taken away, the second one lies outside"),
        (lambda: CHANNEL - Disk((0.2, 0.25), 0.05), "nothing is taken away"),
        (lambda: SQUARE - Box(x=(1, 2), y=(-1, 1)), "nothing is taken away"),
        (lambda: SQUARE - LShape(), "Box - LShape: the boundary of LShape is not known as curves"),
        (lambda: LShape().translated(1, 0), "LShape: the boundary of LShape is not known"),
        (lambda: (SQUARE | Disk((1, 0))).boundary(5, "x_hig"), "part: expected one of"),
        (lambda: (LEFT | LEFT.translated(0.5, 0)).boundary(5, "x_high1"), "nothing is left of 'x_high1' on"),
        (lambda: SQUARE - CYLINDER.renamed({"rim": "rim1"}) - Disk(radius=0.1) - Disk((0.5, 0), 0.1), "called 'rim1'"),
    ],
)  # fmt: skip
def test_bad_input(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_names_of_parts() -> None:
    holes = CHANNEL - CYLINDER - CYLINDER.translated(0.3, 0) - Disk((0.8, 0), 0.1)
    assert holes.parts == ("x_low", "x_high", "y_low", "y_high", "rim1", "rim2", "rim3")
    assert holes.measure("rim3") == pytest.approx(0.2 * math.pi)
    named = holes.renamed({"rim1": "front", "rim3": "back", "y_low": "wall", "y_high": "wall"})
    assert named.parts == ("x_low", "x_high", "wall", "front", "rim2", "back")
    assert named.measure("wall") == 2.2
    assert (named - Disk((0.35, 0), 0.01)).parts[-1] == "rim"
    flow = CHANNEL - CYLINDER.renamed({"rim": "cylinder"}) - Disk((0.6, 0), 0.1)
    assert flow.parts[4:] == ("cylinder", "rim")
    assert UNIT.renamed({"rim": "rim"}).parts == ("rim",)
    bitten = Disk() - Disk((1, 0), 0.5) - Disk((-1, 0), 0.5)
    assert bitten.parts == ("rim1", "rim2", "rim3")
    assert len(bitten.outline()) == 4
    swallowed = Disk() - Disk((0.2, 0), 0.1) - Disk((0.2, 0), 0.2)
    assert swallowed.parts == ("rim1", "rim3")  # numbers are those of the shapes, whatever is left of them
    with pytest.raises(InputError, match="nothing is left of 'rim2'"):
        swallowed.measure("rim2")


def test_every_piece_gets_a_point() -> None:
    """A part of long pieces and a very short one."""
    comb = SQUARE - Box(x=(-2, 0.999), y=(0, 2)) - Box(x=(-0.9, 0.9), y=(-2, -0.5))
    wall = comb.renamed({part: "wall" for part in comb.parts if part.startswith("y")})
    assert wall.measure("wall") == pytest.approx(0.2 + 1.8 + 1.999 + 0.001, rel=1e-12)
    points = wall.boundary(20, "wall")
    assert len(points) == 20
    assert (points[:, 1] == 1).sum() == 1
    assert len(wall.boundary(2, "wall")) == 2
    assert len(pf.domains.Region(wall, ("wall",)).drawn(33, lambda n: np.random.default_rng(0).random((n, 2)))) == 33
