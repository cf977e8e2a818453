"""How far segments and arcs are, in closed form: expressions that are zero on them and positive inside of the domain.

Each curve has a level f: that of its whole line or ellipse, a polynomial, positive on the domain's side of the curve.

- Where f is positive in all of the domain, and zero on no other curve of its boundary, it is the expression.
- Curves that meet in corners that look into the domain have one together, R-disjunctions a + b + sqrt(a^2 + b^2)
  (Rvachev; Shapiro 2007, Semi-analytic geometry with R-functions): positive where one of the levels is, zero on the
  boundary of what is behind all of them. It grows like the distance from the corner, where a product would like its
  square, and to first order it is a on the curve of a, where b < 0.
- Otherwise a curve is trimmed: it is the disjunction of f and of -(f + h), h > 0 between its ends, 0 there: zero on
  the curve and around a sliver behind it, -h < f < 0, which is no part of the domain.

On the curves themselves nothing is divided by what vanishes, as in sqrt(f^2 + ...), so that derivatives are finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import sympy as sp

from ...kernels.errors import InputError
from ...language.disjunction import Disjunction
from .curves import Curve, Segment
from .outline import Outline
from .scanning import is_near, is_within

Points = npt.NDArray[np.float64]
Symbols = tuple[sp.Symbol, ...]

# What is smaller than this part of the largest value is zero, and how near to a corner, in parts of the size of the
# domain, nothing but the corner is: there roots count as constant, for they have no derivative.
_ZERO, _CORNER = 1e-9, 1e-12
# Boundaries that turn by a smaller sine go straight on.
_STRAIGHT = 1e-6
# Of the size: a step aside from a curve.
_ASIDE = 1e-5
# Points of a curve at which levels are looked at, at which depths of a sliver, and how often it is made thinner.
_LOOKED, _DEPTHS, _THINNER = 64, (0.02, 0.3, 1.0, 1.5), 12


def distances_of(outline: Outline, parts: Sequence[str], symbols: Symbols, inside: Points) -> list[sp.Expr]:
    """Expressions, each of which vanishes on some of the parts' curves, to first order, and on no others.

    Args:
        outline: of the domain.
        parts: names of its parts.
        symbols: of x and y.
        inside: (N, 2), points at which they are to be positive.

    Raises:
        InputError: a curve behind which there is no room for a sliver.
    """
    left = [curve for name in parts for curve in outline.parts[name]]
    size = _size(outline)
    found = list[sp.Expr]()
    # Corners and lines, then corners alone, then lines: what shares one is tried together, and what fails is next.
    for related in (lambda a, b: _meet(a, b) or _are_one(a, b, size), _meet, lambda a, b: _are_one(a, b, size)):
        failed = list[Curve]()
        for group in _groups(left, related):
            expression = _together(group, outline, symbols, inside)
            if expression is None:
                failed += group
            else:
                found.append(expression)
        left = failed
    return [*found, *(_trimmed(curve, outline, symbols) for curve in left)]


def exact_number(value: float) -> sp.Number:
    """Integers as such."""
    return sp.Integer(int(value)) if float(value).is_integer() else sp.Float(value, 17)


def _together(curves: list[Curve], outline: Outline, symbols: Symbols, inside: Points) -> sp.Expr | None:
    """The disjunction of the curves' levels, if it is zero on all of them, and positive elsewhere."""
    size = _size(outline)
    lines = [line[0] for line in _groups(curves, lambda a, b: _are_one(a, b, size))]
    expression = _any([_level(line, symbols) for line in lines], size)
    own = sp.lambdify(symbols, expression, "numpy", cse=True)
    values = np.asarray(own(*inside.T))
    zero = _ZERO * abs(values).max()
    on_them = np.concatenate([own(*curve.at(_shares())[0].T) for curve in curves])
    on_others = [own(*curve.at(_shares())[0].T) for curve in outline.curves if curve not in curves]
    is_right = values.min() > zero and abs(on_them).max() < zero and all(np.min(v) > zero for v in on_others)
    return expression if is_right else None


def _shares() -> Points:
    return (np.arange(_LOOKED) + 0.5) / _LOOKED


def _any(levels: list[sp.Expr], size: float) -> sp.Expr:
    """The disjunction of all."""
    if len(levels) == 1:
        return levels[0]
    half = len(levels) // 2
    return _either(_any(levels[:half], size), _any(levels[half:], size), size)


def _either(a: sp.Expr, b: sp.Expr, size: float) -> sp.Expr:
    return Disjunction(a, b, sp.Float((_CORNER * size) ** 2, 17))


def _size(outline: Outline) -> float:
    low, high = outline.extent
    return float((high - low).max())


