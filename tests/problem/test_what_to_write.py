"""Errors that say what to write, where the words of other libraries or languages were meant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
import torch

import psinn_fast as pf

BOX = pf.Box(x=(0, 1), y=(0, 1))
PDE = pf.PDE("x y", "u", lambda u: u.lap)
EDGE = BOX.boundary(12)
PROBLEM = pf.Problem("laplace", PDE, BOX, [pf.Residual(BOX.grid(4)), pf.Dirichlet(EDGE, u=0.0)])


def _fused() -> tuple[pf.Fused, torch.Tensor]:
    x = torch.rand(8, 1)

    def loss(net: pf.MLP, x: torch.Tensor) -> torch.Tensor:
        return (pf.derivatives(net, x, "u_x", coords="x", fields="u").u_x - 1).square().mean()

    return pf.fuse(loss, pf.MLP([1, 4, 1], seed=0), x, coords="x"), x


@pytest.mark.parametrize(
    ("write", "advice"),
    [
        (lambda: pf.PDE("x", "u", lambda u, x: u.xx + x ^ 2), r"\^ is no power in Python; write x\*\*2"),
        (lambda: pf.Dirichlet(EDGE, u=lambda x, y: x ^ 2), r"\^ is no power in Python, write x\*\*2"),
        (lambda: pf.Dirichlet(EDGE, u=lambda x, y: sp.sin(x)), "conditions take NumPy's functions, e.g. numpy.sin"),
        (lambda: pf.Dirichlet(EDGE, u=lambda x, y: sp.sqrt(x) + y), "conditions take NumPy's functions"),
        (
            lambda: pf.Neumann(EDGE, u=lambda x, y, n_x, n_y: x * n_x + y * n_y),
            r"the 2 coordinates alone, no n_x and n_y: .*pf.Residual\(points, lambda u, x, y, n_x, n_y: \.\.\.\)",
        ),
        (lambda: pf.Dirichlet(EDGE, u=lambda x, y, z: x), "it is called with the 2 coordinates alone"),
        (lambda: pf.Network([2, 8, 1]), r"for sizes write layers=\[2, 8, 1\]"),  # type: ignore[arg-type]  # sizes
        (lambda: pf.solve(PROBLEM, optimizer="gausnewton"), "for solve also 'auto'"),
        (
            lambda: pf.discover(PROBLEM, pf.Network(layers=[2, 8, 1])),
            r"not layers: settings=pf.StudentSettings\(hidden=.*recipe=pf.Recipe\(layers=",
        ),
        (lambda: _fused()[0](torch.rand(8, 1)), r"takes no arguments.*points.data.copy_\(new_points\)"),
    ],
)
def test_what_to_write_is_said(write: Callable[[], object], advice: str) -> None:
    with pytest.raises(pf.InputError, match=advice):
        write()


def test_what_is_said_works() -> None:
    fused, x = _fused()
    before = float(fused().detach())
    x.data.copy_(torch.rand(8, 1, generator=torch.Generator().manual_seed(1)))
    assert float(fused().detach()) != before
    flux = pf.Residual(EDGE, lambda u, x, n_x, n_y: n_x * u.x + n_y * u.y - x * n_x)
    assert len(pf.Problem("flux", PDE, BOX, [*PROBLEM.conditions, flux]).traced) == 3
    assert np.isfinite(pf.Dirichlet(EDGE, u=lambda x, y: np.sin(x)).columns["u"]).all()
