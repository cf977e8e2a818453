"""Conditions that contradict each other are told, although every residual is small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
import torch

import psinn_fast as pf
from psinn_fast.kernels import get_backend
from psinn_fast.training.contradictions import contested
from psinn_fast.training.points.held_out import REPORTED, HeldOut
from psinn_fast.training.stability import errors_allowed

pytestmark = pytest.mark.verdict

LINE = pf.Box(x=(0, 1))
LOOKING = pf.GaussNewton(60), pf.LBFGS(300)


def channel(outflow: float, *others: pf.Condition, weight: float = 1.0) -> pf.Problem:
    """u' = 2 pi cos(2 pi x), u(0) = 0: what goes out at 1 is 0, too."""
    ends = [
        pf.Dirichlet([[0.0]], u=0.0, name="inlet"),
        pf.Dirichlet([[1.0]], u=outflow, name="outlet", weight=weight),
    ]
    pde = pf.PDE("x", "u", lambda u, x: u.x - 2 * sympy.pi * sympy.cos(2 * sympy.pi * x))
    conditions = [pf.Residual(LINE.grid(100)), *ends, *others]
    return pf.Problem("channel", pde, LINE, conditions, exact=lambda x: np.sin(2 * np.pi * x))


def solved(problem: pf.Problem, optimizer: Any) -> pf.Solution:
    return pf.solve(problem, pf.Network("pinn", layers=[1, 8, 1], dtype="float64"), optimizer)


def test_a_straight_line_in_closed_form() -> None:
    """u = w x + b: w^2 + b^2 + (w + b - 1)^2 is least at w = b = 1/3; without the inlet w = 0 and b = 1 solve all."""
    pde, ends = pf.PDE("x", "u", lambda u: u.x), np.array([[0.0], [1.0]])
    conditions = [
        pf.Residual(LINE.grid(100)),
        pf.Dirichlet(ends[:1], u=0.0, name="inlet"),
        pf.Dirichlet(ends[1:], u=1.0, name="outlet"),
    ]
    problem = pf.Problem("line", pde, LINE, conditions)
    net = pf.MLP([1, 1], dtype=torch.float64)
    with torch.no_grad():
        net.theta.copy_(torch.tensor([1 / 3, 1 / 3]))
    unseen, x = HeldOut(problem, REPORTED), net.theta.detach()
    found = errors_allowed(problem, get_backend(), net, x, unseen, problem.terms(torch.float64), lambda: False)
    points = np.linspace(0, 1, 10_001)
    size = np.sqrt(np.mean((points / 3 + 1 / 3) ** 2))
    expected = {"inlet": (2 - points) / 3, "outlet": -(1 + points) / 3}
    for name, change in expected.items():
        assert found.contested[f"{name!r}"] == pytest.approx(
            np.sqrt(np.mean(change**2)) / size, rel=0.05
        )  # of few points


def test_what_a_network_cannot_do_is_no_contradiction() -> None:
    """u = x^2 satisfies all, and no straight line does: x - 1/12 is the best. Without u(1/2) = 1/4 it would move."""
    given = {"inlet": (0.0, 0.0), "outlet": (1.0, 1.0), "middle": (0.5, 0.25)}
    conditions = [pf.Dirichlet([[x]], u=u, name=name) for name, (x, u) in given.items()]
    pde = pf.PDE("x", "u", lambda u, x: u.x - 2 * x)
    problem = pf.Problem("parabola", pde, LINE, [pf.Residual(LINE.grid(100)), *conditions])
    net = pf.MLP([1, 1], dtype=torch.float64)
    with torch.no_grad():
        net.theta.copy_(torch.tensor([1.0, -1 / 12]))
    unseen, x = HeldOut(problem, REPORTED), net.theta.detach()
    found = errors_allowed(problem, get_backend(), net, x, unseen, problem.terms(torch.float64), lambda: False)
    assert found.contested == {}
    assert found.errors["u"] > 0.1


@pytest.mark.trajectory
@pytest.mark.parametrize("optimizer", LOOKING, ids=str)
@pytest.mark.parametrize("weight", [30.0, 1000.0])
def test_more_goes_out_than_comes_in(optimizer: pf.GaussNewton | pf.LBFGS, weight: float) -> None:
    solution = solved(channel(0.1, weight=weight), optimizer)
    error = solution.metrics["relative_l2"]
    assert isinstance(error, float)
    assert 0.01 < error < solution.possible_errors["u"]
    assert "its conditions contradict each other: fields would change by" in solution.status
    assert "% without 'outlet'" in solution.status


@pytest.mark.trajectory
@pytest.mark.parametrize("optimizer", LOOKING, ids=str)
def test_conditions_that_agree_or_are_noisy_data_are_no_contradiction(optimizer: pf.GaussNewton | pf.LBFGS) -> None:
    x = np.linspace(0, 1, 30)[:, None]
    noise = 0.05 * np.random.default_rng(0).standard_normal(30)
    noisy = pf.Data(x, u=np.sin(2 * np.pi * x[:, 0]) + noise)
    for problem in (channel(0.0), channel(0.0, noisy)):
        solution = solved(problem, optimizer)
        assert "contradict" not in solution.status
        assert solution.possible_errors["u"] < 0.05


def test_small_moves_are_no_contradiction() -> None:
    assert contested({"u": {"a": 0.03, "b": 0.009}, "v": {"a": 0.05}}) == {"a": 0.05}


@pytest.mark.trajectory
@pytest.mark.parametrize("steps", [5, 15])
def test_conditions_that_others_need_are_no_contradiction(steps: int) -> None:
    """Without the walls nothing determines u; a small network leaves residuals."""
    plate = pf.Box(x=(0, 2), y=(0, 1)) - pf.Disk((1, 0.5), 0.2)
    conditions = [
        pf.Residual(plate.random(500, seed=0)),
        pf.Dirichlet(plate.boundary(100, ["y_low", "y_high"]), u=0.0, name="walls"),
        pf.Neumann(plate.boundary(100, ["x_low", "x_high", "rim"]), u=0.0, name="insulated"),
    ]
    problem = pf.Problem("plate", pf.PDE("x y", "u", lambda u: u.lap + 1), plate, conditions)
    solution = pf.solve(problem, pf.Network("pinn", layers=[2, 8, 8, 1]), pf.GaussNewton(steps))
    assert "contradict" not in solution.status
