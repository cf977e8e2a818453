"""A small Laplace problem and network, for tests of what surrounds the numerics."""

from __future__ import annotations

from psinn_fast import PDE, Box, Dirichlet, Problem, Residual, SignedPermutation, Symmetry
from psinn_fast.published import laplace_even


def small_laplace(n: int = 11) -> Problem:
    box = Box(x=(-1, 1), y=(-1, 1))
    return Problem(
        "small",
        PDE("x y", "u", lambda u: u.xx + u.yy),
        box,
        [Residual(box.grid(n)), Dirichlet(box.boundary(n), u=lambda x, y: x**3 - 3 * x * y**2)],
        exact=lambda points: (points[:, 0] ** 3 - 3 * points[:, 0] * points[:, 1] ** 2)[:, None],
        symmetries=[Symmetry(SignedPermutation.flip(2, 1), (1,))],
        structure=laplace_even(),
        layers=(2, 6, 6, 1),
        width=3,
        student=(4, 4),
        lr=3e-3,
        steps=200,
    )
