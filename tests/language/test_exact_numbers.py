"""Floats that are integers are these: 0.0 is 0, x**2.0 a square."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
import torch

import psinn_fast as pf
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.language.closed_forms import closed_form
from psinn_fast.language.exact_numbers import is_zero, with_exact_numbers

X, Y = sp.symbols("x y", real=True)
BOX = pf.Box(t=(0, 1), x=(-1, 1))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (sp.Max(X, 0.0), sp.Max(X, 0)),
        (1.0 * X, X),
        (sp.Float(0.0), sp.Integer(0)),
        (-1.0 * X**2.0 + Y**0.5 / X**-1.5, -(X**2) + sp.sqrt(Y) * X ** sp.Rational(3, 2)),
        (sp.sin(2.0 * X + 0.25), sp.sin(2 * X + 0.25)),
        (sp.Float(1e300) * X, sp.Float(1e300) * X),
        (X**0.0, sp.Integer(1)),
    ],
)
def test_written_exactly(given: sp.Expr, expected: sp.Expr) -> None:
    assert with_exact_numbers(given) == expected


def test_zeros() -> None:
    assert all(map(is_zero, (sp.Float(0.0), sp.S.Zero, sp.Float(-0.0))))
    assert not any(map(is_zero, (X, sp.Float(1e-300))))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: sp.Max(x, 0.0), lambda x: sp.Max(x - 0.5, 0.0) + 0.0, lambda x: sp.Min(0.0, x) ** 2.0,
        lambda x: (x - 2) ** 3.0, lambda x: sp.Heaviside(x, 0.0) * x**1.0,
    ],
)  # fmt: skip
def test_closed_forms_of_floats(function: Callable[[sp.Symbol], sp.Expr]) -> None:
    """Values and second derivatives are finite, where a power by a logarithm would have none."""
    points = np.linspace(-1, 1, 8)[:, None]
    jets = closed_form([function(X)], ("x",), "own").jets(torch.from_numpy(points), ChannelSet.closure(1, [(2,)]))
    right = [float(function(sp.Float(x)).evalf()) for x in points[:, 0]]
    np.testing.assert_allclose(jets[0, :, 0].numpy(), right, atol=1e-14)
    assert bool(torch.isfinite(jets).all())


def test_float_zeros_in_problems() -> None:
    pde = pf.PDE("t x", "u", lambda u: u.t - sp.Max(u, 0.0) + 0.0 * u.x)
    own = pf.Residual(BOX.boundary(5, "x_low"), lambda u: sp.Max(u, 0.0) - 1.0 * u)
    problem = pf.Problem("zeros", pde, BOX, [pf.Residual(BOX.random(20, 0)), own])
    chosen = pf.Network(
        layers=[2, 3, 1], embedding=pf.Embedding(lambda t, x: (t, sp.Max(x, 0.0))),
        ansatz=pf.Ansatz(u=lambda u, x: sp.Max(x - 0.5, 0.0) + 1.0 * u),
    )  # fmt: skip
    assert np.isfinite(pf.build_network(problem, chosen).predict(BOX.random(9, 1))).all()
    with pytest.raises(pf.InputError, match="does not depend on u"):
        pf.build_network(problem, pf.Network(layers=[2, 3, 1], ansatz=pf.Ansatz(u=lambda u, x: 0.0 * u + x)))


@pytest.mark.parametrize("zero", [0, 0.0, -0.0])
def test_marching_from_zero(zero: float) -> None:
    heat = pf.PDE("t x", "u", lambda u: u.t - 1.0 * u.xx)
    start = pf.Dirichlet(BOX.boundary(9, "t_low"), u=zero, name="start")
    walls = pf.Dirichlet(BOX.boundary(9, ["x_low", "x_high"]), u=0.0, name="walls")
    problem = pf.Problem("heat", heat, BOX, [pf.Residual(BOX.random(40, 0)), start, walls])
    found = pf.march(
        problem, pf.Network(layers=[2, 4, 1]), pf.GaussNewton(10), windows=1, options=pf.Options(progress=False)
    )
    assert abs(found.windows[0].net.predict(np.array(BOX.boundary(9, "t_low")))).max() < 1e-12
