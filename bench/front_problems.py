"""Problems with travelling or steepening fronts, each with a solution to measure errors by."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from scipy.integrate import solve_ivp
from scipy.interpolate import make_interp_spline

from psinn_fast import PDE, Box, Dirichlet, Periodic, Problem, Residual
from psinn_fast.problems.burgers import burgers

Points = npt.NDArray[np.float64]
Profile = Callable[[Points], Points]
GRID = 101
# Central second differences of eighth order.
_SECOND = np.array([-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560])


def fisher(length: float = 0.01) -> Problem:
    """Fisher-KPP, u_t = D u_xx + r u(1 - u), with the wave of Ablowitz & Zeppetella (1979), speed 5 sqrt(r D / 6)."""
    rate = 0.6 / length
    diffusion = rate * length**2 / 6

    def exact(points: Points) -> Points:
        return _logistic((0.2 - points[:, 1]) / length + 5 / 6 * rate * points[:, 0])[:, None] ** 2

    def equation(u: Any, d: Any, r: Any) -> Any:
        return u.t - d * u.xx - r * u * (1 - u)

    return _front("fisher", PDE("t x", "u", equation, {"d": diffusion, "r": rate}), exact)


def bistable() -> Problem:
    """u_t = eps u_xx + u(1 - u)(u - a) with its tanh wave of width sqrt(8 eps) and speed sqrt(2 eps) (1/2 - a)."""
    eps, a = 1e-3, 0.1
    speed = math.sqrt(2 * eps) * (0.5 - a)

    def exact(points: Points) -> Points:
        return _logistic((0.3 + speed * points[:, 0] - points[:, 1]) / math.sqrt(2 * eps))[:, None]

    def equation(u: Any, eps: Any, a: Any) -> Any:
        return u.t - eps * u.xx - u * (1 - u) * (u - a)

    return _front("bistable", PDE("t x", "u", equation, {"eps": eps, "a": a}), exact, Box(t=(0, 20), x=(0, 1)))


def shock(nu: float = 0.005) -> Problem:
    """Burgers' travelling shock from 1 to 0, (1 - tanh((x - t / 2) / (4 nu))) / 2 up to a shift."""

    def exact(points: Points) -> Points:
        return _logistic((0.25 + points[:, 0] / 2 - points[:, 1]) / (2 * nu))[:, None]

    def equation(u: Any, nu: Any) -> Any:
        return u.t + u * u.x - nu * u.xx

    return _front("shock", PDE("t x", "u", equation, {"nu": nu}), exact)


def combustion() -> Problem:
    """A flame, u_t = D u_xx + (beta^2 / 2) r u(1 - u) exp(-beta (1 - u)): an Arrhenius-like source at the hot side."""
    beta, rate, diffusion = 8.0, 45.0, 3e-3

    def source(u: Any, exp: Any) -> Any:
        return rate * beta**2 / 2 * u * (1 - u) * exp(-beta * (1 - u))

    def start(x: Points) -> Points:
        return _logistic((0.25 - x) / 0.02)

    def equation(u: Any, d: Any) -> Any:
        return u.t - d * u.xx - source(u, sympy.exp)

    reference = method_of_lines(start, diffusion, lambda u: source(u, np.exp))
    return _front("combustion", PDE("t x", "u", equation, {"d": diffusion}), reference, start=start)


def reaction_diffusion(length: float = 0.01) -> Problem:
    """u_t = D u_xx + r u^2 (1 - u) with Zeldovich's wave 1 / (1 + exp((x - c t) / l)), l^2 = 2 D / r, c = r l / 2."""
    speed = 0.5
    rate = 2 * speed / length
    diffusion = rate * length**2 / 2

    def exact(points: Points) -> Points:
        return _logistic((0.25 + speed * points[:, 0] - points[:, 1]) / length)[:, None]

    def equation(u: Any, d: Any, r: Any) -> Any:
        return u.t - d * u.xx - r * u**2 * (1 - u)

    return _front("reaction-diffusion", PDE("t x", "u", equation, {"d": diffusion, "r": rate}), exact)


