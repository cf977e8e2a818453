"""Ctrl-C within an iteration of Gauss-Newton: heard between any two blocks, and as if the iteration had not begun."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from small import optimizers, small_laplace

from psinn_fast import MLP, GaussNewton, Network, Options, TrainingInterrupted, fit, get_backend, get_problem, solve
from psinn_fast.building import build_network
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.training import factorisations, least_squares, residuals, trainer
from psinn_fast.training.abort import Aborted, abortable, look_up
from psinn_fast.training.optimisers.marquardt import Marquardt
from psinn_fast.training.stability import Allowed


def test_nobody_asks_outside() -> None:
    look_up()
    with abortable(lambda: False):
        look_up()
        with pytest.raises(Aborted), abortable(lambda: True):
            look_up()
        look_up()
    look_up()


class SignalAt:
    """Ctrl-C at the k-th look, counted from 0."""

    def __init__(self, k: int) -> None:
        self.left = k

    def __call__(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        self.left -= 1
        look_up()


def patched(monkeypatch: pytest.MonkeyPatch, look: SignalAt) -> None:
    """Looks of training; those after it, for what its result says, are left out."""
    monkeypatch.setattr(trainer, "errors_allowed", lambda *_: Allowed({}, {}))
    for module in (residuals, factorisations, least_squares):
        monkeypatch.setattr(module, "look_up", look)


def network() -> PsiMLP:
    return MLP([2, 6, 6, 1], seed=1, dtype=torch.float64)


@pytest.mark.parametrize("solver", ["cholesky", "qr", "dual", "coarse dual", "cg"])
def test_any_look_can_be_the_last(solver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, history and checkpoint are those of the iteration before: a resumed run ends as an uninterrupted one."""
    monkeypatch.setattr(least_squares, "choose", lambda *_: solver)
    monkeypatch.setattr(residuals, "_CHUNK_NUMBERS", 1 << 12)
    monkeypatch.setattr(factorisations, "AT_ONCE", 1e4)
    monkeypatch.setattr(factorisations, "_PANEL", 32)
    problem, options, whole = small_laplace(9), GaussNewton(4, points=100, resample=2), network()
    counted = SignalAt(-1)
    with monkeypatch.context() as patch:
        patched(patch, counted)
        expected = fit(problem, whole, options)
    looks = -1 - counted.left
    assert looks > 50
    for k in {0, 1, looks // 7, looks // 3, looks // 2, looks - 30}:
        net, path = network(), tmp_path / f"{k}.safetensors"
        with monkeypatch.context() as patch:
            patched(patch, SignalAt(k))
            with pytest.raises(TrainingInterrupted) as stop:
                fit(problem, net, options, checkpoint=path)
        result = stop.value.result
        assert stop.value.net is net
        assert (result.ended, result.stopped_by) == ("interrupted", "interrupt")
        again = fit(problem, net, options, checkpoint=path, options=Options(resume=True))
        assert torch.equal(net.theta, whole.theta)
        assert again.losses == expected.losses
        for column in ("step", "loss", "damping"):
            assert again.history[column] == expected.history[column]


@pytest.mark.parametrize("points", ["auto", 3_000])
def test_at_thousands_of_parameters(points: int | str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An iteration takes minutes on one core. Its own seconds count: others may be on the machine."""
    torch.set_num_threads(1)
    net, sent = MLP([2, 64, 64, 64, 1], seed=0, dtype=torch.float64), [0.0]
    before = net.theta.detach().clone()

    def send() -> None:
        sent[0] = time.process_time()
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(2.0, send)

    def look() -> None:
        if timer.ident is None:
            timer.start()
        look_up()

    monkeypatch.setattr(residuals, "look_up", look)
    try:
        with pytest.raises(TrainingInterrupted) as stop:
            fit(get_problem("laplace"), net, GaussNewton(points=points))
    finally:
        timer.cancel()
    assert time.process_time() - sent[0] < 2
    assert net.theta.numel() == 8577
    assert stop.value.result.steps > 0 or torch.equal(net.theta, before)


@pytest.mark.parametrize("optimizer", ["adam", "gauss-newton", "adam+gauss-newton"])
def test_without_a_folder_the_exception_carries_the_network(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also into another process: executors pickle what is raised."""
    backend = type(get_backend())
    advance, train = Marquardt.advance, backend.train

    def interrupting(run: Marquardt, equations: object) -> str | None:
        reason = advance(run, equations)
        os.kill(os.getpid(), signal.SIGINT)
        return reason

    def interrupting_train(*arguments: object) -> object:
        report = train(*arguments)
        os.kill(os.getpid(), signal.SIGINT)
        return report

    monkeypatch.setattr(Marquardt, "advance", interrupting)
    if optimizer == "adam":
        monkeypatch.setattr(backend, "train", interrupting_train)
    with pytest.raises(TrainingInterrupted) as stop:
        solve(
            small_laplace(9),
            Network("pinn", layers=[2, 5, 1]),
            optimizers(optimizer, 9, warmup=3),
        )
    error = stop.value
    untrained = build_network(small_laplace(9), Network("pinn", layers=[2, 5, 1], dtype=error.net.theta.dtype))
    assert not torch.equal(error.net.theta, untrained.theta)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is TrainingInterrupted
    assert torch.equal(again.net.theta, error.net.theta)
    assert (again.result.steps, again.signal, str(again)) == (error.result.steps, error.signal, str(error))
