"""Exact solutions: tried before training, and measured against only where they are numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from psinn_fast import PDE, Adam, Box, InputError, Network, Problem, Residual, error_metrics, solve
from psinn_fast.networks.mlp import MLP

BOX = Box(x=(0, 1), y=(0, 2))
POINTS = BOX.random(8, seed=0)
LAPLACE = PDE("x y", "u", lambda u: u.lap)
TWO = PDE("x y", "u v", lambda u, v: [u.x + v.y])
THREE = PDE("x y", "u v w", lambda u, v, w: [u.x + v.y - w])


def problem(exact: Any, pde: PDE = LAPLACE) -> Problem:
    return Problem("p", pde, BOX, [Residual(POINTS)], exact=exact)


def solution(points: np.ndarray) -> np.ndarray:
    return points[:, 0] * points[:, 1]


def changed(points: np.ndarray) -> np.ndarray:
    points *= 0
    return points[:, 0]


@pytest.mark.parametrize(
    "exact",
    [
        solution,
        lambda points: solution(points)[:, None],
        lambda points: solution(points).tolist(),
        lambda points: torch.from_numpy(solution(points)).requires_grad_(),
    ],
)
def test_exact_solutions_of_one_field(exact: Callable[..., Any]) -> None:
    """(N,) is (N, 1); it once was broadcast against the network's (N, 1) to (N, N)."""
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    own, right = problem(exact=exact), problem(exact=lambda points: solution(points)[:, None])
    assert error_metrics(net, own) == error_metrics(net, right)


@pytest.mark.parametrize(
    "exact",
    [
        lambda points: np.where(points[:, 0] > 0.97, points[:, 1], np.nan),
        lambda points: np.where(points[:, 1] < 0.05, points[:, 1], np.nan)[:, None],
        lambda points: np.where(abs(points - 0.5).max(1) < 0.05, 1.0, np.nan),
    ],
)
def test_exact_solutions_that_are_known_in_a_small_part(exact: Callable[..., Any]) -> None:
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    assert error_metrics(net, problem(exact=exact))["rmse"] is not None


def test_exact_solutions_that_change_their_input() -> None:
    own = problem(exact=changed)
    points = POINTS.copy()
    assert own.exact_at(points).tolist() == [[0.0]] * 8
    assert (points == POINTS).all()
    assert (own.conditions[0].sites[0] == POINTS).all()


def fails(points: np.ndarray) -> np.ndarray:
    raise KeyError("missing")


@pytest.mark.parametrize(
    ("exact", "pde", "message"),
    [
        (lambda p: p, LAPLACE, r"expected values of shape \(3, 1\) or \(3,\) for points \(3, 2\), got \(3, 2\)"),
        (lambda p: p[:, :1].T, LAPLACE, r"expected values of shape \(3, 1\) or \(3,\) .* got \(1, 3\)"),
        (lambda p: 0.0, LAPLACE, r"expected values of shape \(3, 1\) or \(3,\) .* got \(\)"),
        (lambda p: p[:, 0] + p[:, 1:], LAPLACE, r"got \(3, 3\)"),
        (lambda p: p[:, 0], TWO, r"expected values of shape \(3, 2\) for points \(3, 2\), got \(3,\)"),
        (lambda p: p.T, TWO, r"expected values of shape \(3, 2\) for points \(3, 2\), got \(2, 3\)"),
        (
            lambda p: np.stack([p[:, 0]] * 3),
            THREE,
            r"expected values of shape \(4, 3\) for points \(4, 2\), got \(3, 4\)",
        ),
        (lambda p: p[:, 0] + 0j, LAPLACE, "expected real numbers, got complex numbers"),
        (lambda p: np.ma.masked_less(p[:, 0], 0.5), LAPLACE, "got a masked array"),
        (lambda p: None, LAPLACE, "got objects such as None"),
        (lambda p: p[:, 0] > 0, LAPLACE, "got bools"),
        (lambda x, y: x, LAPLACE, r"failed on points of shape \(3, 2\) .*one array of points, \(N, 2\)"),
        (lambda p: p[:, 0] * np.nan, LAPLACE, "it is NaN at all of the [0-9,]+ points tried"),
        (lambda: 0, LAPLACE, "the function failed on points of shape .*TypeError"),
        (fails, LAPLACE, "the function failed on points of shape .*KeyError: 'missing'"),
        (np.zeros((8, 1)), LAPLACE, "expected a function of points"),
    ],
)
def test_exact_solutions_that_are_refused_at_once(exact: Any, pde: PDE, message: str) -> None:
    with pytest.raises(InputError, match=f"^exact: .*{message}"):
        problem(exact, pde)


def test_exact_solutions_that_fail_later() -> None:
    wrong = problem(exact=lambda points: points[:3, 0])
    with pytest.raises(InputError, match=r"exact: expected values of shape \(40401, 1\) or \(40401,\)"):
        error_metrics(MLP([2, 4, 1]), wrong)


def test_where_the_exact_solution_is_nan_no_error_is_counted() -> None:
    """A region within a box: an L, cut out of the metrics too."""
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    whole = problem(exact=solution)
    part = problem(exact=lambda p: np.where((p[:, 0] > 0.5) & (p[:, 1] > 1), np.nan, solution(p)))
    points = BOX.unseen_grid(201)
    inside = ~((points[:, 0] > 0.5) & (points[:, 1] > 1))
    with torch.no_grad():
        error = (net(torch.from_numpy(points))[:, 0].numpy() - solution(points))[inside]
    found = error_metrics(net, part)
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)
    assert found["relative_l2"] == pytest.approx(np.linalg.norm(error) / np.linalg.norm(solution(points)[inside]))
    assert found["rmse"] != error_metrics(net, whole)["rmse"]
    # Nothing known on the box's boundary.
    island = problem(exact=lambda p: np.where(np.abs(p - BOX.centre).max(1) > 0.4, np.nan, solution(p)))
    assert error_metrics(net, island)["boundary_rmse"] is None


def test_poles_of_the_exact_solution() -> None:
    """log r on a box about the origin, sampled at the origin by nobody, and infinite where it is cut off."""
    net = MLP([2, 4, 1], dtype=torch.float64)
    pole = problem(exact=lambda p: np.where(p[:, 0] > 0.9, np.inf, solution(p)))
    with pytest.raises(InputError, match=r"exact: it is infinite at 40\d\d of 40401 points, first at \(0.90"):
        error_metrics(net, pole)
    with pytest.raises(InputError, match="exact: it is infinite"):
        solve(pole, Network(layers=[2, 4, 1]), Adam(0))


def test_an_exact_solution_that_has_become_another_one_is_refused() -> None:
    """Errors would be measured against it."""
    k = 1.0

    def partly(points: np.ndarray) -> np.ndarray:
        return np.where(points[:, 0] < 0.97, np.nan, k)

    for function in (lambda x: k * x[:, 0], partly):  # noqa: B023  # that is the case
        k = 1.0
        made = problem(function)
        made.exact_at(POINTS)
        k = 2.0
        for given in (made, copy.deepcopy(made)):
            with pytest.raises(InputError, match=r"^exact: .*other values now than when the problem was made.*k=k"):
                given.exact_at(POINTS)
        problem(function).exact_at(POINTS)
