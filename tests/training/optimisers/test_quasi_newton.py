"""L-BFGS and self-scaled Broyden as runs: on known functions, step by step, and at the ends of what numbers resolve."""

from __future__ import annotations

import math

import pytest
import sympy
import torch
from small import small_laplace
from torch import Tensor

from psinn_fast import (
    LBFGS,
    MLP,
    PDE,
    Box,
    InputError,
    Options,
    Problem,
    Regularizer,
    Residual,
    SSBroyden,
    fit,
)
from psinn_fast.kernels import get_backend
from psinn_fast.training.history import History
from psinn_fast.training.optimisers.line_search import CURVATURE, DECREASE
from psinn_fast.training.optimisers.quasi_newton import QuasiNewton, QuasiNewtonRun, minimised
from psinn_fast.training.protocol import Task

BOTH = [LBFGS(400), SSBroyden(400)]


def started(problem: Problem, net: MLP, settings: QuasiNewton, backend: str = "auto") -> QuasiNewtonRun:
    engine = get_backend(backend, net.theta.device)
    nothing = History.of((), (), (), ())
    return settings.start(
        Task(problem, net, engine, None, None, nothing, lambda: False, lambda: False, lambda *said: None)
    )


def of_coefficients(residual: object, **start: float) -> Problem:
    """A loss of the unknown coefficients and of a network that stays zero where it is zero (`zero_network`)."""
    box = Box(x=(0, 1))
    pde = PDE("x", "u", residual, unknown=start)  # type: ignore[arg-type]
    return Problem("coefficients", pde, box, [Residual(box.grid(3))])


def zero_network() -> MLP:
    net = MLP([1, 2, 1], seed=0, dtype=torch.float64)
    with torch.no_grad():
        net.theta.zero_()
    return net


def rosenbrock() -> Problem:
    return of_coefficients(lambda u, a, b: [10 * (b - a**2), 1 - a, u], a=-1.2, b=1.0)


def value_and_gradient(run: QuasiNewtonRun) -> tuple[float, Tensor]:
    """Of the loss at the weights reached, by the reference."""
    problem, plan = run.task.problem, run.task.net.plan
    found = get_backend("reference").loss_and_gradient(
        plan, run.theta, run.free, problem.terms(torch.float64), problem.weights(torch.float64)
    )
    value = float(problem.weights(torch.float64) @ found.losses)
    return value, torch.cat([found.theta, found.coefficients])


@pytest.mark.trajectory
@pytest.mark.parametrize("settings", BOTH, ids=["lbfgs", "ssbroyden"])
def test_rosenbrocks_valley(settings: QuasiNewton) -> None:
    """From the usual start, to the gradient's tolerance, in the tens of steps that the literature reports."""
    result = fit(rosenbrock(), zero_network(), settings, options=Options(scaling=None))
    assert result.stopped_by == "gradient"
    assert result.steps < 80
    assert result.coefficients == pytest.approx({"a": 1.0, "b": 1.0}, abs=1e-6)


@pytest.mark.trajectory
@pytest.mark.parametrize("settings", BOTH, ids=["lbfgs", "ssbroyden"])
@pytest.mark.parametrize("kind", ["laplace", "rosenbrock"])
def test_every_step_satisfies_the_strong_wolfe_conditions(settings: QuasiNewton, kind: str) -> None:
    if kind == "laplace":
        run = started(small_laplace(), MLP([2, 4, 1], seed=0, dtype=torch.float64), settings)
    else:
        run = started(rosenbrock(), zero_network(), settings)
    value, gradient = value_and_gradient(run)
    x = torch.cat([run.theta, run.free])
    steps = 0
    while run.step < 120 and run.advance(run.step + 1, False).stopped_by is None:
        last, slope, before = value, gradient, x
        x = torch.cat([run.theta, run.free])
        value, gradient = value_and_gradient(run)
        if run.step == steps:
            continue  # it ends
        steps = run.step
        moved = x - before
        assert value <= last + DECREASE * float(slope @ moved) + 1e-14 * last  # two backends differ by rounding
        assert abs(float(gradient @ moved)) <= (CURVATURE + 1e-9) * abs(float(slope @ moved)) + 1e-14 * last
    assert steps >= 20


@pytest.mark.trajectory
@pytest.mark.parametrize("settings", BOTH, ids=["lbfgs", "ssbroyden"])
def test_trials_without_a_loss_are_too_long_steps(settings: QuasiNewton, monkeypatch: pytest.MonkeyPatch) -> None:
    """log(a) has no value for a < 0, where steps from a = 20 lead."""
    problem = of_coefficients(lambda u, a: [sympy.log(a), u], a=20.0)
    engine, undefined = get_backend("auto"), list[float]()
    compute = type(engine).loss_and_gradient

    def watched(*arguments: object) -> object:
        found = compute(*arguments)  # type: ignore[arg-type]  # as they came
        undefined.extend(loss for loss in found.losses.tolist() if not math.isfinite(loss))
        return found

    monkeypatch.setattr(type(engine), "loss_and_gradient", watched)
    result = fit(problem, zero_network(), settings, options=Options(scaling=None))
    assert undefined
    assert result.coefficients["a"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.trajectory
@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("settings", [LBFGS(10**5, tolerance=0.0), SSBroyden(10**5, tolerance=0.0)], ids=str)
def test_it_ends_where_float64_resolves_no_descent(settings: QuasiNewton, backend: str) -> None:
    net = MLP([2, 2, 1], seed=0, dtype=torch.float64)
    run = minimised(small_laplace(), net, settings, Regularizer("l2", 1e-2), backend)
    assert run.step < 3_000
    # The square root of the resolution of a loss of order 1, with a margin of ten.
    assert run.gradient < 1e-7
    assert run.advance(run.step + 1, False).stopped_by == "no descent"


@pytest.mark.trajectory
@pytest.mark.parametrize("settings", BOTH, ids=["lbfgs", "ssbroyden"])
def test_networks_of_float32_are_trained_in_float64(settings: QuasiNewton) -> None:
    coarse, fine = MLP([2, 5, 1], seed=0), MLP([2, 5, 1], seed=0).double()
    found, expected = fit(small_laplace(), coarse, settings), fit(small_laplace(), fine, settings)
    assert coarse.theta.dtype == torch.float32
    assert found.history["loss"] == expected.history["loss"]
    assert torch.equal(coarse.theta, fine.theta.float())


def test_ssbroyden_refuses_networks_too_large_for_its_matrix() -> None:
    net = MLP([2, 110, 90, 1], seed=0, dtype=torch.float64)
    with pytest.raises(InputError, match=r"ssbroyden keeps a matrix of 10\d{3} x .* take pf.LBFGS"):
        fit(small_laplace(), net, SSBroyden(1))


@pytest.mark.trajectory
def test_self_scaling_goes_further_than_limited_memory() -> None:
    """At equal steps; in the runs of docs/quasi-newton.md 30 times and more."""
    losses = [
        fit(small_laplace(), MLP([2, 6, 1], seed=1, dtype=torch.float64), settings(600)).loss
        for settings in (LBFGS, SSBroyden)
    ]
    assert losses[1] < 0.5 * losses[0]
