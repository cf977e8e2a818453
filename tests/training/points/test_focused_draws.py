"""Draws that go where the residual is large, or that double where something hides between the points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from small import small_laplace
from torch import Tensor

from psinn_fast import (
    MLP,
    PDE,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    Periodic,
    Problem,
    Residual,
    error_metrics,
    fit,
    get_problem,
)
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import Term
from psinn_fast.training.optimisers.marquardt import Marquardt
from psinn_fast.training.points import sampling as module
from psinn_fast.training.points.sampling import Sampler

FLOAT64 = torch.float64


def small_sampler(points: int = 100) -> Sampler:
    problem = small_laplace(41)
    return Sampler(problem, problem.terms(FLOAT64), points, 0)


def _corner(scale: float) -> Callable[[Term], Tensor]:
    """A residual that a corner of 1/16 of the square has all of."""
    return lambda term: scale * (term.points[0] > 0.5).all(1).double()[:, None]


def _in_corner(term: Term) -> int:
    return int((term.points[0] > 0.5).all(1).sum())


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_focused_draws_go_where_the_residual_is(scale: float) -> None:
    """Weights are 17 in the corner and 1 elsewhere, whatever the residual's size."""
    sampler = small_sampler()
    focused, uniform = sampler.focused(7, _corner(scale), 1.0)[0], sampler.draw(7)[0]
    assert focused.n_points == uniform.n_points == 100
    assert len(torch.unique(focused.points[0], dim=0)) == 100
    # 50 of 800 candidates lie in the corner. With replacement 53 of 100 draws would fall there; most of the 50 do.
    assert 3 <= _in_corner(uniform) <= 10
    assert 30 <= _in_corner(focused) <= 50
    assert torch.equal(sampler.focused(7, _corner(scale), 1.0)[0].points, focused.points)
    # Boundaries are not focused.
    both = sampler.focused(7, _corner(scale), 1.0)[1:], sampler.draw(7)[1:]
    assert all(torch.equal(a.points, b.points) for a, b in zip(*both, strict=True))


