"""The singularity of an L: it is found, and the result claims no less error than there is."""

from __future__ import annotations

import numpy as np
import pytest
from domains.shapes import LShape

from psinn_fast import PDE, Dirichlet, GaussNewton, Network, Problem, Residual, solve

pytestmark = pytest.mark.verdict


def singular(points: np.ndarray) -> np.ndarray:
    """r^(2/3) sin(2/3 angle), the angle from the edge x = 0, y > 0: 0 on both edges of the corner."""
    x, y = points.T
    angle = np.arctan2(y, x)
    angle = np.where(angle < np.pi / 2 - 1e-12, angle + 2 * np.pi, angle) - np.pi / 2
    return np.asarray(np.hypot(x, y) ** (2 / 3) * np.sin(2 / 3 * angle))


@pytest.mark.trajectory
def test_the_singularity_of_an_l() -> None:
    ell = LShape()
    walls = Dirichlet(ell.boundary(400), u=lambda x, y: singular(np.stack([x, y], 1)))
    problem = Problem("L", PDE("x y", "u", lambda u: u.lap), ell, [Residual(ell.random(2000, 0)), walls], singular)
    found = solve(problem, Network("pinn", layers=[2, 12, 12, 12, 1]), GaussNewton(60))
    error = found.metrics["relative_l2"]
    assert error < 1e-2
    assert error < found.possible_errors["u"] < 0.1
    assert found.held_out["residual"] < 10 * found.losses["residual"]
