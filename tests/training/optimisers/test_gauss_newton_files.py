"""Checkpoints of Gauss-Newton: written, resumed, refused."""

from __future__ import annotations

import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import network, small_laplace

from psinn_fast import CheckpointError, GaussNewton, InputError, Options, TrainingInterrupted, fit
from psinn_fast.kernels.errors import CheckpointWarning, OutputWarning
from psinn_fast.training.checkpoint import Checkpoint
from psinn_fast.training.least_squares import Equations
from psinn_fast.training.optimisers.marquardt import Marquardt

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.trajectory
def test_resumed_run_equals_uninterrupted_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its history too, which has every third step here: not the one where it was interrupted."""
    monkeypatch.setattr("psinn_fast.training.history.HISTORY_ROWS", 9)
    whole = network()
    options = GaussNewton(27, points=60)
    result = fit(small_laplace(21), whole, options)
    path = tmp_path / "c.safetensors"
    advance = Marquardt.advance

    def interrupting(run: Marquardt, equations: object) -> str | None:
        reason = advance(run, equations)
        if run.step == 13:
            os.kill(os.getpid(), signal.SIGINT)
        return reason

    with monkeypatch.context() as patch:
        patch.setattr(Marquardt, "advance", interrupting)
        with pytest.raises(TrainingInterrupted) as stop:
            fit(small_laplace(21), network(), options, checkpoint=path)
    assert (stop.value.result.steps, stop.value.result.stopped_by) == (13, "interrupt")
    fresh = network(99)
    second = fit(small_laplace(21), fresh, options, checkpoint=path, options=Options(resume=True))
    assert torch.equal(fresh.theta, whole.theta)
    assert second.losses == result.losses
    assert result.history["step"] == [*range(0, 27, 3), 27]
    for column in ("step", "loss", "damping", "relative_l2"):
        assert second.history[column] == result.history[column]
    with pytest.raises(CheckpointError, match=r"belongs to another run \(gauss-newton"):
        fit(small_laplace(21), fresh, replace(options, seed=3), checkpoint=path, options=Options(resume=True))


def test_checkpoints_are_written_while_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, when it is time, and at the end: each of the step that was reached."""
    written, write = list[int](), Checkpoint.write
    monkeypatch.setattr(Checkpoint, "is_due", lambda file, seconds: True)
    monkeypatch.setattr(
        Checkpoint, "write", lambda file, *parts: written.append(parts[2]["step"]) or write(file, *parts)
    )
    fit(small_laplace(), network(), GaussNewton(3), checkpoint=tmp_path / "c.safetensors")
    assert written == [0, 1, 2, 3, 3]


def test_only_who_asks_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    """And where there is none, asking for it is a mistake, of its path for instance."""
    path, options = tmp_path / "c.safetensors", GaussNewton(2)
    nets = [network(2), network(2)]
    fit(small_laplace(), network(1), options, checkpoint=path)
    with pytest.warns(CheckpointWarning, match="an earlier run of 2 steps is kept"):
        fit(small_laplace(), nets[0], options, checkpoint=path)
    fit(small_laplace(), nets[1], options)
    with pytest.raises(InputError, match=r"resume: there is no checkpoint in .*new\.safetensors; leave resume out"):
        fit(small_laplace(), nets[1], options, checkpoint=tmp_path / "new.safetensors", options=Options(resume=True))
    assert torch.equal(nets[0].theta, nets[1].theta)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("r", (5,), r"r: expected \d+ residuals, got 5"),
        ("columns.0", (7, 0), r"points\.0, columns\.0: of 1000 and of 7 points"),
    ],
)
def test_a_checkpoint_whose_parts_do_not_fit_is_named(
    name: str, size: tuple[int, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, options, problem = tmp_path / "c.safetensors", GaussNewton(1), small_laplace(51)
    saved, other = Marquardt.saved, torch.ones(size, dtype=torch.float64)
    with monkeypatch.context() as patch:
        patch.setattr(Marquardt, "saved", lambda run: ({**saved(run)[0], name: other}, saved(run)[1]))
        fit(problem, network(), options, checkpoint=path)
    with pytest.raises(CheckpointError, match=rf"c\.safetensors: {message}"):
        fit(problem, network(), options, checkpoint=path, options=Options(resume=True))


def test_a_checkpoint_that_cannot_be_written_shows_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Marquardt, "linearise", lambda run: pytest.fail("work was begun"))
    with pytest.raises(CheckpointError, match="cannot be written"):
        fit(small_laplace(), network(), GaussNewton(1), checkpoint=tmp_path / "missing" / "c.safetensors")


def test_a_last_checkpoint_that_could_not_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linearise = Marquardt.linearise

    def until_the_disk_is_full(run: Marquardt) -> Equations:
        monkeypatch.setattr("psinn_fast.storage.files.os.fsync", full)
        return linearise(run)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Marquardt, "linearise", until_the_disk_is_full)
    with pytest.warns(CheckpointWarning, match="tries again"), pytest.warns(OutputWarning, match="an earlier step"):
        fit(small_laplace(), network(), GaussNewton(1), checkpoint=tmp_path / "c.safetensors")


def test_time_limit_of_zero_changes_nothing(tmp_path: Path) -> None:
    net = network()
    before = net.theta.detach().clone()
    result = fit(small_laplace(), net, GaussNewton(), seconds=0, checkpoint=tmp_path / "c.safetensors")
    assert (result.ended, result.stopped_by, result.steps) == ("time limit", "seconds", 0)
    assert torch.equal(net.theta, before)
    assert math.isfinite(result.losses["residual"])
