"""How far parts of a boundary are, in closed form: zero on them, positive inside of the domain, smooth there.

Not distances to the last digit, but what ansatzes need: of a face, ball or box that of the whole, a polynomial; of
curves in the plane see `plane/curve_distance.py`. Of several it is the product, so that it vanishes on each to first
order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import mul

import numpy as np
import numpy.typing as npt
import sympy as sp

from ..kernels.errors import InputError
from ..language.fields import coordinate_symbols
from .box import Box
from .domain import Domain
from .plane.curve_distance import distances_of, exact_number
from .plane.plane_domain import PlaneDomain
from .product import Product
from .solids.ball import Ball

Points = npt.NDArray[np.float64]
# Points inside at which signs and sizes are looked at.
_INSIDE = 4096


def distance(domain: Domain, *parts: str) -> sp.Expr:
    """A SymPy expression of the coordinates that is 0 on parts of a domain's boundary and positive inside.

    ``pf.Ansatz(u=lambda u, x, y: pf.distance(domain, "hole") * u)`` has u = 0 on the hole. It is scaled such that its
    largest value in the domain is about 1. It is smooth, also on the parts themselves, except at corners of them that
    look into the domain and at ends of parts of which the line or circle goes on inside: there it grows like the
    distance from the point, and its derivatives jump. At such a point itself, to 1e-12 of the part's size, those of
    the terms that jump count as 0.

    Args:
        domain: a box, a plane domain of segments and arcs, a ball, or a product of these.
        parts: names of the boundary's parts; none: all of it.

    Raises:
        InputError: another domain, which has no closed form; parts that it does not have; a domain so thin behind a
            part that nothing tells its two sides apart.
    """
    if not isinstance(domain, Domain):
        raise InputError(f"domain: expected a Domain, got {type(domain).__name__}")
    names = tuple(dict.fromkeys(name for part in parts or (None,) for name in domain._chosen_parts(part)))
    symbols = coordinate_symbols(domain.coords)
    inside = np.array(domain.random(_INSIDE, 0))
    product = reduce(mul, _factors(domain, names, symbols, inside))
    largest = float(np.max(sp.lambdify(symbols, product, "numpy")(*inside.T)))
    return product / sp.Float(f"{largest:.3g}")


def _factors(domain: Domain, parts: Sequence[str], symbols: tuple[sp.Symbol, ...], inside: Points) -> list[sp.Expr]:
    """Expressions that vanish on the parts, each on some of them, and are positive inside."""
    if isinstance(domain, Box):
        return [_from_face(domain, part, symbols) for part in parts]
    if isinstance(domain, Product):
        owners = [domain._owner(part) for part in parts]
        return [
            expression
            for number, (factor, axes) in enumerate(domain._blocks())
            if (own := [name for owner, name in owners if owner == number])
            for expression in _factors(factor, own, symbols[axes], inside[:, axes])
        ]
    if isinstance(domain, Ball):
        squares = sum((x - exact_number(c)) ** 2 for x, c in zip(symbols, domain.centre.tolist(), strict=True))
        return [(exact_number(domain.radius) ** 2 - squares) / (2 * exact_number(domain.radius))]
    if isinstance(domain, PlaneDomain):
        return distances_of(domain._outline, parts, symbols, inside)
    raise InputError(
        f"domain: distances of {type(domain).__name__} have no closed form; write a factor of your own, or give the "
        "condition as a term"
    )


def _from_face(box: Box, part: str, symbols: tuple[sp.Symbol, ...]) -> sp.Expr:
    axis, end = box._face(part)
    share = (symbols[axis] - exact_number(end)) / exact_number(float(box.high[axis] - box.low[axis]))
    return share if end == box.low[axis] else -share
