"""Numbers that problems ask of their solutions."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import small_laplace

import psinn_fast as pf
from psinn_fast.kernels.errors import InputError, OutputWarning
from psinn_fast.pipeline import comparison_table


def slope(at: object) -> float:
    return float(at([[0.5, 0.0]], "u_x").u_x[0])  # type: ignore[operator]


def asking(**quantities: object) -> pf.Problem:
    recipe = pf.Recipe(layers=(2, 4, 1), quantities=quantities)
    problem = small_laplace()
    return pf.Problem("asking", problem.pde, problem.domain, problem.conditions, problem.exact, recipe=recipe)


@pytest.mark.pictures
def test_they_are_reported_everywhere(tmp_path: Path) -> None:
    problem = asking(slope=pf.Quantity(slope, 0.75), mean=lambda at: at(np.zeros((4, 2)), "u").u.mean())
    solution = pf.solve(problem, optimizer=pf.Adam(2), out=tmp_path)
    expected = solution.derivatives([[0.5, 0.0]], "u_x").u_x[0]
    assert solution.quantities["slope"] == expected
    assert solution.quantities["mean"] == pytest.approx(solution([0.0, 0.0]).item())
    assert json.loads((tmp_path / "result.json").read_text())["quantities"] == solution.quantities
    text = f"slope = {expected:.6g} (reference 0.75, {100 * (expected / 0.75 - 1):+.2g} %), mean = "
    assert text in str(solution)
    assert f"PINN: {text}" in comparison_table((("PINN", solution),))


def test_they_go_with_copies_and_pickles() -> None:
    problem = replace(pf.get_problem("laplace"), recipe=pf.Recipe(quantities={"slope": slope}))
    net = pf.MLP([2, 4, 1], seed=0)
    other = pickle.loads(pickle.dumps(problem))
    assert other.quantities_of(net) == problem.quantities_of(net)
    with pytest.raises(pickle.PicklingError, match="quantity 'mean' is"):
        pickle.dumps(replace(problem, recipe=pf.Recipe(quantities={"mean": lambda at: 0.0})))


def test_what_is_no_finite_number_is_none() -> None:
    net = pf.MLP([2, 4, 1], seed=0)
    functions = {"a": lambda at: float("nan"), "b": lambda at: np.float32(1.5), "c": lambda at: torch.tensor(2.0)}
    assert asking(**functions).quantities_of(net) == {"a": None, "b": 1.5, "c": 2.0}
    assert (
        "a = - (reference 2)"
        in pf.solve(asking(a=pf.Quantity(lambda at: np.inf, 2)), optimizer=pf.Adam(0)).described_quantities()
    )


@pytest.mark.parametrize(
    ("quantities", "message"),
    [
        ([slope], "quantities: expected a mapping from name to function"),
        ({"two words": slope}, "quantities: expected a name of one word, got 'two words'"),
        ({1: slope}, "quantities: expected a name of one word, got 1"),
        ({"drag": 3.0}, r"quantities: drag: function: expected a function of at\(points, wanted\), got 3.0"),
    ],
)
def test_what_is_none_is_refused(quantities: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pf.Recipe(quantities=quantities)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="reference: expected a finite number"):
        pf.Quantity(slope, float("nan"))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda at: at([[0.0, 0.0]], "w").w, r"quantities: q: the function failed \(InputError: "),
        (lambda at: at([[0.0, 0.0], [1.0, 0.0]], "u").u, "quantities: q: expected the function to give one number"),
        (lambda at: "much", "quantities: q: what the function gives: expected real numbers"),
        (lambda at: None, "quantities: q: what the function gives: expected"),
    ],
)
def test_a_function_that_fails_shows_before_training(function: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pf.solve(asking(q=function), optimizer=pf.Adam(1_000_000))


def test_a_function_that_fails_afterwards_costs_nothing_else() -> None:
    calls = []

    def once(at: object) -> float:
        calls.append(1)
        return 1.0 / (2 - len(calls))

    with pytest.warns(OutputWarning, match="quantities: q: the function failed"):
        solution = pf.solve(asking(q=once), optimizer=pf.Adam(1))
    assert solution.quantities == {"q": None}
    assert solution.steps == 1


def test_errors_on_parts_are_those_of_their_points() -> None:
    solution = pf.solve(small_laplace(), optimizer=pf.Adam(1))
    problem, parts = solution.problem, solution.problem.domain.unseen_parts(201)
    assert list(solution.metrics["part_rmse"]) == list(problem.domain.parts)
    for part, points in parts.items():
        error = solution.net.predict(points) - problem.exact(points)
        assert solution.metrics["part_rmse"][part] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    square = [value**2 for value in solution.metrics["part_rmse"].values()]  # type: ignore[operator]
    assert np.sqrt(np.mean(square)) == pytest.approx(solution.metrics["boundary_rmse"])
