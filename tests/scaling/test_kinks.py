"""Jumps and kinks that embeddings and ansatzes put into a network, where no residual sees them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import sympy as sp

import psinn_fast as pf
from psinn_fast.scaling.kinks import unseen_kinks

LINE, BOX = pf.Box(x=(0, 1)), pf.Box(t=(0, 1), x=(0, 1))


def _line(equation: Callable[..., object]) -> pf.Problem:
    ends = pf.Dirichlet(LINE.boundary(2), u=0.0)
    return pf.Problem("line", pf.PDE("x", "u", equation), LINE, [pf.Residual(LINE.random(50, 0)), ends])


POISSON = _line(lambda u: u.xx + 1)
DECAY = _line(lambda u, x: u.x + u - x)
HEAT = pf.Problem("heat", pf.PDE("t x", "u", lambda u: u.t - u.xx), BOX, [pf.Residual(BOX.random(50, 0))])


def _warnings(problem: pf.Problem, **ends: object) -> tuple[str, ...]:
    return unseen_kinks(problem, pf.Network(**ends).dense(problem))  # type: ignore[arg-type]  # keywords of a dict have one type, here object


@pytest.mark.parametrize(
    ("problem", "features", "expected"),
    [
        (
            POISSON,
            lambda x: (sp.Abs(x - 0.37),),
            "feature 1 kinks where x = 0.37, by Abs, and no residual sees it: sec",
        ),
        (POISSON, lambda x: (x, sp.sign(x - 0.37)), "feature 2 jumps where x = 0.37, by sign"),
        (POISSON, lambda x: (x, sp.Max(x, 0.5)), "feature 2 kinks where x = 0.5, by Max"),
        (POISSON, lambda x: (x, sp.exp(sp.Min(x**2, 0.25))), "feature 2 kinks where x = 0.5, by Min"),
        (POISSON, lambda x: (x, sp.Heaviside(x - 0.2)), "feature 2 jumps where x = 0.2, by a Heaviside"),
        (POISSON, lambda x: (x, sp.atan(1 / (x - 0.37))), "feature 2 jumps where x = 0.37, by a division"),
        (
            _line(lambda u: u.xx.xx + 1),
            lambda x: (x, (x - 0.4) * sp.Abs(x - 0.4)),
            "has a second derivative that jumps",
        ),
        (DECAY, lambda x: (x, sp.sign(x - 0.37)), "feature 2 jumps where x = 0.37, by sign, .* sees it: first"),
        (HEAT, lambda t, x: (t, sp.Abs(x - 0.37)), "feature 2 kinks where x = 0.37, by Abs"),
        (HEAT, lambda t, x: (sp.sign(t - 0.3), x), "feature 1 jumps where t = 0.3, by sign"),
        (HEAT, lambda t, x: (t, sp.Abs(x - t)), "feature 2 kinks where t = 0.*, x = 0.*, by Abs"),
    ],
)
def test_features(problem: pf.Problem, features: Callable[..., object], expected: str) -> None:
    (found,) = _warnings(problem, embedding=pf.Embedding(features))
    assert found.startswith("embedding: feature")
    assert re.search(expected, found), found


@pytest.mark.parametrize(
    ("problem", "features"),
    [
        (POISSON, lambda x: (x, sp.Abs(x))),  # on the boundary only
        (POISSON, lambda x: (x, (x - 0.37) * sp.Abs(x - 0.37))),  # u_x is continuous, residuals see u_xx
        (POISSON, lambda x: (x, sp.Abs(x - 0.37) ** 3)),
        (POISSON, lambda x: (x, sp.Abs(x - 0.37) ** 2)),
        (DECAY, lambda x: (x, sp.Abs(x - 0.37))),  # u_x is seen on both sides
        (HEAT, lambda t, x: (sp.Abs(t - 0.3), x)),
        (HEAT, lambda t, x: (t, sp.tanh(9 * (x - 0.5)))),
    ],
)
def test_what_residuals_see(problem: pf.Problem, features: Callable[..., object]) -> None:
    assert not _warnings(problem, embedding=pf.Embedding(features))


def test_ansatzes() -> None:
    (g,) = _warnings(POISSON, ansatz=pf.Ansatz(u=lambda u, x: sp.Abs(x - 0.37) + x * (1 - x) * u))
    assert g.startswith("ansatz: u: g kinks where x = 0.37, by Abs")
    (d,) = _warnings(POISSON, ansatz=pf.Ansatz(u=lambda u, x: sp.Min(x, 1 - x) * u))
    assert d.startswith("ansatz: u: d kinks where x = 0.5, by Min")


def test_distances_are_smooth_inside() -> None:
    """Of parts whose lines go on inside, too."""
    square = pf.Box(x=(-1, 1), y=(-1, 1))
    hollow = square - pf.Disk((0.2, 0.1), 0.3)
    corner = square - pf.Box(x=(0, 1), y=(0, 1))
    for domain in (square, hollow, corner):
        pde = pf.PDE("x y", "u", lambda u: u.lap + 1)
        problem = pf.Problem("plane", pde, domain, [pf.Residual(domain.random(50, 0))])
        for parts in (domain.parts, domain.parts[:1]):
            factor = pf.distance(domain, list(parts))
            assert not _warnings(problem, ansatz=pf.Ansatz(u=lambda u, d=factor: d * u))


def test_status() -> None:
    """What was "done", with an error of 0.466."""
    ansatz = pf.Ansatz(u=lambda u, x: sp.Abs(x - 0.37) - 0.37 + (sp.Rational(37, 50) - 1) * x + x * (1 - x) * u)
    network = pf.Network(layers=[1, 4, 1], ansatz=ansatz)
    solution = pf.solve(POISSON, network, pf.GaussNewton(10), options=pf.Options(progress=False))
    assert solution.status.startswith("done, but ")
    assert "ansatz: u: g kinks where x = 0.37" in solution.status