def _trimmed(curve: Curve, outline: Outline, symbols: Symbols) -> sp.Expr:
    """Zero on the curve alone."""
    level, room = _level(curve, symbols), _between_ends(curve, symbols)
    points, normals = curve.at(_shares())
    height = np.broadcast_to(sp.lambdify(symbols, room, "numpy", cse=True)(*points.T), len(points))
    size = _size(outline)
    slope = -sp.lambdify(symbols, level, "numpy", cse=True)(*(points + _ASIDE * size * normals).T) / (_ASIDE * size)
    for halvings in range(_THINNER):
        thick = 0.5**halvings
        behind = [points + (depth * thick * height / slope)[:, None] * normals for depth in _DEPTHS]
        there = np.concatenate(behind)
        if not (is_within(outline.curves, there) | is_near(outline.curves, there, 0.0)).any():
            return _either(level, -(level + exact_number(thick) * room), size)
    place = ", ".join(f"{x:.6g}" for x in curve.middle[0][0])
    raise InputError(
        f"domain: it has no room behind the boundary near ({place}), where the other side of a thin wall is; write a "
        "factor of your own, or give the condition as a term"
    )


def _between_ends(curve: Curve, symbols: Symbols) -> sp.Expr:
    """Positive on the curve, zero at its ends, where it grows like the distance from them, negative on what its line or
    ellipse goes on with; of a closed curve a number."""
    if curve.start == curve.end:
        return exact_number(curve.length / 8)
    if isinstance(curve, Segment):
        length = exact_number(curve.length)
        middle = [exact_number((a + b) / 2) for a, b in zip(curve.start, curve.end, strict=True)]
        squares = sum((s - m) ** 2 for s, m in zip(symbols, middle, strict=True))
        return ((length / 2) ** 2 - squares) / length
    chord = _line(curve.start, curve.end, symbols)
    at = dict(zip(symbols, curve.middle[0][0].tolist(), strict=True))
    return chord if float(chord.subs(at)) > 0 else -chord


def _level(curve: Curve, symbols: Symbols) -> sp.Expr:
    """Of the whole line or ellipse: positive on the domain's side, which is the left, about the distance near it."""
    if isinstance(curve, Segment):
        return _line(curve.start, curve.end, symbols)
    away = [s - exact_number(c) for s, c in zip(symbols, curve.centre, strict=True)]
    own = [sum(exact_number(float(e)) * s for e, s in zip(row, away, strict=True)) for row in curve.frame]
    squares = sum((part / exact_number(axis)) ** 2 for part, axis in zip(own, curve.axes, strict=True))
    within = (1 - squares) * exact_number(min(curve.axes)) / 2
    return within if curve.last > curve.first else -within


def _line(start: tuple[float, float], end: tuple[float, float], symbols: Symbols) -> sp.Expr:
    """The distance from the line through two points, positive on the left of the way from one to the other."""
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    x, y = symbols
    return exact_number((y0 - y1) / length) * (x - exact_number(x0)) + exact_number((x1 - x0) / length) * (
        y - exact_number(y0)
    )


def _groups(curves: list[Curve], related: Callable[[Curve, Curve], bool]) -> list[list[Curve]]:
    """Those that are related, or are to one between them, together."""
    found: list[list[Curve]] = []
    for curve in curves:
        near = [own for own in found if any(related(one, curve) for one in own)]
        found = [own for own in found if own not in near]
        found.append([*(one for own in near for one in own), curve])
    return found


def _are_one(one: Curve, other: Curve, size: float) -> bool:
    """Whether they are of one line or ellipse, with the domain on the same side."""
    if type(one) is not type(other):
        return False
    points, normals = other.at(_shares())
    return bool(
        abs(_side(one, points)).max() < _ZERO * size and (_side(one, points - _ASIDE * size * normals) > 0).all()
    )


def _side(curve: Curve, points: Points) -> Points:
    """(N,): of the whole line or ellipse, about the distance near it, positive on the domain's side."""
    if isinstance(curve, Segment):
        return np.asarray((curve.start - points) @ curve.normals(np.zeros(1))[0])
    return curve.level(points) * (-1.0 if curve.last > curve.first else 1.0)


def _meet(one: Curve, other: Curve) -> bool:
    """Whether one goes on from the other at a corner that looks into the domain."""
    turns = (_turn(a, b) for a, b in ((one, other), (other, one)) if a.end == b.start and a.start != a.end)
    return any(turn < -_STRAIGHT for turn in turns)


def _turn(one: Curve, other: Curve) -> float:
    """The sine of the angle by which the boundary turns from one to the next: negative to the right, where the domain
    has more than half of all directions."""
    (_, before), (_, after) = one.at(np.ones(1)), other.at(np.zeros(1))
    return float(before[0, 0] * after[0, 1] - before[0, 1] * after[0, 0])
