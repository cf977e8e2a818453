"""Problems on domains that are no boxes, each with a closed solution to measure errors by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from scipy.special import j0, jn_zeros

from psinn_fast import PDE, Ball, Box, Dirichlet, Disk, Domain, Neumann, Polygon, Problem, Residual

Points = npt.NDArray[np.float64]
INSIDE, ALONG = 4_000, 400
_L_CORNERS = [(-1, -1), (1, -1), (1, 0), (0, 0), (0, 1), (-1, 1)]
_HOLES = [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)]
_INNER, _OUTER = 0.4, 1.0
# Of heat in a disk.
_CONDUCTIVITY, _ROOT = 0.2, float(jn_zeros(0, 1)[0])


def annulus() -> Problem:
    """Poisson between two circles, u = cos(3 x) exp(y / 2), given outside; inside its normal derivative is."""
    x, y = sympy.symbols("x y")
    u = sympy.cos(3 * x) * sympy.exp(y / 2)
    # The normal points to the centre.
    flux = sympy.lambdify((x, y), -(x * u.diff(x) + y * u.diff(y)) / _INNER, "numpy")
    domain = Disk((0, 0), _OUTER).renamed({"rim": "outer"}) - Disk((0, 0), _INNER).renamed({"rim": "inner"})
    inner = Neumann(domain.boundary(ALONG, "inner"), u=flux, name="inner")
    return _poisson("annulus", domain, u, "x y", ["outer"], [inner])


def l_shape() -> Problem:
    """Poisson on an L, u = sin(pi x) exp(-y) + x y."""
    x, y = sympy.symbols("x y")
    return _poisson("l-shape", Polygon(_L_CORNERS), sympy.sin(sympy.pi * x) * sympy.exp(-y) + x * y, "x y")


def four_holes() -> Problem:
    """Poisson on a square with four holes, u = sin(2 x + y) + x^2 y."""
    x, y = sympy.symbols("x y")
    domain: Domain = Box(x=(-1, 1), y=(-1, 1))
    for centre in _HOLES:
        domain = domain - Disk(centre, 0.25)
    return _poisson("four-holes", domain, sympy.sin(2 * x + y) + x**2 * y, "x y")


def ball() -> Problem:
    """Poisson in the unit ball, u = sin(x + 2 y) cos(z) + x z."""
    x, y, z = sympy.symbols("x y z")
    return _poisson("ball", Ball((0, 0, 0), 1.0), sympy.sin(x + 2 * y) * sympy.cos(z) + x * z, "x y z")


def heat() -> Problem:
    """u_t = k lap u in the unit disk, u = 0 on the rim, u = J0(j r) exp(-k j^2 t), j the first zero of J0."""

    def exact(points: Points) -> Points:
        t, x, y = points.T
        return np.asarray(np.exp(-_CONDUCTIVITY * _ROOT**2 * t) * j0(_ROOT * np.hypot(x, y)))

    def initial(t: Points, x: Points, y: Points) -> Points:
        return np.asarray(j0(_ROOT * np.hypot(x, y)))

    domain = Box(t=(0, 1)) * Disk((0, 0), 1.0)
    return Problem(
        "heat-disk",
        PDE("t x y", "u", lambda u, k: u.t - k * (u.xx + u.yy), {"k": _CONDUCTIVITY}),
        domain,
        [
            Residual(domain.random(INSIDE, 0)),
            Dirichlet(domain.boundary(ALONG, "t_low"), u=initial, name="initial"),
            Dirichlet(domain.boundary(ALONG, "rim"), u=0.0, name="rim"),
        ],
        exact=exact,
    )


def corner() -> Problem:
    """Laplace on an L, u = r^(2/3) sin(2/3 theta) about its re-entrant corner, whose gradient is infinite there."""

    def exact_along(x: Points, y: Points) -> Points:
        theta = np.mod(np.arctan2(y, x) - math.pi / 2, 2 * math.pi)  # from the edge x = 0, y > 0, to y = 0, x > 0
        return np.asarray(np.hypot(x, y) ** (2 / 3) * np.sin(2 / 3 * theta))

    domain = Polygon(_L_CORNERS)
    edges = [Dirichlet(domain.boundary(ALONG // 4, part), u=exact_along, name=part) for part in domain.parts]
    return Problem(
        "corner",
        PDE("x y", "u", lambda u: u.xx + u.yy),
        domain,
        [Residual(domain.random(INSIDE, 0)), *edges],
        exact=lambda points: exact_along(*points.T),
    )


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "annulus": annulus, "l-shape": l_shape, "four-holes": four_holes, "ball": ball, "heat-disk": heat, "corner": corner,
}  # fmt: skip


def _poisson(
    name: str,
    domain: Domain,
    u: sympy.Expr,
    coords: str,
    given: list[str] | None = None,
    others: list[Any] | None = None,
) -> Problem:
    """-lap u = f, f such that the solution is ``u``, whose values are given on the parts ``given`` (None: all)."""
    symbols = sympy.symbols(coords)
    value = sympy.lambdify(symbols, u, "numpy")
    source = -sum(u.diff(symbol, 2) for symbol in symbols)
    edges = [
        Dirichlet(domain.boundary(ALONG, part), u=value, name=part)
        for part in (domain.parts if given is None else given)
    ]
    return Problem(
        name,
        PDE(coords, "u", lambda u: u.lap + source),
        domain,
        [Residual(domain.random(INSIDE, 0)), *edges, *(others or [])],
        exact=lambda points: value(*points.T),
    )
