"""Boundaries of users' classes are checked where the answer is sure; nothing right is refused, in any unit."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from shapes import Ball, LShape, Ring

from psinn_fast import PDE, Dirichlet, Disk, Domain, InputError, Neumann, Problem, Residual
from psinn_fast.domains.unit import OFFSET

Points = npt.NDArray[np.float64]
UNITS = (1e-6, 1.0, 1e6)


def unit_vectors(vectors: Points) -> Points:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


class Star(Domain):
    """r <= size (1 + depth cos(k a)), stretched along x; ``given`` makes its points and normals from the right ones."""

    parts = ("rim",)

    def __init__(
        self,
        k: int = 0,
        depth: float = 0.0,
        size: float = 1.0,
        at: float = 0.0,
        stretched: float = 1.0,
        given: Callable[[Points, Points], tuple[Points, Points]] = lambda p, n: (p, n),
    ) -> None:
        self.k, self.depth, self.size, self.at, self.axes = k, depth, size, at, np.array([stretched, 1.0])
        self.given = given
        reach = 1.001 * size * (1 + depth) * self.axes
        super().__init__(x=(at - reach[0], at + reach[0]), y=(at - reach[1], at + reach[1]))

    def contains(self, points):
        p = (points - self.at) / self.axes
        return np.hypot(*p.T) <= self.size * (1 + self.depth * np.cos(self.k * np.arctan2(*p.T[::-1]))) * (1 + 1e-9)

    def boundary_at(self, part, unit):
        a = 2 * np.pi * unit[:, :1]
        radial, around = np.hstack([np.cos(a), np.sin(a)]), np.hstack([-np.sin(a), np.cos(a)])
        r, slope = 1 + self.depth * np.cos(self.k * a), -self.k * self.depth * np.sin(self.k * a)
        x, y = (self.axes * (slope * radial + r * around)).T
        p, normals = self.given(self.axes * r * radial, unit_vectors(np.stack([y, -x], 1)))
        return self.at + self.size * p, normals


class Polygon(Domain):
    """Edges counterclockwise, glued together in one part, which starts at parameter ``first``; ``wrong``: of which edge
    the tangent is given."""

    parts = ("rim",)

    def __init__(self, corners: npt.ArrayLike, wrong: int = -1, first: float = 0.0) -> None:
        self.corners, self.wrong, self.first = np.array(corners, dtype=float), wrong, first
        low, high = self.corners.min(0), self.corners.max(0)
        super().__init__(x=(low[0], high[0]), y=(low[1], high[1]))

    def contains(self, points):
        """By how often the edges go around a point; those on an edge count."""
        start, end = (corners - points[:, None] for corners in (self.corners, np.roll(self.corners, -1, 0)))
        edge = end - start
        along = np.clip(-(start * edge).sum(2) / (edge**2).sum(2), 0, 1)[..., None]
        is_near = np.linalg.norm(start + along * edge, axis=2).min(1) < 1e-9 * (self.high - self.low).max()
        cross = start[..., 0] * end[..., 1] - start[..., 1] * end[..., 0]
        return is_near | (abs(np.arctan2(cross, (start * end).sum(2)).sum(1)) > np.pi)

    def boundary_at(self, part, unit):
        n, unit = len(self.corners), (unit - self.first) % 1
        edge = np.minimum((n * unit[:, 0]).astype(int), n - 1)
        start, end = self.corners[edge], np.roll(self.corners, -1, 0)[edge]
        along = unit_vectors(end - start)
        normals = np.stack([along[:, 1], -along[:, 0]], 1)
        normals[edge == self.wrong] = along[edge == self.wrong]
        return start + (n * unit - edge[:, None]) * (end - start), normals


class Ellipsoid(Domain):
    """By height and angle, or by both angles, with poles."""

    parts = ("shell",)

    def __init__(self, axes: tuple[float, float, float] = (1, 1, 1), by_angles: bool = False, power: int = -1) -> None:
        self.axes, self.by_angles, self.power = np.array(axes, dtype=float), by_angles, power
        super().__init__(**{name: (-a, a) for name, a in zip("xyz", axes, strict=True)})

    def contains(self, points):
        return ((points / self.axes) ** 2).sum(1) <= 1 + 1e-9

    def boundary_at(self, part, unit):
        a, z = 2 * np.pi * unit[:, 0], np.cos(np.pi * unit[:, 1]) if self.by_angles else 2 * unit[:, 1] - 1
        r = np.sqrt(1 - z**2)
        p = np.stack([r * np.cos(a), r * np.sin(a), z], 1)
        return self.axes * p, unit_vectors(self.axes ** float(self.power) * p)


class Growing(Domain):
    """A disk from t = 0 on, whose normals are those in space alone, or in space and time."""

    parts = ("initial", "wall")

    def __init__(self, last: float, radius: float, growth: float, in_time: bool, turned: bool = False) -> None:
        self.last, self.radius, self.growth, self.in_time, self.turned = last, radius, growth, in_time, turned
        most = radius * (1 + max(growth, 0))
        super().__init__(t=(0, last), x=(-most, most), y=(-most, most))

    def contains(self, points):
        return np.hypot(*points.T[1:]) <= self.radius * (1 + self.growth * points[:, 0] / self.last) * (1 + 1e-9)

    def boundary_at(self, part, unit):
        a = 2 * np.pi * unit[:, 0]
        if part == "initial":
            r = self.radius * np.sqrt(unit[:, 1])
            return np.stack([0 * a, r * np.cos(a), r * np.sin(a)], 1), np.tile([-1.0, 0.0, 0.0], (len(a), 1))
        t, r = self.last * unit[:, 1], self.radius * (1 + self.growth * unit[:, 1])
        slope = -self.radius * self.growth / self.last * self.in_time
        b = a + np.pi / 2 * self.turned
        return np.stack([t, r * np.cos(a), r * np.sin(a)], 1), unit_vectors(
            np.stack([slope + 0 * a, np.cos(b), np.sin(b)], 1)
        )


def regular(n: int, size: float = 1.0, inner: float = 1.0) -> Points:
    """Corners of a regular polygon, every other one nearer to the centre."""
    a, r = 2 * np.pi * np.arange(n) / n, np.where(np.arange(n) % 2, inner, 1.0)
    return np.asarray(size * r[:, None] * np.stack([np.cos(a), np.sin(a)], 1))


def single(p: Points, n: Points) -> tuple[Points, Points]:
    return p.astype(np.float32).astype(float), n.astype(np.float32).astype(float)


def by_chords(p: Points, n: Points) -> tuple[Points, Points]:
    """A circle as a polygon of 40 edges, with the circle's normals."""
    a, k = np.arctan2(n[:, 1], n[:, 0]), np.linspace(-np.pi, np.pi, 41)
    return np.stack([np.interp(a, k, np.cos(k)), np.interp(a, k, np.sin(k))], 1), n


