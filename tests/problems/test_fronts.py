"""Problems with fronts: their solutions satisfy their equations, initial states and ends."""

from __future__ import annotations

import numpy as np
import pytest

from bench.front_problems import PROBLEMS


def derivative(function, points: np.ndarray, axis: int, h: float) -> np.ndarray:
    """Central, of fourth order."""
    step = np.zeros(2)
    step[axis] = h
    near, far = (function(points + k * step) - function(points - k * step) for k in (1, 2))
    return (8 * near - far) / (12 * h)


@pytest.mark.parametrize("name", ["fisher", "bistable", "shock", "reaction-diffusion", "combustion"])
def test_solutions_satisfy_the_equation(name: str) -> None:
    problem = PROBLEMS[name]()
    assert problem.exact is not None
    t = 0.4 * problem.domain.high[0]
    x = np.linspace(0.1, 0.9, 161)
    points = np.stack([np.full_like(x, t), x], 1)
    width = 2.5e-4  # a flame reacts within sqrt(D / rate) = 1.4e-3
    u = problem.exact(points)[:, 0]
    u_t = derivative(problem.exact, points, 0, width * problem.domain.high[0])[:, 0]
    u_x = derivative(problem.exact, points, 1, width)[:, 0]
    u_xx = derivative(lambda p: derivative(problem.exact, p, 1, width), points, 1, width)[:, 0]
    c = dict(problem.pde.coefficients)
    expected = {
        "fisher": lambda: c["d"] * u_xx + c["r"] * u * (1 - u),
        "bistable": lambda: c["eps"] * u_xx + u * (1 - u) * (u - c["a"]),
        "shock": lambda: c["nu"] * u_xx - u * u_x,
        "reaction-diffusion": lambda: c["d"] * u_xx + c["r"] * u**2 * (1 - u),
        "combustion": lambda: c["d"] * u_xx + 45 * 32 * u * (1 - u) * np.exp(-8 * (1 - u)),
    }[name]()
    # The stencils reach 1e-3 at most, less than any front is wide: their error is below a thousandth.
    assert np.abs(u_t).max() > 0.01
    assert np.abs(u_t - expected).max() < 5e-3 * np.abs(u_t).max()
