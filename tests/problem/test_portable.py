"""Copies and pickles, alone and by an executor: the same problem, the same numbers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from programs import called_elsewhere
from small import small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    Mean,
    Network,
    Neumann,
    Options,
    Periodic,
    Problem,
    PsiMLP,
    Residual,
    Solution,
    discover,
    published_structure,
    solve,
)
from psinn_fast.problems import PROBLEMS, get_problem


def equation(u: Any, x: Any, k: Any) -> Any:
    return u.xx + k * u - x


def flux(u: Any, x: Any) -> Any:
    return u.x + x


def wall(x: Any, scale: float = 1.0) -> Any:
    return scale * x


def solution(points: Any) -> Any:
    return points


def rod(**changes: Any) -> Problem:
    """One of each condition, of functions that have names."""
    box = Box(x=(0, 1))
    ends = box.boundary(2)
    conditions = [
        Residual(box.grid(9)),
        Residual(np.array([[0.5]]), equation, name="again"),
        Dirichlet(ends, u=wall),
        Neumann(ends, [[-1.0], [1.0]], u=partial(wall, scale=2.0)),
        Periodic(ends[:1], ends[1:], "u_x"),
        Data([[0.5]], u=0.5),
        Mean(box.grid(9), flux, 0.5),
    ]
    parts = {"residual": equation, "conditions": conditions, "exact": solution, **changes}
    pde = PDE("x", "u", parts["residual"], unknown={"k": 1.0})
    return Problem("rod", pde, box, parts["conditions"], exact=parts["exact"])


@pytest.fixture(params=[copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["deepcopy", "pickle"])
def again(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return request.param


def same_terms(one: Problem, other: Problem) -> None:
    assert torch.equal(one.weights(), other.weights())
    for term, copied in zip(one.terms(torch.float64), other.terms(torch.float64), strict=True):
        assert (copied.name, copied.program) == (term.name, term.program)
        assert torch.equal(copied.points, term.points)
        assert torch.equal(copied.columns, term.columns)


@pytest.mark.parametrize("name", [*PROBLEMS, "rod"])
def test_problems(name: str, again: Callable[[Any], Any]) -> None:
    problem = rod() if name == "rod" else get_problem(name)
    copied = again(problem)
    same_terms(problem, copied)
    points = problem.domain.grid(3)
    assert np.array_equal(copied.exact_at(points), problem.exact_at(points))
    assert copied.conditions[0].regions[0] is not None  # it may be sampled as before


def test_a_copy_shares_no_points() -> None:
    problem = rod()
    copied = copy.deepcopy(problem)
    assert not np.shares_memory(copied.conditions[0].sites[0], problem.conditions[0].sites[0])


def test_lambdas_are_copied_too() -> None:
    same_terms(small_laplace(), copy.deepcopy(small_laplace()))


@pytest.mark.parametrize("optimizer", [Adam(2), GaussNewton(2, points=20)], ids=["adam", "gauss-newton"])
def test_solutions_networks_structures_and_histories(
    optimizer: Adam | GaussNewton, again: Callable[[Any], Any]
) -> None:
    found = solve(rod(), Network(layers=[1, 3, 1]), optimizer)
    copied: Solution = again(found)
    assert torch.equal(copied.net.theta, found.net.theta)
    assert (copied.history.columns, copied.history.to_csv()) == (found.history.columns, found.history.to_csv())
    assert copied.to_dict() == found.to_dict()
    same_terms(copied.problem, found.problem)
    tied = PsiMLP(published_structure("burgers"), 2, seed=0)
    points = torch.ones(3, 2)
    assert torch.equal(again(tied)(points), tied(points))
    assert again(tied.structure) == tied.structure
    assert type(again(MLP([1, 2, 1]))) is MLP


def test_discoveries(again: Callable[[Any], Any]) -> None:
    found = discover(get_problem("laplace"), tests=("problem",))
    assert again(found).to_dict() == found.to_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"residual": lambda u, x, k: u.xx + k}, "PDE: its residual is .*<lambda>, which a pickle cannot name"),
        ({"exact": lambda points: points}, "problem 'rod': exact is .*<lambda>"),
        ({"conditions": [Residual([[0.5]], lambda u, k: u.x - k)]}, "term 'residual': its residual is .*<lambda>"),
        (
            {"conditions": [Dirichlet([[0.5]], u=lambda x: x, name="wall"), Residual([[0.5]])]},
            "term 'wall': target u is .*<lambda>",
        ),
        ({"exact": partial(lambda points, scale: points, scale=1.0)}, "problem 'rod': exact is .*<lambda>"),
    ],
)
def test_functions_without_a_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(pickle.PicklingError, match=message):
        pickle.dumps(rod(**changes))


def test_cloudpickle_takes_functions_without_a_name_and_pickle_beside_it_does_not() -> None:
    """Some libraries import it: that alone says nothing about who pickles."""
    cloudpickle = pytest.importorskip("cloudpickle")
    given = rod(exact=lambda points: points)
    copied = pickle.loads(cloudpickle.dumps(given))
    assert copied.describe() == given.describe()
    with pytest.raises(pickle.PicklingError, match="which a pickle cannot name"):
        pickle.dumps(given)


def test_another_process() -> None:
    network = Network(layers=[1, 3, 1], dtype="float64")
    task = partial(solve, rod(), network, Adam(3), options=Options(backend="reference"))
    assert torch.equal(called_elsewhere(task).net.theta, task().net.theta)
