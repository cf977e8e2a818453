"""How far parts of a boundary are, in closed form: zero on them, positive inside of the domain, smooth there.

Not distances to the last digit, but what ansatzes need: of a face, line or circle whose continuation does not enter the
domain it is that of the whole, a polynomial; other segments and arcs are trimmed (Sukumar & Srivastava 2022, eq. 7). Of
several it is the product, so that it vanishes on each to first order.
"""

from __future__ import annotations

from functools import reduce
from operator import mul

import numpy as np
import numpy.typing as npt
import sympy as sp

from ..kernels.errors import InputError
from ..language.fields import coordinate_symbols
from .box import Box
from .domain import Domain
from .plane.curves import Curve, Segment
from .plane.plane_domain import PlaneDomain
from .product import Product
from .solids.ball import Ball

Points = npt.NDArray[np.float64]
# Points inside at which signs and sizes are looked at; what is smaller than this part of the largest is zero.
_INSIDE, _ZERO = 4096, 1e-9


def distance(domain: Domain, *parts: str) -> sp.Expr:
    """A SymPy expression of the coordinates that is 0 on parts of a domain's boundary and positive inside.

    ``pf.Ansatz(u=lambda u, x, y: pf.distance(domain, "hole") * u)`` has u = 0 on the hole. It is scaled such that its
    largest value in the domain is about 1.

    Args:
        domain: a box, a plane domain of segments and arcs, a ball, or a product of these.
        parts: names of the boundary's parts; none: all of it.

    Raises:
        InputError: another domain, which has no closed form; parts that it does not have.
    """
    if not isinstance(domain, Domain):
        raise InputError(f"domain: expected a Domain, got {type(domain).__name__}")
    names = tuple(dict.fromkeys(name for part in parts or (None,) for name in domain._chosen_parts(part)))
    symbols = coordinate_symbols(domain.coords)
    inside = np.array(domain.random(_INSIDE, 0))
    factors: dict[sp.Expr, None] = {}
    for name in names:
        for factor in _factors(domain, name, symbols, inside):
            values = np.broadcast_to(sp.lambdify(symbols, factor, "numpy")(*inside.T), len(inside))
            factors[factor if values.mean() > 0 else -factor] = None
    product = reduce(mul, factors)
    largest = float(np.max(sp.lambdify(symbols, product, "numpy")(*inside.T)))
    return product / sp.Float(f"{largest:.3g}")


def _factors(domain: Domain, part: str, symbols: tuple[sp.Symbol, ...], inside: Points) -> list[sp.Expr]:
    """Of one part: expressions that vanish on it and on nothing inside, of either sign."""
    if isinstance(domain, Box):
        axis, end = domain._face(part)
        return [(symbols[axis] - _number(end)) / _number(float(domain.high[axis] - domain.low[axis]))]
    if isinstance(domain, Product):
        number, own = domain._owner(part)
        factor, columns = list(domain._blocks())[number]
        return _factors(factor, own, symbols[columns], inside[:, columns])
    if isinstance(domain, Ball):
        squares = sum((x - _number(c)) ** 2 for x, c in zip(symbols, domain.centre.tolist(), strict=True))
        return [(squares - _number(domain.radius) ** 2) / (2 * _number(domain.radius))]
    if isinstance(domain, PlaneDomain):
        return [_of_curve(curve, symbols, inside) for curve in domain._outline.parts[part]]
    raise InputError(
        f"domain: distances of {type(domain).__name__} have no closed form; write a factor of your own, or give the "
        "condition as a term"
    )


def _of_curve(curve: Curve, symbols: tuple[sp.Symbol, ...], inside: Points) -> sp.Expr:
    level = _line(curve.start, curve.end, symbols) if isinstance(curve, Segment) else _ellipse(curve, symbols)
    values = sp.lambdify(symbols, level, "numpy")(*inside.T)
    if abs(np.sign(values).sum()) == len(values) and abs(values).min() > _ZERO * abs(values).max():
        return level
    # Only the part of it between its ends, which lies where t >= 0.
    (x0, y0), (x1, y1) = curve.start, curve.end
    if isinstance(curve, Segment):
        length = _number(curve.length)
        middle = sum((s - _number((a + b) / 2)) ** 2 for s, a, b in zip(symbols, curve.start, curve.end, strict=True))
        t = ((length / 2) ** 2 - middle) / length
    else:
        t = _line((x0, y0), (x1, y1), symbols)
        at = dict(zip(symbols, curve.middle[0][0].tolist(), strict=True))
        t = t if float(t.subs(at)) > 0 else -t
    return sp.sqrt(level**2 + ((sp.sqrt(t**2 + level**4) - t) / 2) ** 2)


def _line(start: tuple[float, float], end: tuple[float, float], symbols: tuple[sp.Symbol, ...]) -> sp.Expr:
    """The distance from the line through two points, of either sign."""
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    x, y = symbols
    return _number((y0 - y1) / length) * (x - _number(x0)) + _number((x1 - x0) / length) * (y - _number(y0))


def _ellipse(arc: Curve, symbols: tuple[sp.Symbol, ...]) -> sp.Expr:
    """Of the whole ellipse: negative within, about the distance near it."""
    assert not isinstance(arc, Segment)
    away = [s - _number(c) for s, c in zip(symbols, arc.centre, strict=True)]
    own = [sum(_number(float(e)) * s for e, s in zip(row, away, strict=True)) for row in arc.frame]
    squares = sum((part / _number(axis)) ** 2 for part, axis in zip(own, arc.axes, strict=True))
    return (squares - 1) * _number(min(arc.axes)) / 2


def _number(value: float) -> sp.Number:
    return sp.Integer(int(value)) if float(value).is_integer() else sp.Float(value, 17)