RIGHT = [
    LShape(), Ring(), Ring((5.0, -3.0), 0.2, 0.7), Ball(), Disk((1e6, -1e6), 1.0), Disk((1e10, 0), 1.0),
    *(Disk((0, 0), size) for size in UNITS),
    *(Star(k, depth, size) for k, depth in [(2, 0.3), (5, 0.3), (8, 0.4), (40, 0.2)] for size in UNITS),
    *(Star(5, 0.3, at=at) for at in (1e4, 1e8)), *(Star(stretched=s) for s in (2.0, 20.0, 1e3)),
    Star(3, 0.3, given=single), Star(given=by_chords),
    Polygon([(0, 0), (1, 0), (1, 1), (0, 1)]), Polygon([(0, 0), (1, 0), (1, 1e-3), (0, 1e-3)]),
    Polygon([(0, 0), (1e6, 0), (1e6, 1e-6), (0, 1e-6)]), *(Polygon(regular(3, size)) for size in UNITS),
    Polygon(regular(100)), Polygon(regular(10, inner=1.5)),
    Polygon(regular(64, inner=1.5), first=OFFSET / 64),  # a corner at each point that is checked
    *(Ellipsoid(axes, by) for axes in [(1, 1, 1), (3, 1, 0.5), (1e-6, 1e-6, 1e-6)] for by in (True, False)),
    *(
        Growing(last, radius, growth, in_time)
        for last, radius in [(1, 1), (1e-6, 1e6), (1e6, 1e-6)]
        for growth in (0.0, 0.5, -0.5)
        for in_time in (True, False)
    ),
]  # fmt: skip


@pytest.mark.parametrize("domain", RIGHT, ids=lambda domain: type(domain).__name__)
def test_nothing_right_is_refused(domain: Domain) -> None:
    domain.check()


def tangent(p: Points, n: Points) -> tuple[Points, Points]:
    return p, np.stack([-n[:, 1], n[:, 0]], 1)


def radial(p: Points, n: Points) -> tuple[Points, Points]:
    return p, unit_vectors(p)


OFF = r"\d+ of 64 normals are not normal to the part, as its points beside them show, the first is \(.*\) at \(.*\)"
WRONG = [
    *((Star(*shape, size=size, given=tangent), OFF) for size in UNITS for shape in [(), (8, 0.4)]),
    *((Star(size=size, stretched=2.0, given=radial), OFF) for size in UNITS), (Star(5, 0.3, at=1e4, given=radial), OFF),
    (Star(stretched=1.3, given=radial), OFF), (Polygon([(0, 0), (1, 0), (1, 1), (0, 1)], wrong=2), OFF),
    (Polygon(regular(10, inner=1.5), wrong=0), OFF), (Ellipsoid((3, 1, 0.5), power=1), OFF),
    *((Growing(1, 1, growth, True, turned=True), OFF) for growth in (0.0, 0.5)),
    *((Star(size=size, given=lambda p, n: (0.9 * p, n)), "64 of 64 points lie inside the domain by") for size in UNITS),
    *((Star(3, 0.3, size, given=lambda p, n: (p, -n)), "64 of 64 normals point inwards") for size in UNITS),
    (Star(given=lambda p, n: (0 * p, n)), "all of its points are one"),
]  # fmt: skip


