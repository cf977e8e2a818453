"""Which points Gauss-Newton sees: repeatable draws, where they fall, when they come."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
import torch
from small import small_laplace
from torch import Tensor

from psinn_fast import PDE, Box, Data, Dirichlet, GaussNewton, Problem, Residual, TanhMLP, fit, get_problem
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.registry import get_backend
from psinn_fast.training.marquardt import Marquardt
from psinn_fast.training.sampling import Sampler

FLOAT64, CPU = torch.float64, torch.device("cpu")


def test_draws_come_at_growing_distances_and_balance_the_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, draw = [], Sampler.draw

    def watched(sampler: Sampler, number: int, *residual):
        drawn.append(number)
        return draw(sampler, number, *residual)

    monkeypatch.setattr(Sampler, "draw", watched)
    net = TanhMLP([2, 8, 8, 1], seed=1, dtype=FLOAT64)
    fit(small_laplace(21), net, GaussNewton(40, points=60, resample=5))
    assert drawn == [0, 5, 10, 15, 20, 25, 31, 38]
    run = Marquardt(small_laplace(), net, GaussNewton(), get_backend("cpu"))
    run.linearise()
    traces = run.residuals.traces(run.x)
    assert run.residuals.weights[0] == 1.0
    assert run.residuals.weights[1] * traces[1] == pytest.approx(traces[0])
    # Measurements keep their weights.
    run = Marquardt(get_problem("burgers-inverse"), net, GaussNewton(), get_backend("cpu"))
    run.linearise()
    assert run.residuals.weights == [1.0, 1.0]


def test_draws_are_repeatable_differ_and_leave_data_alone() -> None:
    box = Box(x=(-1, 1), y=(0, 2))
    problem = Problem(
        "sampled",
        PDE("x y", "u", lambda u, x: u.xx + u.yy - sympy.sin(x)),
        box,
        [
            Residual(box.grid(30)),
            Dirichlet(box.face("x", "low", 200), u=0.0, name="edge"),
            Data(box.random(300, seed=0), u=1.0),
            Residual(box.random(300, seed=1), name="scattered"),
        ],
    )
    sampler = Sampler(problem, 100, 0, FLOAT64, CPU)
    inside, edge, data, scattered = sampler.draw(0)
    assert [term.n_points for term in (inside, edge, data, scattered)] == [100, 50, 300, 300]
    assert box.contains(inside.points[0].numpy())
    assert torch.allclose(inside.columns[:, 0].abs(), inside.points[0, :, 0].sin().abs())
    assert bool((edge.points[0, :, 0] == -1).all())
    assert torch.equal(data.points, sampler.full[2].points)
    assert torch.equal(Sampler(problem, 100, 0, FLOAT64, CPU).draw(0)[0].points, inside.points)
    assert not torch.equal(sampler.draw(1)[0].points, inside.points)
    everything = Sampler(problem, None, 0, FLOAT64, CPU)
    assert not everything.redraws
    assert [term.n_points for term in everything.draw(0)] == [900, 200, 300, 300]


def _in_corner(points: Tensor) -> Tensor:
    return (points > 0.5).all(1)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_focused_draws_go_where_the_residual_is(scale: float) -> None:
    """A corner of 1/16 of the square has all of the residual: weights are 17 there, 1 elsewhere, for any size."""
    sampler = Sampler(small_laplace(41), 100, 0, FLOAT64, CPU, focus=1.0)

    def residual(term: Term) -> Tensor:
        return scale * _in_corner(term.points[0]).double()[:, None]

    focused, uniform = sampler.draw(7, residual)[0], sampler.draw(7)[0]
    assert focused.n_points == uniform.n_points == 100
    assert len(torch.unique(focused.points[0], dim=0)) == 100
    # 50 of 800 candidates lie in the corner. With replacement 53 of 100 draws would fall there; most of the 50 do.
    assert 3 <= int(_in_corner(uniform.points[0]).sum()) <= 10
    assert 30 <= int(_in_corner(focused.points[0]).sum()) <= 50
    assert torch.equal(sampler.draw(7, residual)[0].points, focused.points)


def test_focus_zero_and_residuals_of_no_use_give_uniform_draws() -> None:
    problem = small_laplace(41)
    uniform = Sampler(problem, 100, 0, FLOAT64, CPU, focus=0.0)
    assert torch.equal(uniform.draw(3, lambda term: term.points[0])[0].points, uniform.draw(3)[0].points)
    focused = Sampler(problem, 100, 0, FLOAT64, CPU, focus=1.0)
    for value in (0.0, np.nan, np.inf):
        inside = focused.draw(3, lambda term, value=value: torch.full((term.n_points, 1), value, dtype=FLOAT64))[0]
        quarters = [int((inside.points[0] * sign > 0).all(1).sum()) for sign in (1, -1)]
        assert all(10 <= quarter <= 45 for quarter in quarters), quarters


def test_only_problems_without_unknowns_are_focused() -> None:
    """With them the equation is weighed against measurements, and a biased mean would move the coefficients."""
    net = TanhMLP([2, 4, 1], seed=0, dtype=FLOAT64)
    for name, focus in (("burgers", 1.0), ("burgers-inverse", 0.0)):
        run = Marquardt(get_problem(name), net, GaussNewton(), get_backend("cpu"))
        assert run._sampler._focus == focus
        run = Marquardt(get_problem(name), net, GaussNewton(focus=2), get_backend("cpu"))
        assert run._sampler._focus == 2


def test_a_second_draw_sees_the_network_as_it_is() -> None:
    """At equal seed and step, the points depend on the weights that were reached."""
    problem, engine = small_laplace(41), get_backend("cpu")
    drawn = []
    for seed in (0, 1):
        run = Marquardt(
            problem, TanhMLP([2, 8, 1], seed=seed, dtype=FLOAT64), GaussNewton(points=100, resample=1), engine
        )
        first = run.linearise()
        assert torch.equal(run.residuals.terms[0].points, Sampler(problem, 100, 0, FLOAT64, CPU).draw(0)[0].points)
        run.advance(first)
        run.linearise()
        drawn.append(run.residuals.terms[0].points)
    assert not torch.equal(*drawn)
