"""Segments and elliptical arcs, exact: points by arc length, normals, lengths, areas, what lies on them.

A curve runs from its start to its end with the domain on its left, so that its outward normal is on its right. Each has
a parameter of its own: of segments the share of the length, of arcs the angle, both linear between start and end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pair: TypeAlias = tuple[float, float]

# Angles between which arc length of an ellipse is first interpolated, and Newton steps from there, at most; it is right
# where it is off by so little of the whole length.
_TABLE, _NEWTON, _RIGHT = 257, 40, 2e-16
# Curves continue each other where they differ by less: of directions, angles.
_STRAIGHT = 1e-12


class Rise(NamedTuple):
    """A stretch along which y rises or falls all the way, from ``low`` to ``high``.

    What lies to its left: of a segment the points with ``a x + b y < c``; of a half of an ellipse those on that side of
    the line through its highest and lowest point, but for (or, of the right half, and) those within the ellipse.
    """

    low: float
    high: float
    line: tuple[float, float, float]
    ellipse: Arc | None = None
    is_right: bool = False

    def has_left(self, points: Points) -> Mask:
        a, b, c = self.line
        beside = a * points[:, 0] + b * points[:, 1] < c
        if self.ellipse is None:
            return np.asarray(beside)
        within = self.ellipse.level(points) < 0
        return np.asarray(beside | within if self.is_right else beside & ~within)


@dataclass(frozen=True)
class Segment:
    """The straight line from ``start`` to ``end``."""

    start: Pair
    end: Pair

    first, last = 0.0, 1.0

    @cached_property
    def length(self) -> float:
        return math.dist(self.start, self.end)

    @property
    def _along(self) -> Points:
        return np.subtract(self.end, self.start)

    def at(self, share: Points) -> tuple[Points, Points]:
        """Points and outward unit normals, both (N, 2), at shares (N,) of the length."""
        return self.placed(share), self.normals(share)

    def placed(self, parameter: Points) -> Points:
        """The points (N, 2) of own parameters (N,)."""
        t = parameter[:, None]
        return np.asarray((1 - t) * self.start + t * np.array(self.end))

    @cached_property
    def middle(self) -> tuple[Points, Points]:
        """Point and normal (1, 2) in the middle of its parameters."""
        return _middle(self)

    def normals(self, parameter: Points) -> Points:
        x, y = self._along / self.length
        return np.tile([y, -x], (len(parameter), 1))

    def parameters(self, points: Points) -> Points:
        """Own parameters (N,) of points that lie on it."""
        along = self._along
        return np.clip((points - self.start) @ along / (along @ along), 0, 1)

    def near(self, points: Points, slack: float) -> Mask:
        """Which of the points (N, 2) are not farther away than ``slack``."""
        return np.asarray(np.linalg.norm(points - self.placed(self.parameters(points)), axis=1) <= slack)

    def between(self, first: float, last: float, start: Pair, end: Pair) -> Segment:
        """The part between two parameters, whose points are those given."""
        return Segment(start, end)

    def backwards(self) -> Segment:
        return Segment(self.end, self.start)

    def moved(self, matrix: Points, step: Points) -> Segment:
        """By x -> matrix x + step, a rotation and a translation."""
        return Segment(_moved(self.start, matrix, step), _moved(self.end, matrix, step))

    def continued(self, other: Curve) -> Curve | None:
        """Both as one curve, if the other goes straight on from the end of this one."""
        if not isinstance(other, Segment) or self.end != other.start or self.start == other.end:
            return None
        one, two = self._along / self.length, other._along / other.length
        is_one = one @ two > 0 and abs(one[0] * two[1] - one[1] * two[0]) < _STRAIGHT
        return Segment(self.start, other.end) if is_one else None

    def swept(self, about: Points) -> float:
        """Half the integral of x dy - y dx, coordinates counted from ``about``: round a closed curve, the area."""
        return swept_by_chord(self, about)

    @cached_property
    def extent(self) -> tuple[Points, Points]:
        """The lower and upper bounds (2,)."""
        return np.minimum(self.start, self.end), np.maximum(self.start, self.end)

    @cached_property
    def rises(self) -> list[Rise]:
        low, high = sorted((self.start, self.end), key=lambda point: point[1])
        if low[1] == high[1]:
            return []
        a, b = high[1] - low[1], low[0] - high[0]
        return [Rise(low[1], high[1], (a, b, a * low[0] + b * low[1]))]


@dataclass(frozen=True)
class Arc:
    """The points ``centre + a cos(t) e + b sin(t) f``, t from ``first`` to ``last``, e = (cos tilt, sin tilt), f normal
    to it; clockwise where t falls. ``start`` and ``end`` are its ends, where others begin and end, too."""

    centre: Pair
    axes: Pair
    tilt: float
    first: float
    last: float
    start: Pair
    end: Pair

    @classmethod
    def round(cls, centre: Pair, axes: Pair) -> Arc:
        """All of an ellipse with axes along the coordinates', counterclockwise."""
        start = centre[0] + axes[0], centre[1]
        return cls(centre, axes, 0.0, 0.0, 2 * math.pi, start, start)

    @property
    def frame(self) -> Points:
        """(2, 2): rows e and f."""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        return np.array([[cos, sin], [-sin, cos]])

    @property
    def is_circle(self) -> bool:
        return self.axes[0] == self.axes[1]

    @cached_property
    def length(self) -> float:
        return float(abs(self._arc_length(np.array([self.last]))[0] - self._arc_length(np.array([self.first]))[0]))

    def at(self, share: Points) -> tuple[Points, Points]:
        angle = self._angle(share)
        return self.placed(angle), self.normals(angle)

    def placed(self, parameter: Points) -> Points:
        own = np.stack([self.axes[0] * np.cos(parameter), self.axes[1] * np.sin(parameter)], 1)
        return np.asarray(self.centre + own @ self.frame)

    @cached_property
    def middle(self) -> tuple[Points, Points]:
        return _middle(self)

    def normals(self, parameter: Points) -> Points:
        own = np.stack([self.axes[1] * np.cos(parameter), self.axes[0] * np.sin(parameter)], 1)
        own *= math.copysign(1.0, self.last - self.first) / np.linalg.norm(own, axis=1, keepdims=True)
        return np.asarray(own @ self.frame)

    def parameters(self, points: Points) -> Points:
        """Own parameters (N,) of points that lie on it; of others, those of one of its ends, or a point near them."""
        low, high = sorted((self.first, self.last))
        scaled = self._scaled(points)
        angle = low + (np.arctan2(scaled[:, 1], scaled[:, 0]) - low) % (2 * math.pi)
        beyond = np.where(angle - high < low + 2 * math.pi - angle, high, low)
        return np.where(angle <= high, angle, beyond)

    def level(self, points: Points) -> Points:
        """(N,): negative within the whole ellipse, zero on it; where it is small, the distance to first order."""
        scaled = self._scaled(points)
        radius = np.linalg.norm(scaled, axis=1)
        slope = np.linalg.norm(scaled / self.axes, axis=1)
        return np.asarray((radius - 1) * radius / np.where(slope > 0, slope, 1.0) - (slope == 0) * min(self.axes))

    def near(self, points: Points, slack: float) -> Mask:
        found = np.zeros(len(points), bool)
        rows = np.flatnonzero(abs(self.level(points)) <= slack)
        low, high = sorted((self.first, self.last))
        angle = self.parameters(points[rows])
        found[rows] = (angle > low) & (angle < high)
        for end in (self.start, self.end):
            found |= np.linalg.norm(points - end, axis=1) <= slack
        return found

    def between(self, first: float, last: float, start: Pair, end: Pair) -> Arc:
        return replace(self, first=first, last=last, start=start, end=end)

    def backwards(self) -> Arc:
        return replace(self, first=self.last, last=self.first, start=self.end, end=self.start)

    def moved(self, matrix: Points, step: Points) -> Arc:
        return replace(
            self,
            centre=_moved(self.centre, matrix, step),
            tilt=self.tilt + math.atan2(matrix[1, 0], matrix[0, 0]),
            start=_moved(self.start, matrix, step),
            end=_moved(self.end, matrix, step),
        )

    def continued(self, other: Curve) -> Curve | None:
        if not isinstance(other, Arc) or self.end != other.start:
            return None
        both = self.last - self.first, other.last - other.first
        gap = (other.first - self.last + math.pi) % (2 * math.pi) - math.pi
        same = (self.centre, self.axes, self.tilt) == (other.centre, other.axes, other.tilt)
        if not same or abs(gap) > _STRAIGHT or both[0] * both[1] < 0:
            return None
        return replace(self, last=self.last + both[1], end=other.end)

    def swept(self, about: Points) -> float:
        # Within the ellipse it is half of a b for each unit of the angle; the rest is that of the chord.
        sector = 0.5 * self.axes[0] * self.axes[1] * (self.last - self.first)
        return sector + swept_by_chord(self, about) - swept_by_chord(self, np.array(self.centre))

    @cached_property
    def extent(self) -> tuple[Points, Points]:
        found = [self.start, self.end]
        found += [point for axis in (0, 1) for _, point in self._turns(axis)]
        return np.min(found, axis=0), np.max(found, axis=0)

    @cached_property
    def rises(self) -> list[Rise]:
        inner = [(angle, point[1]) for angle, point in self._turns(1)]
        stops = [(self.first, self.start[1]), *inner, (self.last, self.end[1])]
        top = self._top(1)
        (dx, dy) = self.placed(np.array([top]))[0] - self.centre
        line = (dy, -dx, dy * self.centre[0] - dx * self.centre[1])
        found = []
        for (one, y), (two, other_y) in pairwise(stops):
            low, high = sorted((y, other_y))
            if low < high:
                # From the top on, angles go by the left half first; mirrored frames there are none.
                is_right = ((one + two) / 2 - top) % (2 * math.pi) > math.pi
                found.append(Rise(low, high, line, self, is_right))
        return found

    def _turns(self, axis: int) -> list[tuple[float, Pair]]:
        """Angle and point of its extremes along a coordinate that lie between its ends, in its own order."""
        low, high = sorted((self.first, self.last))
        top, height = self._top(axis), self._reach(axis)
        numbers = range(math.floor((low - top) / math.pi) + 1, math.ceil((high - top) / math.pi))
        found = []
        for number in numbers:
            angle = top + number * math.pi
            x, y = self.placed(np.array([angle]))[0].tolist()
            extreme = self.centre[axis] + (height if number % 2 == 0 else -height)
            found.append((angle, (extreme, y) if axis == 0 else (x, extreme)))
        return found if self.first < self.last else found[::-1]

    def _top(self, axis: int) -> float:
        """The angle where a coordinate is largest."""
        e, f = self.frame[:, axis]
        return math.atan2(self.axes[1] * f, self.axes[0] * e)

    def _reach(self, axis: int) -> float:
        e, f = self.frame[:, axis]
        return math.hypot(self.axes[0] * e, self.axes[1] * f)

    def _scaled(self, points: Points) -> Points:
        """In the frame in which the ellipse is the unit circle."""
        return np.asarray((points - self.centre) @ self.frame.T / self.axes)

    def _arc_length(self, angle: Points) -> Points:
        """From some point on, counterclockwise: an elliptic integral of the second kind."""
        a, b = self.axes
        if a == b:
            return a * angle
        from scipy.special import ellipeinc  # takes a while to import, and circles need none

        if a > b:  # so that its parameter is not negative
            return np.asarray(a * ellipeinc(angle + math.pi / 2, 1 - (b / a) ** 2))
        return np.asarray(b * ellipeinc(angle, 1 - (a / b) ** 2))

    def _angle(self, share: Points) -> Points:
        """Of shares (N,) of the arc length, by Newton's method within the cells of a table."""
        if self.is_circle:
            return np.asarray((1 - share) * self.first + share * self.last)
        table = np.linspace(self.first, self.last, _TABLE)
        sign = math.copysign(1.0, self.last - self.first)
        lengths = sign * (self._arc_length(table) - self._arc_length(table[:1]))
        wanted = share * lengths[-1]
        cell = np.clip(np.searchsorted(lengths, wanted, "right") - 1, 0, _TABLE - 2)
        ends = np.sort([table[cell], table[cell + 1]], axis=0)
        angle = np.interp(wanted, lengths, table)
        for _ in range(_NEWTON):
            speed = np.hypot(self.axes[0] * np.sin(angle), self.axes[1] * np.cos(angle))
            off = sign * (self._arc_length(angle) - self._arc_length(table[:1])) - wanted
            angle = np.clip(angle - sign * off / speed, *ends)
            if (abs(off) <= _RIGHT * lengths[-1]).all():
                break
        return np.asarray(angle)


Curve: TypeAlias = Segment | Arc


def swept_by_chord(curve: Curve, about: Points) -> float:
    (x0, y0), (x1, y1) = np.subtract(curve.start, about), np.subtract(curve.end, about)
    return float(x0 * y1 - x1 * y0) / 2


def _middle(curve: Curve) -> tuple[Points, Points]:
    parameter = np.array([(curve.first + curve.last) / 2])
    return curve.placed(parameter), curve.normals(parameter)


def _moved(point: Pair, matrix: Points, step: Points) -> Pair:
    x, y = (matrix @ np.array(point) + step).tolist()
    return x, y
