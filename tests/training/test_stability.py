"""Errors that small residuals allow: in closed form, beside true errors, and where nothing determines a field."""

from __future__ import annotations

import math
import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from small import small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    Network,
    Neumann,
    Problem,
    Residual,
    TrainingInterrupted,
    build_network,
    fit,
    get_backend,
    solve,
)
from psinn_fast.kernels.language.torch_program import torch_program
from psinn_fast.scaling.natural_scales import natural_scales
from psinn_fast.training import stability
from psinn_fast.training.abort import look_up
from psinn_fast.training.doubts import ALLOWED, ALLOWED_OF_ADAM, FREE, loose, undetermined
from psinn_fast.training.metrics import evaluate
from psinn_fast.training.points.held_out import REPORTED, HeldOut
from psinn_fast.training.residuals import Residuals
from psinn_fast.training.stability import possible_errors

pytestmark = pytest.mark.verdict

line = Box(x=(0, 1))
PLATE = Box(x=(0, 1), y=(0, 1))


def errors_of(problem: Problem, net: MLP, coefficients: tuple[float, ...] = ()) -> dict[str, float] | None:
    x = torch.cat([net.theta.detach(), torch.tensor(coefficients, dtype=torch.float64)])
    return possible_errors(
        problem, get_backend(), net.plan, x, HeldOut(problem, REPORTED).or_own(problem.terms(torch.float64))
    )


def test_a_straight_line_in_closed_form() -> None:
    """u = w x + b of u' = 1, u(0) = 0: residuals w - 1 and b, so that dw^2 / r_1^2 + db^2 / r_2^2 <= 1 are allowed."""
    net = MLP([1, 1], dtype=torch.float64)
    w, b = 1.03, -0.02
    with torch.no_grad():
        net.theta.copy_(torch.tensor([w, b]))
    problem = Problem(
        "line", PDE("x", "u", lambda u: u.x - 1), line, [Residual(line.grid(9)), Dirichlet([[0.0]], u=0.0)]
    )
    found = errors_of(problem, net)
    assert found is not None
    # |dw x + db|^2 over [0, 1] is (dw, db) M (dw, db)^T.
    moments, scale = np.array([[1 / 3, 1 / 2], [1 / 2, 1]]), np.diag([w - 1, b])
    largest = np.linalg.eigvalsh(scale @ moments @ scale)[-1]
    size = math.sqrt(w**2 / 3 + w * b + b**2)
    assert found["u"] == pytest.approx(math.sqrt(largest) / size, rel=0.03)  # points are random


def test_measurements_count_by_their_number() -> None:
    """The mean of N independent errors is sqrt(N) times smaller than one."""
    net = MLP([1, 1], dtype=torch.float64)
    with torch.no_grad():
        net.theta.copy_(torch.tensor([0.0, 1.0]))
    x = line.grid(100)
    noisy = 1 + 0.1 * (-1.0) ** np.arange(100)
    found = errors_of(Problem("mean", PDE("x", "u", lambda u: u.x), line, [Residual(x), Data(x, u=noisy)]), net)
    assert found is not None
    assert found["u"] == pytest.approx(0.01, rel=0.05)


def test_errors_are_those_of_what_varies_about_a_start() -> None:
    """293 K and a variation of 0.05 K: errors are parts of the latter."""
    found = []
    for start in (0.0, 293.0):
        ends = [Dirichlet([[0.0]], u=start), Dirichlet([[1.0]], u=start)]
        problem = Problem("warm", PDE("x", "u", lambda u: u.xx + 0.4), line, [Residual(line.grid(9)), *ends])
        net = build_network(problem, Network("pinn", layers=[1, 4, 1], dtype="float64"))
        errors = errors_of(problem, net)
        assert errors is not None
        found.append(errors["u"])
    assert found[1] == pytest.approx(found[0], rel=1e-6)


@pytest.mark.trajectory
def test_true_errors_are_within_and_not_far_below() -> None:
    for seed in (0, 1):
        solution = solve(small_laplace(), "pinn", GaussNewton(25, seed=seed), seed=seed)
        error = solution.metrics["relative_l2"]
        assert isinstance(error, float)
        assert error < solution.possible_errors["u"] < 30 * error


