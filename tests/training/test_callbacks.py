"""What callbacks are told, how they end training, and what is kept where one fails."""

from __future__ import annotations

import math
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import decay, small_laplace

import psinn_fast as pf
from psinn_fast.kernels.errors import short


class Notes(pf.Callback):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.steps, self.files, self.results = list[int](), list[Path](), list[pf.FitResult]()

    def on_row(self, progress: pf.Progress) -> None:
        self.steps.append(progress.step)
        assert progress.row["loss"] == progress.history["loss"][-1]
        assert progress.problem.name == "small"

    def on_checkpoint(self, path: Path) -> None:
        self.files.append(path)

    def on_end(self, result: pf.FitResult) -> None:
        self.results.append(result)


def network() -> pf.MLP:
    return pf.MLP([2, 5, 1], seed=0, dtype="float64")


def fitted(*callbacks: Any, optimizer: Any = None, **options: Any) -> pf.FitResult:
    optimizer = pf.Adam(10, lr=1e-3) if optimizer is None else optimizer
    return pf.fit(small_laplace(5), network(), optimizer, options=pf.Options(callbacks=callbacks), **options)


@pytest.mark.parametrize(
    "optimizer", [pf.Adam(6), pf.GaussNewton(6), pf.LBFGS(6), [pf.Adam(2), pf.GaussNewton(4)]], ids=str
)
def test_rows_checkpoints_and_the_end_are_told(optimizer: Any, tmp_path: Path) -> None:
    notes, path = Notes(), tmp_path / "c.safetensors"
    result = fitted(notes, optimizer=optimizer, checkpoint=path)
    assert sorted(set(notes.steps)) == [int(step) for step in result.history["step"]]
    assert set(notes.files) == {path}
    (told,) = notes.results
    assert told is result


@pytest.mark.parametrize("optimizer", [pf.Adam(40), pf.GaussNewton(40), [pf.Adam(5), pf.GaussNewton(40)]], ids=str)
def test_a_function_ends_training_where_it_says(optimizer: Any) -> None:
    def enough(progress: pf.Progress) -> bool:
        return progress.step >= 7

    result = fitted(enough, optimizer=optimizer)
    assert (result.ended, result.stopped_by) == ("stopped", "callback enough")
    assert 7 <= result.steps <= 8
    assert result.status.startswith("stopped")


def test_the_network_has_the_weights_of_the_row() -> None:
    seen = list[torch.Tensor]()
    fitted(lambda progress: seen.append(progress.net.theta.detach().clone()), optimizer=pf.Adam(3))
    assert torch.equal(seen[0], network().theta)
    assert not torch.equal(seen[1], seen[0])


class Best(pf.Callback):
    def __init__(self) -> None:
        self.kept = list[tuple[pf.Progress, torch.Tensor]]()

    def on_row(self, progress: pf.Progress) -> None:
        self.kept.append((progress, progress.net.theta.clone()))


@pytest.mark.parametrize("optimizer", [pf.Adam(6), pf.GaussNewton(6), pf.LBFGS(6)], ids=str)
def test_what_a_callback_keeps_does_not_change(optimizer: Any) -> None:
    late = list[pf.Progress]()
    best = Best()
    result = fitted(best, late.append, optimizer=optimizer)
    for number, (progress, theta) in enumerate(best.kept):
        assert torch.equal(progress.net.theta, theta)
        assert not progress.net.theta.requires_grad
        assert type(progress.net) is type(result.net)
        assert progress.net.structure is result.net.structure
        assert progress.history["step"] == [float(step) for step in range(number + 1)]
        # Asked for after training only.
        assert torch.equal(late[number].net.theta, theta)
        assert list(late[number].history)[-1] == progress.row
    assert torch.equal(late[-1].net.theta, result.net.theta)
    assert not torch.equal(late[0].net.theta, result.net.theta)
    with pytest.raises(pf.InputError, match=r"net: its theta is frozen"):
        pf.fit(small_laplace(5), late[0].net, pf.Adam(1))