def allen_cahn() -> Problem:
    """u_t = 1e-4 u_xx + 5 u - 5 u^3 from x^2 cos(pi x), periodic: steep layers grow in place."""
    box = Box(t=(0, 1), x=(-1, 1))

    def start(x: Points) -> Points:
        return x**2 * np.cos(math.pi * x)

    def equation(u: Any) -> Any:
        return u.t - 1e-4 * u.xx - 5 * u + 5 * u**3

    reference = method_of_lines(start, 1e-4, lambda u: 5 * u - 5 * u**3, -1.0, 1.0, "periodic")
    return Problem(
        "allen-cahn",
        PDE("t x", "u", equation),
        box,
        [
            Residual(box.grid(GRID)),
            Dirichlet(box.face("t", "low", GRID), u=lambda t, x: start(x), name="initial"),
            Periodic(box.face("x", "low", GRID), box.face("x", "high", GRID), "u u_x", name="walls"),
        ],
        exact=reference,
    )


def convection() -> Problem:
    """u_t + 30 u_x = 0 from sin x, periodic."""
    box = Box(t=(0, 1), x=(0, 2 * math.pi))
    return Problem(
        "convection",
        PDE("t x", "u", lambda u: u.t + 30 * u.x),
        box,
        [
            Residual(box.grid(GRID)),
            Dirichlet(box.face("t", "low", GRID), u=lambda t, x: np.sin(x), name="initial"),
            Periodic(box.face("x", "low", GRID), box.face("x", "high", GRID), "u", name="walls"),
        ],
        exact=lambda points: np.sin(points[:, 1:] - 30 * points[:, :1]),
    )


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "fisher": fisher,
    "bistable": bistable,
    "burgers": burgers,
    "shock": shock,
    "combustion": combustion,
    "reaction-diffusion": reaction_diffusion,
    "allen-cahn": allen_cahn,
    "convection": convection,
}


def method_of_lines(
    start: Profile,
    diffusion: float,
    source: Profile,
    low: float = 0.0,
    high: float = 1.0,
    ends: str = "fixed",
    duration: float = 1.0,
    intervals: int = 2_000,
) -> Callable[[Points], Points]:
    """Solution of u_t = D u_xx + source(u) by eighth-order differences and DOP853, at points (t, x).

    ``ends``: "fixed" values at which the source vanishes (an odd continuation holds them), or "periodic". Twice as many
    intervals change combustion by at most 1.9e-8 and allen-cahn by 3.8e-8.
    """
    x = np.linspace(low, high, intervals + 1)
    h = (high - low) / intervals
    reach = len(_SECOND) // 2

    def rate(t: float, u: Points) -> Points:
        if ends == "periodic":
            wide = np.concatenate([u[-reach - 1 : -1], u, u[1 : reach + 1]])
        else:
            wide = np.concatenate([2 * u[0] - u[reach:0:-1], u, 2 * u[-1] - u[-2 : -reach - 2 : -1]])
        result = diffusion / h**2 * np.convolve(wide, _SECOND, "valid") + source(u)
        if ends == "fixed":
            result[[0, -1]] = 0.0
        return result

    @cache
    def solution() -> Any:
        return solve_ivp(
            rate, (0, duration), start(x), "LSODA", rtol=1e-10, atol=1e-12, dense_output=True, lband=reach, uband=reach
        ).sol

    def at(points: Points) -> Points:
        u = np.empty((len(points), 1))
        times, where = np.unique(points[:, 0], return_inverse=True)
        for i, t in enumerate(times):
            rows = where == i
            u[rows, 0] = make_interp_spline(x, solution()(t), k=7)(points[rows, 1])
        return u

    return at


def _front(
    name: str,
    pde: PDE,
    exact: Callable[[Points], Points],
    box: Box | None = None,
    start: Profile | None = None,
) -> Problem:
    """As a user writes it: a grid, the initial state, the values at both ends."""
    box = box or Box(t=(0, 1), x=(0, 1))

    def value(t: Points, x: Points) -> Points:
        return exact(np.stack([t, x], 1))[:, 0]

    initial = value if start is None else lambda t, x: start(x)
    conditions = [
        Residual(box.grid(GRID)),
        Dirichlet(box.face("t", "low", GRID), u=initial, name="initial"),
        Dirichlet(box.face("x", "low", GRID), u=value, name="left"),
        Dirichlet(box.face("x", "high", GRID), u=value, name="right"),
    ]
    return Problem(name, pde, box, conditions, exact=exact)


def _logistic(z: Points) -> Points:
    return 1 / (1 + np.exp(-z))
