"""Runs that end far from a solution say so, whatever weights hide, and those near one do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
import torch

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    Network,
    Problem,
    Residual,
    Tuning,
    build_network,
    fit,
    solve,
)
from psinn_fast.problems import PROBLEMS, get_problem
from psinn_fast.scaling.natural_scales import natural_losses

pytestmark = pytest.mark.verdict

LINE = Box(x=(0, 1))
ENDS = [[0.0], [1.0]]
NETWORK = Network(layers=[1, 12, 12, 1])
NEWTON = NETWORK, GaussNewton(60)


def parabola(*others: Data | Dirichlet) -> Problem:
    """u'' + 6 = 0: u = 3 x (1 - x)."""
    pde = PDE("x", "u", lambda u: u.xx + 6)
    return Problem("parabola", pde, LINE, [Residual(LINE.grid(200)), Dirichlet(ENDS, u=0.0), *others])


@pytest.mark.trajectory
def test_a_large_weight_hides_no_term() -> None:
    pde = PDE("x", "u", lambda u, x: u.xx + 100 * sympy.pi**2 * sympy.sin(10 * sympy.pi * x))
    ends = Dirichlet(ENDS, u=[5.0, 5.0], weight=1e4)
    problem = Problem("w", pde, LINE, [Residual(LINE.grid(200)), ends], exact=lambda x: 5 + np.sin(10 * np.pi * x))
    solution = solve(problem, *NEWTON)
    assert solution.metrics["relative_l2"] > 0.5  # type: ignore[operator]
    assert solution.loss < 1e-2 * solution.history["loss"][0]
    assert "this is no solution" in solution.status
    assert "term 'residual' is still at" in solution.status
    assert f"the relative L2 error is {100 * solution.metrics['relative_l2']:.0f} %" in solution.status  # type: ignore[operator]


@pytest.mark.trajectory
@pytest.mark.parametrize("value", [0.5, 5.0, -0.01])
def test_data_that_contradict_the_equation_are_noticed(value: float) -> None:
    """u(1/2) is 0.75."""
    solution = solve(parabola(Dirichlet([[0.5]], u=value, name="middle")), *NEWTON)
    assert "or data are noisy: term" in solution.status
    assert "'middle' is still at" in solution.status


@pytest.mark.trajectory
def test_data_that_agree_or_are_a_little_noisy_are_no_doubt() -> None:
    x = np.linspace(0, 1, 40)[:, None]
    noise = 0.01 * np.random.default_rng(0).standard_normal(40)
    solution = solve(parabola(Data(x, u=3 * x[:, 0] * (1 - x[:, 0]) + noise)), *NEWTON)
    assert solution.warnings == ()


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": Adam(0)},
        {"optimizer": GaussNewton(steps=0)},
        {"optimizer": GaussNewton(steps=50, tuning=Tuning(damping=1e300))},
        {"optimizer": GaussNewton(tuning=Tuning(gradient_tolerance=2))},
        {"optimizer": GaussNewton(tuning=Tuning(step_tolerance=1.0))},
        {"seconds": 0},
        {"optimizer": "gauss-newton", "seconds": 0},
    ],
    ids=str,
)
def test_a_run_without_a_step_is_no_solution(options: dict[str, Any]) -> None:
    solution = solve(parabola(), NETWORK, **options)
    assert solution.steps == 0
    assert "this is no solution" in solution.status
    assert "no step was taken" in solution.notes


def test_a_flat_residual_is_no_solution() -> None:
    """Where the network is; a residual that is flat everywhere is refused."""
    pde = PDE("x", "u", lambda u: sympy.sign(u - 0.5) + sympy.Max(u - 1e6, 0))
    problem = Problem("flat", pde, LINE, [Residual(LINE.grid(50))])
    assert "this is no solution" in solve(problem, *NEWTON).status


@pytest.mark.filterwarnings("ignore:net. most of its first neurons are saturated")
@pytest.mark.parametrize("as_array", [False, True], ids=["grid", "array"])
@pytest.mark.parametrize("schedule", [Adam(0), GaussNewton(0), GaussNewton(0, points="all")], ids=str)
def test_a_point_on_a_kink_is_no_verdict(schedule: Adam | GaussNewton, as_array: bool) -> None:
    """u = tanh(3000 x) solves u^2 = 1 but at 0, one of eleven points."""
    line = Box(x=(-1, 1))
    points = np.array(line.grid(11)) if as_array else line.grid(11)
    problem = Problem("p", PDE("x", "u", lambda u: u**2 - 1), line, [Residual(points)])
    net = MLP([1, 1, 1], dtype=torch.float64)
    for height in (1.0, 0.5):
        with torch.no_grad():
            net.theta.copy_(torch.tensor([3000.0, 0.0, height, 0.0]))
        status = fit(problem, net, schedule).status
        assert ("this is no solution" in status) == (height != 1)
        assert ("at 100 % of its largest at its own points, but not between them" in status) == (height == 1)


@pytest.mark.trajectory
def test_going_on_from_a_solution_is_no_doubt() -> None:
    problem = parabola()
    net = build_network(problem, Network("pinn", layers=[1, 12, 12, 1], dtype="float64"), by_newton=True)
    losses = []
    for iterations in (40, 5, 30, 0):
        result = fit(problem, net, GaussNewton(steps=iterations))
        losses.append(result.loss)
        assert result.warnings == ()
    assert losses[0] < 1e-5
    result = fit(problem, net, Adam(20, 1e-9))
    assert (result.warnings, result.notes) == ((), ())


@pytest.mark.parametrize("name", PROBLEMS)
def test_losses_of_random_fields_are_of_the_size_that_problems_begin_with(name: str) -> None:
    natural = natural_losses(get_problem(name))
    assert all(0.1 < loss < 1e3 for loss in natural.losses)
    assert natural.gives == (False,) + (True,) * (len(natural.losses) - 1)


@pytest.mark.parametrize(
    ("value", "part"), [(0.0, 1.0), (1e4, 1.0), (3e3, 0.09), (1e3, 0.01), (1e2, 0.01), (1e-9, 0.01)]
)
def test_errors_are_measured_by_what_is_given(value: float, part: float) -> None:
    """By the equation the field is of size 1e4. Where data are smaller, walls at 0 count like them."""
    pde = PDE("x", "u", lambda u: u.xx + 1e5)

    def walls(middle: float) -> float:
        conditions = [Residual(LINE.grid(9)), Dirichlet(ENDS, u=0.0), Data([[0.5]], u=middle)]
        return natural_losses(Problem("p", pde, LINE, conditions)).losses[1]

    assert walls(value) == pytest.approx(part * walls(0.0))