@pytest.mark.parametrize("focus", [1.0, 2.0, 0.5])
def test_draws_are_focused_by_a_power_of_the_residual(focus: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """|r|^focus, with |r| = 5 of several equations."""
    seen, weighted = [], module.weighted_draw
    monkeypatch.setattr(module, "weighted_draw", lambda sizes, *rest: seen.append(sizes) or weighted(sizes, *rest))
    small_sampler().focused(0, lambda term: torch.tensor([[3.0, -4.0]], dtype=FLOAT64).expand(term.n_points, 2), focus)
    assert seen[0].tolist() == pytest.approx([5.0**focus] * 800)


def test_a_higher_power_focuses_more() -> None:
    sampler = small_sampler(200)
    means = [
        float(sampler.focused(7, lambda term: 1 + term.points[0, :, :1], focus)[0].points[0, :, 0].mean())
        for focus in (0.0, 1.0, 3.0)
    ]
    assert abs(means[0]) < 0.1 < means[1] < means[2]


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_residuals_of_no_use_give_uniform_draws(value: float) -> None:
    sampler = small_sampler()
    inside = sampler.focused(3, lambda term: torch.full((term.n_points, 1), value, dtype=FLOAT64), 1.0)[0]
    quarters = [int((inside.points[0] * sign > 0).all(1).sum()) for sign in (1, -1)]
    assert all(10 <= quarter <= 45 for quarter in quarters), quarters


def test_candidates_are_drawn_in_proportion_to_their_weights() -> None:
    """11 of one and 1 of each of nine others; 0.016 is the standard deviation of what is counted."""
    sizes, rng = np.array([0.0] * 4 + [10.0] + [0.0] * 5), np.random.default_rng(0)
    first = [module.weighted_draw(sizes, 1, rng)[0] for _ in range(1000)]
    assert np.mean(np.array(first) == 4) == pytest.approx(11 / 20, abs=0.05)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_where_the_residual_is_not_finite_it_counts_as_zero(value: float) -> None:
    """Weights of 1 and 3, so that a quarter of the points lies there, whatever the residual's size elsewhere."""
    inside = small_sampler().focused(3, lambda term: torch.where(term.points[0, :, :1] > 0, 1e-9, value), 1.0)[0]
    assert 15 <= int((inside.points[0, :, 0] <= 0).sum()) <= 35


def test_refined_draws_replace_all_points_that_stand_for_a_region_and_double_twice() -> None:
    box = Box(x=(-1, 1), y=(0, 2))
    low, high = box.face("x", "low", 40), box.face("x", "high", 40)
    problem = Problem(
        "refined",
        PDE("x y", "u", lambda u: u.lap),
        box,
        [
            Residual(box.grid(5)),
            Dirichlet(low, u=lambda x, y: y**2, name="function"),
            Dirichlet(low, u=low[:, 1] ** 2, name="array"),
            Dirichlet(np.array(low), u=0.0, name="points"),
            Periodic(low, high, "u"),
            Data(box.grid(5), u=1.0),
        ],
    )
    sampler = Sampler(problem, problem.terms(FLOAT64), 240, 0)
    assert sampler.can_refine == [True, True, True, True, True, False]
    around = 240 // 8
    assert [term.n_points for term in sampler.draw(0)] == [25, around, around, around, around, 25]
    counts = []
    for _ in range(5):
        sampler.refine()
        counts.append([term.n_points for term in sampler.draw(0)])
    assert counts[0] == [240, around, around, around, around, 25]
    assert counts[1] == [480, 2 * around, around, around, 2 * around, 25]
    assert counts[2] == counts[4] == [960, 4 * around, around, around, 4 * around, 25]
    _, function, array, points, periodic, _ = sampler.draw(1)
    assert torch.equal(function.columns[:, 0], function.points[0, :, 1] ** 2)
    assert bool((function.points[0, :, 0] == -1).all())
    assert len(torch.unique(function.points[0, :, 1])) == 4 * around
    given = set(low[:, 1].tolist())
    assert not given & set(function.points[0, :, 1].tolist())
    assert set(array.points[0, :, 1].tolist()) < given
    assert set(points.points[0, :, 1].tolist()) < given
    assert torch.equal(periodic.points[0, :, 1], periodic.points[1, :, 1])
    assert bool((periodic.points[1, :, 0] == 1).all())


@pytest.mark.trajectory
def test_a_front_that_hides_between_the_points_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Burgers at 0.01 / pi with dense networks: without a look between the points the front is in the wrong place."""
    errors = []
    for looks in (False, True):
        problem, net = get_problem("burgers"), MLP([2, 10, 10, 20, 1], seed=2, dtype=FLOAT64)
        with monkeypatch.context() as patch:
            if not looks:
                patch.setattr(Marquardt, "watch", lambda run: 0.0)
            fit(problem, net, GaussNewton(80, seed=2))
        errors.append(error_metrics(net, problem)["relative_l2"])
    assert errors[1] < 0.3 * errors[0]


def test_only_problems_without_unknowns_are_focused() -> None:
    """With them the equation is weighed against measurements, and a biased mean would move the coefficients."""
    net = MLP([2, 4, 1], seed=0, dtype=FLOAT64)
    for name, focus in (("burgers", 1.0), ("burgers-inverse", 0.0)):
        assert Marquardt(get_problem(name), net, GaussNewton(), get_backend("cpu"))._focus == focus
        assert Marquardt(get_problem(name), net, GaussNewton(focus=2), get_backend("cpu"))._focus == 2


@pytest.mark.trajectory
def test_focused_draws_survive_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after the network has adapted: the same weights as without interruption."""
    monkeypatch.setattr("psinn_fast.training.optimisers.marquardt._WATCH", 1)
    monkeypatch.setattr(Marquardt, "watch", lambda run: float(run.step == 2))
    problem, engine, options = small_laplace(41), get_backend("cpu"), GaussNewton(points=100, resample=2)
    runs = []
    for stop in (None, 5):
        run = Marquardt(problem, MLP([2, 6, 1], seed=0, dtype=FLOAT64), options, engine)
        for _ in range(9):
            if run.step == stop:
                tensors, numbers = run.saved()
                run = Marquardt(problem, MLP([2, 6, 1], seed=3, dtype=FLOAT64), options, engine)
                run.restore(tensors, numbers)
            run.advance(run.linearise())
        runs.append(run)
    assert runs[0]._is_focused
    assert runs[1]._sampler.refinement == 1
    assert torch.equal(runs[0].x, runs[1].x)
    assert torch.equal(runs[0].residuals.terms[0].points, runs[1].residuals.terms[0].points)