@pytest.mark.parametrize(("domain", "message"), WRONG)
def test_what_is_surely_wrong_is_refused(domain: Domain, message: str) -> None:
    with pytest.raises(InputError, match=message):
        domain.check()


def test_it_is_asked_when_a_problem_is_made() -> None:
    domain = Star(stretched=2.0, given=tangent)
    with pytest.raises(InputError, match=OFF):
        Problem("p", PDE("x y", "u", lambda u: u.lap), domain, [Residual(domain.random(20, 0))])


class Sides(Domain):
    """The unit square or interval, and two opposite sides, which are one unless they ``differ``."""

    parts = ("low", "high")

    def __init__(self, d: int, differ: bool) -> None:
        self.differ = differ
        super().__init__(**dict.fromkeys("xy"[:d], (0, 1)))

    def contains(self, points):
        return np.ones(len(points), bool)

    def boundary_at(self, part, unit):
        places = np.zeros((len(unit), 1)) if not unit.shape[1] else np.column_stack([0 * unit, unit])
        places[:, 0] = self.differ and part == "high"
        return places, None


@pytest.mark.parametrize("d", [1, 2])
def test_two_parts_at_one_place(d: int) -> None:
    """`boundary_at` that forgets its argument `part`: conditions of both parts would hold on one."""
    Sides(d, differ=True).check()
    with pytest.raises(
        InputError, match=r"Sides.boundary_at: all of the 64 points tried of the parts 'low' and 'high'"
    ):
        Sides(d, differ=False).check()


def test_a_line_within_the_domain() -> None:
    """Without normals it may carry values; with normals nobody knows which side is out."""

    class Plate(Star):
        parts = ("rim", "plate")
        normals: Points | None = None

        def boundary_at(self, part, unit):
            if part == "rim":
                return super().boundary_at(part, unit)
            return np.hstack([unit - 0.5, 0 * unit]), self.normals and np.tile(self.normals, (len(unit), 1))

    plate = Plate()
    Problem(
        "p", PDE("x y", "u", lambda u: u.lap), plate, [Residual(plate.grid(9)), Dirichlet(plate.boundary(20), u=0.0)]
    )
    with pytest.raises(InputError, match=re.escape("Plate.boundary_at('plate', ...): 64 of 64 points lie inside")):
        type("Plate", (Plate,), {"normals": [0.0, 1.0]})().check()


def test_answers_that_change() -> None:
    rng = np.random.default_rng(0)
    unsure = type("Unsure", (Star,), {"contains": lambda self, p: rng.random(len(p)) < 0.5})()
    with pytest.raises(InputError, match=r"Unsure.contains: it says something else of the same points"):
        unsure.check()

    def drawn(self, part, unit):
        return super(Unsure, self).boundary_at(part, rng.random(unit.shape))

    Unsure = type("Unsure", (Star,), {"boundary_at": drawn})
    with pytest.raises(InputError, match=r"Unsure.boundary_at\('rim', ...\): it gives other points for the same"):
        Unsure().check()


def test_which_parts_lack_normals() -> None:
    class Rim(Ring):
        def boundary_at(self, part, unit):
            points, normals = super().boundary_at(part, unit)
            return points, normals if part == "outer" else None

    with pytest.raises(InputError, match=r"these points bring none along: Rim gives no normals of 'inner'; give one"):
        Neumann(Rim().boundary(20), u=0.0)
    assert Rim().boundary(20, "outer").normals is not None


class Unruly(Star):
    """The unit disk, of which one method reads all rows at once."""

    def __init__(self, method: str) -> None:
        self.method = method
        super().__init__()

    def contains(self, points):
        return np.hypot(*points.T) <= (abs(points).max() if self.method == "contains" else 1.0)

    def boundary_at(self, part, unit):
        rows = np.linspace(0, 1, len(unit))[:, None] if self.method == "boundary_at" else unit
        return super().boundary_at(part, rows)


@pytest.mark.parametrize("method", ["contains", "boundary_at"])
def test_methods_answer_for_each_row_alone(method: str) -> None:
    Unruly("").check()
    with pytest.raises(InputError, match=rf"Unruly\.{method}.*of them, in another order"):
        Unruly(method).check()
