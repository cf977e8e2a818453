"""Where two curves cross or touch, to rounding errors. A point too many does no harm, one too few does."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .curves import Arc, Curve, Pair, Segment

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Lines are parallel, a line touches an ellipse, terms of an equation are zero: to this part.
_ROUNDING = 1e-13
# Roots of a quartic may be off by this if several are one; how near the points are in the end, of the ellipse's size.
_ROOT, _ON = 1e-3, 1e-8
_NEWTON = 8
# Curves that cross at a smaller angle (its sine) touch, if they are one, to the slack, for so many times the slack.
_FLAT, _REACH = 1e-4, 1e6


def crossings(one: Curve, other: Curve, slack: float, known: list[Pair]) -> list[Pair]:
    """The points that both have, to ``slack``; of stretches that both have none, or any.

    Where curves touch, rounding errors may make two points of one, and move it along both by far more than off them. So
    one that is ``known`` takes its place, the same for all curves that touch there; new ones are added to these.
    """
    if isinstance(one, Segment):
        found = _of_segments(one, other) if isinstance(other, Segment) else _of_both(one, other)
    elif isinstance(other, Segment):
        found = _of_both(other, one)
    else:
        found = _of_arcs(one, other)
    found = found[_on_both(found, one, other, slack)]
    if not len(found):
        return []
    normals = [curve.normals(curve.parameters(found)) for curve in (one, other)]
    is_flat = abs(normals[0][:, 0] * normals[1][:, 1] - normals[0][:, 1] * normals[1][:, 0]) < _FLAT
    pairs = [(x, y) for x, y in found.tolist()]
    return [
        _standing_for(point, one, other, slack, known) if flat else point
        for point, flat in zip(pairs, is_flat.tolist(), strict=True)
    ]


def _standing_for(point: Pair, one: Curve, other: Curve, slack: float, known: list[Pair]) -> Pair:
    """A known point near one where curves touch, if they are one as far as that; else itself, which is known then."""
    for stand in known:
        if math.dist(point, stand) < _REACH * slack:
            between = np.array([stand, np.add(stand, point) / 2])
            if _on_both(between, one, other, slack).all():
                return stand
    known.append(point)
    return point


def _on_both(points: Points, one: Curve, other: Curve, slack: float) -> Mask:
    return np.asarray(one.near(points, slack) & other.near(points, slack))


def _of_segments(one: Segment, other: Segment) -> Points:
    """Of their lines."""
    along, across = np.subtract(one.end, one.start), np.subtract(other.end, other.start)
    twice = along[0] * across[1] - along[1] * across[0]
    if abs(twice) <= _ROUNDING * one.length * other.length:
        return np.empty((0, 2))
    gap = np.subtract(other.start, one.start)
    share = (gap[0] * across[1] - gap[1] * across[0]) / twice
    return np.asarray(one.start + np.array([[share]]) * along)


def _of_both(segment: Segment, arc: Arc) -> Points:
    """Of the line and the whole ellipse, where it is the unit circle."""
    start, end = (np.subtract(point, arc.centre) @ arc.frame.T / arc.axes for point in (segment.start, segment.end))
    along = (end - start) / (length := float(np.linalg.norm(end - start)))
    distance = abs(start[0] * along[1] - start[1] * along[0])
    if distance > 1 + _ROUNDING:
        return np.empty((0, 2))
    half = math.sqrt(max(0.0, (1 - distance) * (1 + distance)))
    shares = (np.array([-half, half]) - start @ along) / length
    return np.asarray(segment.start + shares[:, None] * np.subtract(segment.end, segment.start))


def _of_arcs(one: Arc, other: Arc) -> Points:
    """Of the whole ellipses: angles of the smaller one at which it is on the other, there the unit circle.

    Its points are K + U cos t + V sin t there, of which |.|^2 = 1 is an equation of the second degree in cos t, sin t.
    """
    if max(one.axes) > max(other.axes):
        one, other = other, one
    turned = one.frame @ other.frame.T
    u, v = one.axes[0] * turned[0] / other.axes, one.axes[1] * turned[1] / other.axes
    k = np.subtract(one.centre, other.centre) @ other.frame.T / other.axes
    constant = k @ k - 1 + (u @ u + v @ v) / 2
    first, second = 2 * np.array([k @ u, k @ v]), np.array([(u @ u - v @ v) / 2, u @ v])
    angles = _roots(constant, first, second, float(u @ u + v @ v))
    for _ in range(_NEWTON):
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        place, slope = k + u * cos + v * sin, v * cos - u * sin
        radius = np.linalg.norm(place, axis=1)
        rate = 2 * (place * slope).sum(1)
        off = (radius - 1) * (radius + 1)
        angles = angles - np.where(abs(rate) > _ON * abs(off), off / np.where(rate == 0, 1.0, rate), 0.0)
    place = k + u * np.cos(angles)[:, None] + v * np.sin(angles)[:, None]
    return one.placed(angles[abs(np.linalg.norm(place, axis=1) - 1) < _ON])


def _roots(constant: float, first: Points, second: Points, size: float) -> Points:
    """Angles t, nearly, with constant + first . (cos t, sin t) + second . (cos 2t, sin 2t) = 0; none of zero itself."""
    degree_two, degree_one = float(np.hypot(*second)), float(np.hypot(*first))
    if degree_two <= _ROUNDING * size:
        if degree_one <= _ROUNDING * size or abs(constant) > (1 + _ROUNDING) * degree_one:
            return np.empty(0)
        half = math.acos(min(1.0, max(-1.0, -constant / degree_one)))
        return math.atan2(first[1], first[0]) + np.array([-half, half])
    # In z = exp(i t), with all coefficients times 2 z^2.
    one, two = complex(*first), complex(*second)
    z = np.roots([two.conjugate(), one.conjugate(), 2 * constant, one, two])
    return np.asarray(np.angle(z[abs(np.log(abs(z))) < _ROOT]))
