"""Segments and arcs against closed forms, quadrature and differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ellipe

from psinn_fast.domains.plane.curves import Arc, Segment

SEGMENT = Segment((1.0, 2.0), (4.0, -2.0))
TILTED = Arc.round((1.0, -2.0), (3.0, 0.5)).moved(np.array([[0.6, -0.8], [0.8, 0.6]]), np.array([0.5, 1.0]))


def part(arc: Arc, first: float, last: float) -> Arc:
    start, end = arc.placed(np.array([first, last])).tolist()
    return arc.between(first, last, tuple(start), tuple(end))


ARCS = {
    "circle": Arc.round((0.5, 0.0), (2.0, 2.0)),
    "of a circle": part(Arc.round((0.5, 0.0), (2.0, 2.0)), 0.3, 2.0),
    "wide": Arc.round((0.0, 0.0), (2.0, 0.5)),
    "high": Arc.round((0.0, 0.0), (0.5, 2.0)),
    "tilted": TILTED,
    "of a tilted one": part(TILTED, -1.0, 2.5),
    "across the first angle": part(TILTED, 5.0, 8.0),
    "flat": part(Arc.round((0.0, 0.0), (1.0, 1e-3)), -0.5, 3.0),
}
EVERY = {"segment": SEGMENT, **ARCS, **{f"{name}, backwards": arc.backwards() for name, arc in ARCS.items()}}


@pytest.fixture(params=list(EVERY))
def curve(request: pytest.FixtureRequest) -> Segment | Arc:
    return EVERY[request.param]


def test_perimeters() -> None:
    for a, b in ((2.0, 0.5), (0.5, 2.0), (1.0, 1e-4)):
        expected = 4 * max(a, b) * ellipe(1 - (min(a, b) / max(a, b)) ** 2)
        assert Arc.round((3.0, 4.0), (a, b)).length == pytest.approx(expected, rel=1e-13)
    assert SEGMENT.length == 5.0
    assert ARCS["of a circle"].length == pytest.approx(3.4, rel=1e-14)


def test_points_are_even_in_arc_length(curve: Segment | Arc) -> None:
    """Against the integral of the speed."""
    share = np.array([0.0, 0.1, 0.35, 0.5, 0.99, 1.0])
    points, _ = curve.at(share)
    np.testing.assert_allclose(points[[0, -1]], [curve.start, curve.end], atol=1e-12)
    if isinstance(curve, Segment):
        np.testing.assert_allclose(points, np.add(curve.start, share[:, None] * np.subtract(curve.end, curve.start)))
        return
    a, b = curve.axes
    angles = curve.parameters(points[1:-1])
    for angle, wanted in zip(angles, share[1:-1], strict=True):
        found, _ = quad(lambda t: math.hypot(a * math.sin(t), b * math.cos(t)), curve.first, angle, epsabs=1e-13)
        assert abs(found) == pytest.approx(wanted * curve.length, abs=1e-11 * curve.length)
    assert curve.near(points, 1e-12).all()


def test_normals_are_on_the_right(curve: Segment | Arc) -> None:
    share = np.linspace(0.05, 0.95, 7)
    _, normals = curve.at(share)
    ahead, behind = curve.at(share + 1e-6)[0], curve.at(share - 1e-6)[0]
    along = (ahead - behind) / np.linalg.norm(ahead - behind, axis=1, keepdims=True)
    slack = 1e-3 if not isinstance(curve, Segment) and min(curve.axes) < 0.01 else 1e-7
    np.testing.assert_allclose(normals, np.stack([along[:, 1], -along[:, 0]], 1), atol=slack)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-14)


def test_bounds_and_rises(curve: Segment | Arc) -> None:
    points = curve.placed(np.linspace(curve.first, curve.last, 20_001))
    low, high = curve.extent
    np.testing.assert_allclose(low, points.min(0), atol=1e-6)
    np.testing.assert_allclose(high, points.max(0), atol=1e-6)
    assert (points >= low - 1e-12).all()
    assert (points <= high + 1e-12).all()
    rises = curve.rises
    assert sum(rise.high - rise.low for rise in rises) == pytest.approx(abs(np.diff(points[:, 1])).sum(), abs=1e-6)
    # A point beside the curve is to the left of one of its rises more, or less, than the one on the other side.
    some, normals = curve.at(np.array([0.13, 0.52, 0.83]))
    for point, normal in zip(some, normals, strict=True):
        step = 1e-6 * np.array([math.copysign(1, normal[0]), 0.0])
        rise = [own for own in rises if own.low <= point[1] < own.high]
        counts = [sum(bool(own.has_left((point + s)[None])[0]) for own in rise) for s in (step, -step)]
        assert counts[0] - counts[1] == (-1 if step[0] > 0 else 1)


def test_areas() -> None:
    """Of a whole ellipse, of what a chord cuts off a circle, of a triangle."""
    about = np.array([10.0, 20.0])
    assert TILTED.swept(about) == pytest.approx(1.5 * math.pi, rel=1e-13)
    assert TILTED.backwards().swept(about) == pytest.approx(-1.5 * math.pi, rel=1e-13)
    cap = part(ARCS["circle"], 0.3, 2.0)
    found = cap.swept(about) + Segment(cap.end, cap.start).swept(about)
    assert found == pytest.approx(2 * (1.7 - math.sin(1.7)), rel=1e-12)
    corners = [(0.0, 0.0), (2.0, 0.0), (0.0, 3.0)]
    edges = [Segment(corners[i], corners[(i + 1) % 3]) for i in range(3)]
    assert sum(edge.swept(about) for edge in edges) == pytest.approx(3.0, rel=1e-12)


def test_what_is_near() -> None:
    half = part(Arc.round((0.0, 0.0), (2.0, 1.0)), 0.0, math.pi)
    points = np.array([[0, 1], [0, -1], [0, 1 + 1e-7], [0, 1 - 1e-7], [2, 0], [2, -1e-7], [-2, 0], [0, 0], [9, 9]])
    assert half.near(points, 1e-6).tolist() == [True, False, True, True, True, True, True, False, False]
    assert half.near(points, 1e-8).tolist() == [True, False, False, False, True, False, True, False, False]
    np.testing.assert_allclose(half.level(points[[2, 3]]), [1e-7, -1e-7], rtol=1e-5)
    ends = np.array([[1, 2], [4, -2], [1 - 3e-7, 2 + 4e-7], [2.5, 0], [2.5, 1e-5]])
    assert SEGMENT.near(ends, 1e-6).tolist() == [True, True, True, True, False]


def test_going_on() -> None:
    """Halves of a curve are one again, backwards too; others are not."""
    for curve in (SEGMENT, TILTED, part(TILTED, 1.0, 2.0), TILTED.backwards()):
        middle = (curve.first + curve.last) / 2
        at = tuple(curve.placed(np.array([middle]))[0].tolist())
        one = curve.between(curve.first, middle, curve.start, at)
        two = curve.between(middle, curve.last, at, curve.end)
        both = one.continued(two)
        assert both is not None
        assert both.length == pytest.approx(curve.length, rel=1e-14)
        assert (both.start, both.end) == (curve.start, curve.end)
        assert two.backwards().continued(one.backwards()) is not None
        assert one.continued(two.backwards()) is None
    assert Segment((0, 0), (1, 0)).continued(Segment((1, 0), (2, 1))) is None
    assert SEGMENT.continued(TILTED) is None
    assert TILTED.continued(SEGMENT) is None