@pytest.mark.trajectory
def test_changes_that_fit_between_the_points_are_found_out_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the points has fewer residuals than there are unknowns: some changes are free there."""
    net = MLP([2, 10, 10, 1], seed=0, dtype=torch.float64)
    fit(small_laplace(), net, GaussNewton(30))
    expected = errors_of(small_laplace(), net)
    monkeypatch.setattr(stability, "_POINTS", 200)
    found = errors_of(small_laplace(), net)
    assert expected is not None
    assert found is not None
    assert expected["u"] / 3 < found["u"] < 30 * expected["u"]


@pytest.mark.trajectory
@pytest.mark.parametrize(
    ("conditions", "is_determined"),
    [
        ([], False),
        ([Neumann([[0.0]], [-1.0], u=0.0), Neumann([[1.0]], [1.0], u=0.0)], False),  # up to a constant
        ([Dirichlet([[0.0]], u=0.0)], False),
        ([Dirichlet([[0.0]], u=0.0), Neumann([[1.0]], [1.0], u=0.0)], True),
    ],
)
def test_fields_without_enough_conditions_are_free(conditions: list[object], is_determined: bool) -> None:
    pde = PDE("x", "u", lambda u, x: u.xx - (x - 0.5))
    problem = Problem("free", pde, line, [Residual(line.grid(30)), *conditions])  # type: ignore[list-item]
    result = fit(problem, MLP([1, 8, 1], seed=0, dtype=torch.float64), GaussNewton(60))
    assert any("do not determine u" in warning for warning in result.warnings) == (not is_determined)
    assert (result.possible_errors["u"] < 1e-3) == is_determined


@pytest.mark.trajectory
def test_only_the_product_of_two_coefficients_is_determined() -> None:
    x = line.grid(30)
    pde = PDE("x", "u", lambda u, a, b: u.x - a * b, unknown={"a": 1.0, "b": 1.0})
    problem = Problem("product", pde, line, [Residual(x), Data(x, u=lambda x: 6 * x)])
    result = fit(problem, MLP([1, 8, 1], seed=0, dtype=torch.float64), GaussNewton(60))
    assert result.coefficients["a"] * result.coefficients["b"] == pytest.approx(6.0, rel=1e-3)
    assert any("do not determine a and b" in warning for warning in result.warnings)
    assert result.possible_errors["u"] < 1e-3


X = line.grid(41)
ENDS = Dirichlet([[0.0], [1.0]], u=0.0)


def drift(start: float) -> Problem:
    """Solved by u = x (1 - x) and c = 0."""
    pde = PDE("x", "u", lambda u, c: u.xx + c * u.x + 2, unknown={"c": start})
    return Problem("drift", pde, line, [Residual(X), ENDS, Data(X, u=lambda x: x * (1 - x))])


def robin(start: float) -> Problem:
    """Solved by u = x (2 - x) and c = 0."""
    wall = Residual([[1.0]], lambda u, c: u.x + c * u, name="wall")
    pde = PDE("x", "u", lambda u: u.xx + 2, unknown={"c": start})
    return Problem("Robin", pde, line, [Residual(X), wall, Dirichlet([[0.0]], u=0.0), Data(X, u=lambda x: x * (2 - x))])


@pytest.mark.trajectory
@pytest.mark.parametrize("make", [drift, robin])
@pytest.mark.parametrize("start", [1.0, 0.0])
def test_a_coefficient_that_is_zero_is_determined(make: Callable[[float], Problem], start: float) -> None:
    result = fit(make(start), MLP([1, 8, 1], seed=0, dtype=torch.float64), GaussNewton(60))
    assert abs(result.coefficients["c"]) < 1e-4
    assert 0 < result.possible_errors["c"] < ALLOWED
    assert not result.warnings


@pytest.mark.trajectory
@pytest.mark.parametrize("start", [1.0, 0.0])
def test_a_coefficient_that_nothing_determines_is_told_even_at_zero(start: float) -> None:
    """c multiplies what vanishes on the solution u = x (1 - x)."""
    pde = PDE("x", "u", lambda u, x, c: u.xx + 2 + c * (u.x - 1 + 2 * x), unknown={"c": start})
    problem = Problem("free", pde, line, [Residual(X), ENDS, Data(X, u=lambda x: x * (1 - x))])
    result = fit(problem, MLP([1, 8, 1], seed=0, dtype=torch.float64), GaussNewton(60))
    assert any("do not determine c" in warning for warning in result.warnings)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_coefficient_can_move_at_least_as_far_as_alone(seed: int) -> None:
    """A change of D alone changes the residuals by u_xx; of what the first points leave free, others confirm little."""
    box, decay = Box(t=(0, 1), x=(0, 1)), 0.3 * np.pi**2
    places = np.array(box.random(40, seed=1))
    conditions = [
        Residual(box.random(500, seed=0)),
        Dirichlet(box.boundary(41, ["x_low", "x_high"]), u=0.0),
        Data(places, u=np.exp(-decay * places[:, 0]) * np.sin(np.pi * places[:, 1])),
    ]
    pde = PDE("t x", "u", lambda u, D: u.t - D * u.xx, unknown={"D": 1.0})
    rod = Problem("rod", pde, box, conditions, bounds={"D": (0, None)})
    solution = solve(rod, Network(layers=[2, 12, 12, 1]), GaussNewton(15), seed=seed)
    values, d = solution.derivatives(np.array(box.random(8192, seed=7)), "u_t u_xx"), solution.coefficients["D"]
    alone = math.sqrt(np.mean((values.u_t - d * values.u_xx) ** 2) / np.mean(values.u_xx**2)) / d
    assert 0.9 * alone < solution.possible_errors["D"] < 30 * alone


@pytest.mark.parametrize(
    ("start", "guess", "bounds", "unit", "expected"),
    [
        (1.0, None, None, 3.0, 0.01),
        (1.0, 0.2, None, 3.0, 0.002),
        (1.0, None, None, 1e-6, 1e-8),  # a thousandth of its start: what the equation asks for is nearer
        (0.0, None, None, 3.0, 0.03),
        (0.0, None, None, 0.0, 0.0),
        (-2.0, None, None, 0.0, 0.02),
        (0.4, None, (-0.1, 0.5), 3.0, 0.001),
        (1.0, 0.1, (0.0, None), 3.0, 0.0),  # it may be as small as it likes, but is not zero
        (1.0, None, (None, 7.0), 3.0, 0.01),
    ],
)
def test_how_small_a_coefficient_is_zero(
    start: float, guess: float | None, bounds: tuple[float | None, float | None] | None, unit: float, expected: float
) -> None:
    problem = drift(start)
    given = {} if guess is None else {"c": guess}
    known = {"c": bounds} if bounds else {}
    problem = Problem("drift", problem.pde, line, problem.conditions, guess=given, bounds=known)
    scales = replace(natural_scales(problem), balanced=(unit,))
    assert stability.least_sizes(problem, scales)["c"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.trajectory
def test_errors_are_those_of_the_residuals_at_all_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """One point of 16,384 with nearly all of the loss, which a random share of them may leave out."""
    found = []
    for height in (0.0, 1e6):
        pde = PDE("x y", "u", lambda u, x, y, h=height: u.lap + h * sp.exp(-((x - 0.31) ** 2 + (y - 0.67) ** 2) / 1e-8))
        walls = [Dirichlet(PLATE.boundary(31), u=0.0)]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="term 'residual': its points miss the peak")
            problem = Problem("spike", pde, PLATE, [Residual(PLATE.grid(5)), *walls])
        net = MLP([2, 6, 1], seed=0, dtype=torch.float64)
        terms = list(problem.terms(torch.float64))
        place = torch.tensor([[[0.31, 0.67]]], dtype=torch.float64)
        spread = torch.from_numpy(np.array(PLATE.random(40_000, 0)))[None]
        points = torch.cat([spread, place], 1)
        columns = torch.from_numpy(problem.traced[0].columns([points[0].numpy()]))
        terms[0] = replace(terms[0], points=points, columns=columns)
        errors = possible_errors(problem, get_backend(), net.plan, net.theta.detach(), terms)
        assert errors is not None
        found.append(errors["u"])
    assert found[1] > 10 * found[0]


@pytest.mark.trajectory
@pytest.mark.parametrize("has_wall", [True, False])
def test_of_many_unknowns_some_change(has_wall: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    walls = [Dirichlet([[0.0]], u=0.0), *([Dirichlet([[1.0]], u=1.0)] if has_wall else [])]
    problem = Problem("line", PDE("x", "u", lambda u: u.xx), line, [Residual(line.grid(30)), *walls])
    net = MLP([1, 12, 12, 1], seed=0, dtype=torch.float64)
    fit(problem, net, GaussNewton(20))
    every = errors_of(problem, net)
    monkeypatch.setattr(stability, "MOST_UNKNOWNS", 100)
    monkeypatch.setattr(stability, "CHANGED", 60)
    some = errors_of(problem, net)
    assert every is not None
    assert some is not None
    assert some["u"] < 1.01 * every["u"]  # at other points
    assert (some["u"] > 0.5) == (not has_wall)


def test_coefficients_change_whatever_their_number_among_the_unknowns() -> None:
    chosen = stability.chosen_unknowns(40, 2, 10, 20).tolist()
    assert len(chosen) == 10
    assert chosen == sorted(set(chosen))
    assert chosen[-2:] == [38, 39]
    assert stability.chosen_unknowns(20, 2, 10, 20).tolist() == list(range(20))


def test_no_numbers() -> None:
    net = MLP([2, 6, 6, 1], seed=0, dtype=torch.float64)
    with torch.no_grad():
        net.theta.fill_(math.nan)
    assert errors_of(small_laplace(), net) is None


@pytest.mark.trajectory
def test_adam_says_what_its_residuals_allow() -> None:
    x = line.grid(50)
    ends = [Dirichlet([[0.0]], u=0.0), Residual([[0.0]], lambda u: u.x, name="slope")]
    beam = PDE("x", "u", lambda u: u.xx - 2)
    solution = solve(Problem("beam", beam, line, [Residual(x), *ends]), Network(layers=[1, 8, 1]), Adam(1500, lr=3e-3))
    error = np.linalg.norm(evaluate(solution.net, x) - x**2) / np.linalg.norm(x**2)
    assert error / 3 < solution.possible_errors["u"] < 100 * error
    free = solve(Problem("beam", beam, line, [Residual(x)]), Network(layers=[1, 8, 1]), Adam(300, lr=3e-3))
    assert any("do not determine u" in warning for warning in free.warnings)


@pytest.mark.parametrize("error", [0.009, 0.02, 0.11, 0.6, math.inf, math.nan])
def test_of_adam_larger_errors_are_told_than_of_gauss_newton(error: float) -> None:
    is_free = not error < FREE
    assert len(undetermined({"u": error})) == is_free
    for allowed in (ALLOWED, ALLOWED_OF_ADAM):
        assert len(loose({"u": error}, allowed)) == (error > allowed and not is_free)


@pytest.mark.trajectory
def test_errors_that_adam_allows_are_a_note_and_not_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psinn_fast.training.protocol.ALLOWED_OF_ADAM", 1e-9)
    ends = [Dirichlet([[0.0]], u=0.0), Dirichlet([[1.0]], u=1.0)]
    problem = Problem("line", PDE("x", "u", lambda u: u.xx), line, [Residual(line.grid(50)), *ends])
    solution = solve(problem, Network(layers=[1, 8, 1]), Adam(2000), seed=0)
    assert not solution.warnings
    assert any(note.startswith("its residuals allow errors of ") for note in solution.notes)
    assert "its residuals allow errors of " in solution.status


@pytest.mark.parametrize("schedule", [Adam(3), GaussNewton(3)])
def test_nobody_who_interrupts_waits_for_what_residuals_allow(
    schedule: Adam | GaussNewton, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        look_up()
        raise AssertionError("it goes on")

    monkeypatch.setattr(stability, "_hidden_and_changes", interrupted)
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    with pytest.raises(TrainingInterrupted) as stop:
        fit(small_laplace(), net, schedule)
    assert stop.value.result.possible_errors == {}
    assert stop.value.result.steps == 3


def test_linearised_residuals_are_the_slopes_of_residuals_along_changes_of_fields() -> None:
    pde = PDE("x y", "u v", lambda u, v, x, a: [u * u.x + sp.exp(v) * v.lap - x, a + 0 * u.y, v.y], unknown={"a": 0.3})
    pair = Problem("pair", pde, PLATE, [Residual(PLATE.random(7, 0)), Dirichlet([[0.0, 0.5]], u=0.0, v=1.0)])
    engine, term = get_backend("reference"), pair.terms(torch.float64)[0]
    u, w = (MLP([2, 5, 2], seed=seed, dtype=torch.float64) for seed in (0, 1))
    a = torch.tensor([0.3], dtype=torch.float64)
    linear = Residuals(engine, u.plan, [], []).linearised(term, torch.cat([u.theta.detach(), a]))
    found = Residuals(engine, w.plan, [], []).of_term(linear, torch.cat([w.theta.detach(), a]))
    program = term.program

    def residuals(step: float) -> torch.Tensor:
        both = [engine.jets(net.plan, net.theta.detach(), term.points[0], program.channels) for net in (u, w)]
        jets = (both[0] + step * both[1]).transpose(0, 1)[None]
        values = torch_program(program).residuals(jets, term.points, term.columns, a)
        return torch.stack([torch.as_tensor(value).expand(term.n_points) for value in values], 1)

    step = 1e-6
    torch.testing.assert_close(found, (residuals(step) - residuals(-step)) / (2 * step), rtol=1e-8, atol=1e-9)
