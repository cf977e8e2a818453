"""`Domain.shrunk` of a user's class is checked when a problem is made, not in the middle of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from psinn_fast import PDE, Box, Dirichlet, Domain, InputError, Problem, Residual
from psinn_fast.domains import shrunk


class Rod(Domain):
    """x in [0, 1] and t from 1 on; ``cut`` is its method, without self."""

    parts = ("start",)

    def __init__(self, last: float = 3.0, cut: Callable[..., Any] | None = None) -> None:
        super().__init__(t=(1, last), x=(0, 1))
        self.cut = cut

    def contains(self, points):
        return np.ones(len(points), dtype=bool)

    def boundary_at(self, part, unit):
        return np.hstack([1 + 0 * unit, unit]), np.tile([-1.0, 0.0], (len(unit), 1))

    def shrunk(self, coord, origin, factor):
        return Rod(origin + factor * (self.high[0] - origin)) if self.cut is None else self.cut(self, origin, factor)


def made(rod: Rod, coords: str = "t x") -> Problem:
    pde = PDE(coords, "u", lambda u: u.t - u.xx)
    return Problem("p", pde, rod, [Residual(rod.grid(5)), Dirichlet(rod.boundary(5), u=0.0)])


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (lambda self, origin, factor: self, r"Rod.shrunk\('t', 1, 0.5\): expected a domain to t = 2, got 3"),
        (lambda self, origin, factor: Rod(1.5), r"expected a domain to t = 2, got 1.5"),
        (lambda self, origin, factor: 1 / 0, r"Rod.shrunk\('t', 1, 0.5\): it failed \(ZeroDivisionError"),
        (
            lambda self, origin, factor: (1, 2),
            r"expected a domain of the coordinates \['t', 'x'\] or None, got \(1, 2\)",
        ),
        (lambda self, origin, factor: Box(x=(0, 1)), r"expected a domain of the coordinates \['t', 'x'\] or None, got"),
        (lambda self, origin, factor: Box(t=(1, 2), x=(0, 1)), r"expected a domain with the parts \['start'\], got"),
    ],
)
def test_what_is_no_window(cut: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(Rod(cut=cut))


def test_windows_that_are_right() -> None:
    window = shrunk(Rod(), "t", 1.0, 0.25)
    assert window is not None
    assert window.high.tolist() == [1.5, 1]
    made(Rod())
    made(Rod(cut=lambda *_: None))
    assert shrunk(Rod(cut=lambda *_: None), "t", 1.0, 0.25) is None
