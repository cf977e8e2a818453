"""`print(pde)` and `Problem.describe`: what is printed is what is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import random_points, relative_error

import psinn_fast as pf
from psinn_fast.kernels.language.torch_program import torch_program
from psinn_fast.language.derivative_names import derivative_name

BOX = pf.Box(t=(0, 1), x=(0, 1), y=(0, 1))
x = sp.Symbol("x")


def residual(u: Any, v: Any, t: Any, a: Any, nu: Any) -> Any:
    return [
        sp.Eq(u.t + u * u.x, pf.div(a * (1 + x**2) * pf.grad(u)) + sp.exp(-t)),
        v.lap.x - nu * u / 3,
        sp.Max(u, v) * sp.sin(v.y) - sp.sqrt(2),
    ]


PDE = pf.PDE("t x y", "u v", residual, {"a": 0.1}, {"nu": 0.25})


def test_a_pde() -> None:
    heat = pf.PDE("t x y", "u", lambda u, a: u.t - a * u.lap, {"a": 0.1}, {"nu": 0.25})
    assert str(heat).splitlines() == [
        "u(t, x, y); time t; lap = xx + yy",
        "    -0.1*u_lap + u_t = 0",
        "    order 2: value, t, x, y, lap",
        "known coefficients: a = 0.1",
        "unknown coefficients: nu, from 0.25",
    ]
    wave = pf.PDE("t x", "u v", lambda u, v: [u.t.t - u.lap, v.lap.lap - u], time=None)
    assert str(wave).splitlines() == [
        "u(t, x), v(t, x); no time; lap = tt + xx",
        "    -u_xx = 0",
        "    -u + v_tttt + 2*v_ttxx + v_xxxx = 0",
        "    order 4: value, t, x, tt, tx, xx, ttt, ttx, txx, xxx, tttt, ttxx, xxxx",
    ]
    assert str(pf.PDE("t", "u", lambda u: u.t)).startswith("u(t); time t\n")


def test_a_pde_that_is_refused_says_so() -> None:
    text = str(pf.PDE("x", "u", lambda u: u + sp.Symbol("w")))
    assert "    refused: residual: unknown symbols ['w']" in text


def test_a_problem() -> None:
    face = BOX.face("x", "low", 3)
    problem = pf.Problem(
        "flow", pf.PDE("t x y", "u v", lambda u, v: [u.t - u.lap, v.y - u]), BOX,
        [
            pf.Residual(BOX.grid(3)),
            pf.Residual(np.array([[0.5, 0.5, 0.5]]), lambda u, v: u - v, weight=100, name="gauge"),
            pf.Neumann(face, [0, 0, 1], u=0.5, v=lambda t, x, y: t),
            pf.Neumann(face, np.eye(3)[[0, 1, 2] * 3], u=0.0),
            pf.Periodic(face, BOX.face("x", "high", 3), "u u_lap"),
            pf.Data(np.zeros((2, 3)), u=[1.0, 2.0], weight=0.5),
        ],
    )  # fmt: skip
    assert str(problem) == problem.describe()
    assert problem.describe().splitlines() == [
        "problem 'flow' on Box(t=(0, 1), x=(0, 1), y=(0, 1))",
        "u(t, x, y), v(t, x, y); time t; lap = xx + yy",
        "residual: weight 1, 27 points of the interior, may be drawn anew",
        "    -u_lap + u_t = 0",
        "    -u + v_y = 0",
        "    order 2: value, t, x, y, lap",
        "gauge: weight 100, 1 points as given",
        "    u - v = 0",
        "    order 0: value",
        "neumann1: weight 1, 9 points of x_low, may be drawn anew",
        "    u_y - 0.5 = 0",
        "    -v_given + v_y = 0",
        "    order 1: value, t, x, y",
        "neumann2: weight 1, 9 points of x_low, as given",
        "    normal_t*u_t + normal_x*u_x + normal_y*u_y = 0",
        "    order 1: value, t, x, y",
        "periodic: weight 1, 9 pairs of points of x_low and x_high, may be drawn anew; partner = point + (0, 1, 0)",
        "    u - u' = 0",
        "    u_lap - u_lap' = 0",
        "    order 2: value, x, y, lap",
        "data: weight 0.5, 2 points as given",
        "    -u_given + u = 0",
        "    order 0: value",
    ]


def test_unknown_coefficients_of_a_problem() -> None:
    problem = pf.Problem(
        "inverse", pf.PDE("x", "u", lambda u, nu: u.x - nu * u, unknown={"nu": 0.5}), pf.Box(x=(0, 1)),
        [pf.Residual(np.zeros((1, 1)))], guess={"nu": 2.0}, bounds={"nu": (0, None)},
    )  # fmt: skip
    # The coefficient, not the free number behind it that keeps it within its bounds.
    lines = problem.describe().splitlines()
    assert "    -nu*u + u_x = 0" in lines
    assert lines[-3:] == [
        "unknown coefficients: nu, from 0.5",
        "Gauss-Newton starts nu from 2",
        "bounds: nu in [0.0, inf]",
    ]


def test_what_is_printed_is_what_is_trained() -> None:
    """The printed residuals, read as SymPy expressions, give the program's numbers."""
    traced = PDE.traced()
    program, n = traced.program, 5
    points = random_points(n, 3)
    jets = random_points(n, len(program.channels) * 2, 1).view(n, -1, 2).transpose(0, 1)[None]
    columns = torch.from_numpy(traced.columns([points.numpy()]))
    run = torch_program(program)
    found = torch.stack(list(run.residuals(jets, points[None], columns, torch.tensor([0.25], dtype=torch.float64))))

    values = {"nu": np.full(n, 0.25), **dict(zip(PDE.coords, points.T.numpy(), strict=True))}
    for c, channel in enumerate(program.channels.channels):
        suffix = derivative_name(channel, PDE.coords, PDE.spatial)
        for k, field in enumerate(PDE.fields):
            values[field + (f"_{suffix}" if suffix else "")] = jets[0, c, :, k].numpy()
    lines = str(PDE).splitlines()[1:4]
    symbols = sp.symbols(list(values))
    texts = [line.strip().removesuffix(" = 0") for line in lines]
    printed = [sp.lambdify(symbols, sp.sympify(text, {str(s): s for s in symbols}))(*values.values()) for text in texts]
    assert relative_error(found, torch.from_numpy(np.stack(printed))) < 1e-13


def test_large_residuals_are_outlined() -> None:
    many = pf.PDE("x", "u", lambda u: sp.Add(*(sp.sin(u + j) for j in range(600))))
    assert "... (600 terms) = 0" in str(many)
    assert len(str(many)) < 400

    def nest(u: Any) -> Any:
        for _ in range(100):
            u = sp.sin(u + 1)
        return u

    assert "(200 operations on 200 levels) = 0" in str(pf.PDE("x", "u", nest))


@pytest.mark.parametrize("name", ["laplace", "poisson", "burgers", "burgers-inverse"])
def test_built_in_problems(name: str) -> None:
    text = str(pf.get_problem(name))
    assert text.startswith(f"problem '{name}' on Box(")
    assert all(f"\n{term}: weight 1, " in text for term in pf.get_problem(name).term_names)