def test_what_a_callback_writes_is_its_own() -> None:
    def spoil(progress: pf.Progress) -> None:
        progress.net.theta.zero_()
        progress.history.rows.clear()

    plain, spoilt = fitted(), fitted(spoil)
    assert torch.equal(spoilt.net.theta, plain.net.theta)
    assert spoilt.history["loss"] == plain.history["loss"]


class Starts(pf.Callback):
    def __init__(self, told: list[str]) -> None:
        self.told = told

    def on_start(self) -> None:
        self.told.append("start")

    def on_row(self, progress: pf.Progress) -> bool:
        self.told.append(f"row {progress.step}")
        return progress.step == 2

    def on_checkpoint(self, path: Path) -> None:
        self.told.append("checkpoint")


def test_the_start_is_told_once_a_training(tmp_path: Path) -> None:
    told, sequence = list[str](), [pf.Adam(1), pf.GaussNewton(3)]
    first = fitted(Starts(told), optimizer=sequence, checkpoint=tmp_path / "c.safetensors")
    assert told[:3] == ["start", "checkpoint", "row 0"]
    assert told.count("start") == 1
    told.clear()
    options = pf.Options(callbacks=Starts(told), resume=first)
    pf.fit(small_laplace(5), network(), sequence, options=options)
    assert told[:2] == ["start", "row 3"]
    assert told.count("start") == 1

    class Broken(pf.Callback):
        def on_start(self) -> None:
            raise KeyError("a bug")

    with pytest.raises(pf.CallbackError, match="callback Broken: its on_start failed at step 0") as info:
        fitted(Broken())
    assert info.value.result.steps == 0


def test_none_is_no_callback() -> None:
    assert pf.Options(callbacks=None) == pf.Options()


def test_a_callback_that_raises_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    def broken(progress: pf.Progress) -> None:
        if progress.step == 4:
            raise ValueError("no more room")

    path, net = tmp_path / "c.safetensors", network()
    options = pf.Options(callbacks=broken)
    with pytest.raises(
        pf.CallbackError, match=r"callback broken: its on_row failed at step 4 \(ValueError: no more"
    ) as info:
        pf.fit(small_laplace(5), net, pf.Adam(10), checkpoint=path, options=options)
    assert isinstance(info.value.__cause__, ValueError)
    assert not torch.equal(net.theta, network().theta)
    whole, again = network(), network()
    pf.fit(small_laplace(5), whole, pf.Adam(10))
    pf.fit(small_laplace(5), again, pf.Adam(10), checkpoint=path, options=pf.Options(resume=True))
    assert torch.equal(again.theta, whole.theta)


@pytest.mark.parametrize(
    "yes", [True, np.True_, np.array(True), torch.tensor(True)], ids=["bool", "numpy", "array", "tensor"]
)
def test_whatever_kind_of_truth_ends_training(yes: Any) -> None:
    result = fitted(lambda progress: yes if progress.step == 4 else not yes)
    assert (result.ended, result.steps) == ("stopped", 5)


@pytest.mark.parametrize(
    "wrong", [1, 0, "no", math.nan, np.array([True]), torch.ones(2, dtype=torch.bool), torch.tensor(1.0)], ids=short
)
def test_what_is_neither_yes_nor_no_is_said(wrong: Any) -> None:
    def vague(progress: pf.Progress) -> Any:
        return wrong if progress.step == 4 else None

    with pytest.raises(pf.CallbackError, match=r"callback vague: at step 4 it returned .*, and not True") as info:
        fitted(vague)
    assert info.value.result.steps == 5


class Misspelt(pf.Callback):
    def on_row(self, progress: pf.Progress) -> None:
        pass

    def on_rows(self, progress: pf.Progress) -> bool:
        return True


class Deaf(pf.Callback):
    on_gpu = False

    def told(self, progress: pf.Progress) -> None:
        pass


