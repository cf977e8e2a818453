"""L-BFGS on the fused loss."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

import pytest
import torch
from small import small_laplace

from psinn_fast import (
    LBFGS,
    MLP,
    PDE,
    Box,
    Data,
    InputError,
    Options,
    Problem,
    Regularizer,
    Residual,
    SSBroyden,
    fit,
)
from psinn_fast.training.metrics import error_metrics
from psinn_fast.training.optimisers.quasi_newton import QuasiNewtonRun, minimised
from psinn_fast.training.protocol import Optimizer
from psinn_fast.training.result import TrainingInterrupted


@pytest.mark.trajectory
def test_loss_falls_far_below_adam_and_dtype_is_kept() -> None:
    net = MLP([2, 8, 8, 1], seed=1)
    found = fit(small_laplace(), net, LBFGS(1000))
    assert found.loss < 1e-3
    assert net.theta.dtype == torch.float32
    error = error_metrics(net, small_laplace())["relative_l2"]
    assert isinstance(error, float)
    assert error < 0.05


@pytest.mark.trajectory
def test_it_converges_to_a_small_gradient() -> None:
    net = MLP([2, 3, 1], seed=0, dtype=torch.float64)
    run = minimised(small_laplace(), net, LBFGS(5000, tolerance=1e-6), Regularizer("l2", 1e-2))
    assert run.gradient <= 1e-6
    result = fit(
        small_laplace(),
        net,
        LBFGS(5, tolerance=1e-6),
        options=Options(regularizer=Regularizer("l2", 1e-2), scaling=None),
    )
    assert (result.stopped_by, result.steps) == ("gradient", 0)


@pytest.mark.trajectory
def test_unknown_coefficients_are_found_along() -> None:
    box = Box(t=(0, 1))
    t = box.grid(21)
    pde = PDE("t", "u", lambda u, k: u.t + k * u, unknown={"k": 0.5})
    problem = Problem("decay", pde, box, [Residual(t), Data(t, u=lambda t: 2 ** (-t))])
    net = MLP([1, 8, 1], seed=0, dtype=torch.float64)
    result = fit(problem, net, LBFGS(500), coefficients={"k": math.log(2)})
    assert result.loss < 1e-7
    assert result.coefficients["k"] == pytest.approx(math.log(2), rel=1e-2)


@pytest.mark.parametrize("steps", [-1, 1.5, True])
def test_bad_input(steps: object) -> None:
    with pytest.raises(InputError, match="steps: expected an integer >= 0"):
        LBFGS(steps)  # type: ignore[arg-type]  # what is refused


def test_no_steps_change_nothing() -> None:
    net = MLP([2, 3, 1], seed=0)
    before = net.theta.detach().clone()
    fit(small_laplace(), net, LBFGS(0))
    assert torch.equal(net.theta, before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.trajectory
@pytest.mark.parametrize("settings", [LBFGS(40), LBFGS(40, memory=5), SSBroyden(40)], ids=str)
def test_a_resumed_run_goes_on_with_what_it_learnt_of_the_curvature(
    settings: Optimizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = MLP([2, 5, 1], seed=0), tmp_path / "c.safetensors"
    expected = fit(small_laplace(), whole, settings)
    take = QuasiNewtonRun._take

    def interrupting(run: QuasiNewtonRun, steps: int) -> object:
        if run.step == 17:
            os.kill(os.getpid(), signal.SIGINT)
        return take(run, steps)

    with monkeypatch.context() as patch:
        patch.setattr(QuasiNewtonRun, "_take", interrupting)
        with pytest.raises(TrainingInterrupted):
            fit(small_laplace(), MLP([2, 5, 1], seed=0), settings, checkpoint=path)
    net = MLP([2, 5, 1], seed=9)
    found = fit(small_laplace(), net, settings, checkpoint=path, options=Options(resume=True))
    assert torch.equal(net.theta, whole.theta)
    assert found.history["loss"] == expected.history["loss"]
