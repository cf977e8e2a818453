"""The loop around the optimiser: history, resume, interruption, NaN, time limit."""

from __future__ import annotations

import copy
import math
import os
import re
import signal
from pathlib import Path

import pytest
import sympy
import torch
from small import small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    CheckpointError,
    DivergedError,
    InputError,
    Options,
    Problem,
    PsiMLP,
    Residual,
    TrainingInterrupted,
    fit,
)
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import AdamState, TrainReport
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.problem.conditions import Data

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(steps: int, **options: object) -> tuple[PsiMLP, object]:
    problem = small_laplace()
    net = MLP([2, 6, 6, 1], seed=1)
    return net, fit(problem, net, Adam(steps, 3e-3), **options)


@pytest.mark.trajectory
def test_loss_falls_and_history_records_every_quantity() -> None:
    _, result = trained(800)
    history = result.history
    assert history.columns == (
        "step",
        "seconds",
        "lr",
        "loss",
        "held_out",
        "residual",
        "dirichlet",
        "penalty",
        "relative_l2",
    )
    assert history["step"][0] == 0
    assert history["step"][-1] == result.steps == 800
    assert len(history) == 401
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["loss"][-1] == pytest.approx(sum(result.losses.values()), rel=1e-6)
    assert history["relative_l2"][-1] < history["relative_l2"][0]
    assert history.to_csv().splitlines()[0] == ",".join(history.columns)


@pytest.mark.trajectory
def test_slices_do_not_change_the_result() -> None:
    net, _ = trained(57)
    state = AdamState(MLP([2, 6, 6, 1], seed=1).theta.detach().clone(), torch.empty(0), 3e-3)
    problem = small_laplace()
    get_backend("auto").train(net.plan, state, problem.terms(), problem.weights(), 57)
    assert torch.equal(net.theta, state.theta)


@pytest.mark.trajectory
def test_resumed_run_equals_uninterrupted_run(tmp_path: Path) -> None:
    whole, result = trained(60)
    path = tmp_path / "c.safetensors"
    net = MLP([2, 6, 6, 1], seed=1)
    engine = get_backend("auto")
    sent = 0

    def interrupting(plan, state, terms, weights, steps, regularizer=None) -> TrainReport:
        nonlocal sent
        report = engine.train(plan, state, terms, weights, steps, regularizer)
        if state.step >= 25 and not sent:
            sent = state.step
            os.kill(os.getpid(), signal.SIGINT)
        return report

    with pytest.MonkeyPatch.context() as patch:
        fake = copy.copy(engine)
        patch.setattr(fake, "train", interrupting)
        patch.setattr("psinn_fast.training.fitting.get_backend", lambda *_: fake)
        with pytest.raises(TrainingInterrupted) as stop:
            fit(small_laplace(), net, Adam(60, 3e-3), checkpoint=path)
    assert stop.value.result.ended == "interrupted"
    assert 25 <= stop.value.result.steps < 60
    fresh = MLP([2, 6, 6, 1], seed=99)
    second = fit(small_laplace(), fresh, Adam(60, 3e-3), checkpoint=path, options=Options(resume=True))
    assert second.ended == "done"
    assert torch.equal(fresh.theta, whole.theta)
    assert second.losses == result.losses
    for column in ("step", "loss", "residual", "relative_l2"):
        assert second.history[column] == result.history[column]


@pytest.mark.trajectory
def test_unknown_coefficients_are_trained_recorded_and_resumed(tmp_path: Path) -> None:
    box = Box(t=(0, 1))
    t = box.grid(21)
    problem = Problem(
        "decay",
        PDE("t", "u", lambda u, k: u.t + k * u, unknown={"k": 0.5}),
        box,
        [Residual(t), Data(t, u=lambda t: 2 ** (-t))],
    )
    net = MLP([1, 8, 1], seed=0, dtype=torch.float64)
    path = tmp_path / "c.safetensors"
    result = fit(problem, net, Adam(3000, 1e-2, (2000,)), checkpoint=path)
    assert result.coefficients["k"] == pytest.approx(math.log(2), rel=1e-2)
    assert result.history["k"][0] == 0.5
    again = fit(problem, net, Adam(3000, 1e-2, (2000,)), checkpoint=path, options=Options(resume=True))
    assert again.coefficients == result.coefficients
    assert math.isnan(result.history["relative_l2"][0])