def test_methods_that_nothing_calls_are_refused() -> None:
    methods = re.escape("['on_start', 'on_row', 'on_checkpoint', 'on_end']")
    with pytest.raises(pf.InputError, match=f"callbacks: Misspelt.on_rows is never called; methods are {methods}"):
        pf.Options(callbacks=Misspelt())
    for deaf in (Deaf(), pf.Callback()):
        with pytest.raises(pf.InputError, match=f"callbacks: {type(deaf).__name__} has none of the methods {methods}"):
            pf.Options(callbacks=[Notes(), deaf])
    hearing, steps = Deaf(), list[int]()
    hearing.on_row = lambda progress: steps.append(progress.step)  # type: ignore[method-assign]  # Python allows it
    fitted(hearing)
    assert steps[:2] == [0, 1]


@pytest.mark.parametrize("wrong", [5, "print", Notes, [None]], ids=short)
def test_what_is_no_callback(wrong: Any) -> None:
    with pytest.raises(pf.InputError, match="callbacks: expected a Callback or a function of a Progress, got"):
        pf.Options(callbacks=wrong)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda n: pf.Adam(n),
        lambda n: pf.GaussNewton(n, points=40, resample=3),
        lambda n: pf.LBFGS(n),
        lambda n: pf.SSBroyden(n),
        lambda n: pf.TorchOptimizer(torch.optim.AdamW, n, lr=1e-2),
        lambda n: [pf.Adam(5), pf.GaussNewton(n - 5)],
    ],
    ids=["adam", "gauss-newton", "lbfgs", "ssbroyden", "adamw", "sequence"],
)
def test_a_run_is_continued_from_its_result_as_if_it_had_not_stopped(optimizer: Callable[[int], Any]) -> None:
    whole, net = network(), network()
    expected = pf.fit(small_laplace(5), whole, optimizer(14))
    first = pf.fit(small_laplace(5), net, optimizer(9))
    other = pf.MLP([2, 5, 1], seed=7, dtype="float64")
    second = pf.fit(small_laplace(5), other, optimizer(14), options=pf.Options(resume=first))
    assert torch.equal(other.theta, whole.theta)
    assert second.history["loss"] == expected.history["loss"]
    assert first.net is net
    with pytest.raises(pf.CheckpointError, match=r"belongs to another run \(optimizers: saved"):
        pf.fit(small_laplace(5), other, [pf.LBFGS(1), pf.LBFGS(3)], options=pf.Options(resume=first))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda n: pf.LBFGS(n),
        lambda n: pf.SSBroyden(n),
        lambda n: pf.TorchOptimizer(torch.optim.LBFGS, n, lr=0.1),
        lambda n: pf.GaussNewton(n),
    ],
    ids=["lbfgs", "ssbroyden", "torch's lbfgs", "gauss-newton"],
)
def test_unknown_coefficients_are_continued_along(optimizer: Callable[[int], Any]) -> None:
    """L-BFGS keeps weights and coefficients side by side."""
    nets = [pf.MLP([1, 4, 1], seed=seed, dtype="float64") for seed in (0, 0, 5)]
    expected = pf.fit(decay(), nets[0], optimizer(12))
    first = pf.fit(decay(), nets[1], optimizer(7))
    second = pf.fit(decay(), nets[2], optimizer(12), options=pf.Options(resume=first))
    assert torch.equal(nets[2].theta, nets[0].theta)
    assert second.coefficients == expected.coefficients


def test_tensorboard_has_every_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = list[tuple[str, float, int]]()

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def close(self) -> None:
            written.append(("closed", 0.0, 0))

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]  # what it has there
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    result = fitted(pf.TensorBoard(tmp_path))
    assert [value for name, value, _ in written if name == "loss"] == result.history["loss"]
    assert {name for name, *_ in written} >= {"seconds", "lr", "residual", "dirichlet", "relative_l2"}
    assert written[-1][0] == "closed"
    board = pf.TensorBoard(tmp_path)
    with pytest.raises(pf.CallbackError):
        fitted(board, lambda progress: 1)
    written.clear()
    fitted(board)
    assert written[0][0] == "closed"  # the events of the run that failed are not gone on with
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(pf.InputError, match="TensorBoard: it needs the package tensorboard; pip install"):
        pf.TensorBoard(tmp_path)