def root_problem() -> tuple[Problem, MLP]:
    """The residual sqrt(u - 0.2) drives u down until the root is that of a negative number."""
    box = Box(x=(0, 1))
    problem = Problem("root", PDE("x", "u", lambda u: sympy.sqrt(u - 0.2)), box, [Residual(box.grid(5), name="root")])
    net = MLP([1, 4, 1], seed=3, dtype=torch.float64)
    with torch.no_grad():
        net.theta[-1] = 2.0
    return problem, net


@pytest.mark.trajectory
@pytest.mark.parametrize("slice_seconds", [0.2, 0.0])  # 0.0: every slice is one step, so a call starts with the failure
def test_nan_stops_names_the_term_and_keeps_the_last_good_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_seconds: float
) -> None:
    monkeypatch.setattr("psinn_fast.training.optimisers.first_order.SLICE_SECONDS", slice_seconds)
    problem, net = root_problem()
    path = tmp_path / "c.safetensors"
    with pytest.raises(DivergedError) as info:
        fit(problem, net, Adam(5000, 1e-2), checkpoint=path)
    message = str(info.value)
    step = int(re.search(r"term 'root' became NaN or infinite at step (\d+)", message)[1])
    assert f"the weights of step {step - 1} are kept" in message
    assert str(path) in message
    kept = net.theta.detach().clone()
    terms, weights = problem.terms(torch.float64), problem.weights(torch.float64)
    result = ReferenceBackend().loss_and_gradient(net.plan, kept, kept.new_empty(0), terms, weights)
    assert torch.isfinite(result.losses).all()
    assert torch.isfinite(result.theta).all()
    with pytest.raises(DivergedError, match=f"at step {step};"):  # the checkpoint loads, and tells the same story
        fit(problem, net, Adam(5000, 1e-2), checkpoint=path, options=Options(resume=True))
    assert torch.equal(net.theta, kept)
    assert "A smaller learning rate may help" in message


def test_weights_that_have_no_loss_at_all_are_no_matter_of_the_rate() -> None:
    problem, net = root_problem()
    with torch.no_grad():
        net.theta[-1] = -9.0
    with pytest.raises(DivergedError, match=r"at step 0; .* Look at the residual where it is not defined for every u"):
        fit(problem, net, Adam(5))


def test_time_limit(tmp_path: Path) -> None:
    _, result = trained(10**6, seconds=0.0, checkpoint=tmp_path / "c.safetensors")
    assert (result.ended, result.steps) == ("time limit", 0)
    _, result = trained(10**6, seconds=0.3)
    assert result.ended == "time limit"
    assert 0 < result.steps < 10**6


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 inputs and 1 outputs, the network 3 and 1"):
        fit(small_laplace(), MLP([3, 4, 1]), Adam(1))
    with pytest.raises(InputError, match="steps: expected None or an integer >= 0, got -1"):
        Adam(-1)
    with pytest.raises(InputError, match="lr: expected None or a finite number > 0, got 0"):
        Adam(1, 0.0)
    with pytest.raises(InputError, match="seconds"):
        trained(1, seconds=-1.0)
    with pytest.raises(InputError, match=r"backend: expected one of .*'reference'.*, got 'tpu'"):
        trained(1, options=Options(backend="tpu"))
    path = tmp_path / "c.safetensors"
    trained(5, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"belongs to another run \(adam.lr: saved 0.003, now 0.001\)"):
        fit(small_laplace(), MLP([2, 6, 6, 1]), Adam(5, 1e-3), checkpoint=path, options=Options(resume=True))
    with pytest.raises(CheckpointError, match=r"cannot be written"):
        trained(5, checkpoint=tmp_path / "missing" / "c.safetensors")
