"""What ends training and is no error of it: SystemExit and its like, Ctrl-C in callbacks and after the last step."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from failing import FILES, STEP, network
from small import small_laplace

import psinn_fast as pf
from psinn_fast.report import output
from psinn_fast.training import fitting

pytestmark = pytest.mark.usefixtures("one_thread")


class Cancelled(BaseException):
    """What asyncio has, for instance."""


@pytest.mark.parametrize("method", ["on_start", "on_row", "on_checkpoint", "on_end"])
@pytest.mark.parametrize("error", [SystemExit(3), Cancelled("no more")], ids=["exit", "cancelled"])
def test_what_is_no_exception_ends_training_in_order_and_goes_on(
    method: str, error: BaseException, tmp_path: Path
) -> None:
    def leave(self: pf.Callback, *told: Any) -> None:
        if method != "on_row" or told[0].step == STEP:
            raise error

    callback = type("Leaving", (pf.Callback,), {method: leave})()
    with pytest.raises(type(error)) as info:
        pf.solve(
            small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(20), out=tmp_path,
            options=pf.Options(callbacks=callback),
        )  # fmt: skip
    assert info.value is error
    result = error.result  # type: ignore[union-attr]  # given to it
    assert result.steps == {"on_row": STEP + 1, "on_end": 20}.get(method, 0)
    assert result.ended == ("done" if method == "on_end" else "interrupted")
    assert result.stopped_by == ("steps" if method == "on_end" else f"{type(error).__name__}: {error}")
    assert {path.name for path in tmp_path.iterdir()} == FILES
    whole = pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(20))
    again = pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(20), options=pf.Options(resume=result))
    assert torch.equal(again.net.theta, whole.net.theta)


def test_sys_exit_in_a_callback_leaves_a_checkpoint(tmp_path: Path) -> None:
    def leave(progress: pf.Progress) -> None:
        if progress.step == STEP:
            raise SystemExit(3)

    path, whole, again = tmp_path / "c.safetensors", network(), network(seed=2)
    with pytest.raises(SystemExit):
        pf.fit(small_laplace(5), network(), pf.Adam(20), checkpoint=path, options=pf.Options(callbacks=leave))
    pf.fit(small_laplace(5), whole, pf.Adam(20))
    result = pf.fit(small_laplace(5), again, pf.Adam(20), checkpoint=path, options=pf.Options(resume=True))
    assert torch.equal(again.theta, whole.theta)
    assert result.history["step"] == [float(step) for step in range(21)]


@pytest.mark.parametrize("method", ["on_start", "on_row", "on_checkpoint", "on_end"])
def test_a_callback_may_interrupt(method: str, tmp_path: Path) -> None:
    """By what a second Ctrl-C within it raises."""

    def interrupt(self: pf.Callback, *told: Any) -> None:
        if method != "on_row" or told[0].step == STEP:
            raise KeyboardInterrupt

    callback = type("Interrupting", (pf.Callback,), {method: interrupt})()
    with pytest.raises(pf.TrainingInterrupted) as stop:
        pf.solve(
            small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(20), out=tmp_path,
            options=pf.Options(callbacks=callback),
        )  # fmt: skip
    assert stop.value.result.steps == {"on_row": STEP + 1, "on_end": 20}.get(method, 0)
    assert {path.name for path in tmp_path.iterdir()} >= FILES


def test_ctrl_c_while_pictures_are_drawn_leaves_out_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = list[str]()

    def save(figure: Any, path: Path) -> None:
        drawn.append(path.name)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(output, "save_figure", save)
    with pytest.raises(pf.TrainingInterrupted, match="interrupted after training, which ended at step 4") as stop:
        pf.solve(small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(4), out=tmp_path)
    assert drawn == ["solution.png"]
    assert (stop.value.result.ended, stop.value.result.steps) == ("done", 4)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_a_second_ctrl_c_while_pictures_are_drawn_still_has_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(output, "save_figure", interrupt)
    with pytest.raises(pf.TrainingInterrupted) as stop:
        pf.solve(
            small_laplace(5), pf.Network(layers=[2, 5, 1]), pf.Adam(50), out=tmp_path,
            options=pf.Options(callbacks=lambda progress: interrupt() if progress.step == 2 else None),
        )  # fmt: skip
    assert stop.value.result.ended == "interrupted"
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_ctrl_c_while_a_result_is_judged_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = fitting.judged

    def slow(*arguments: Any) -> pf.FitResult:
        os.kill(os.getpid(), signal.SIGINT)
        return judged(*arguments)

    monkeypatch.setattr(fitting, "judged", slow)
    with pytest.raises(pf.TrainingInterrupted) as stop:
        pf.fit(small_laplace(5), network(), pf.Adam(4))
    assert (stop.value.result.ended, stop.value.result.steps) == ("done", 4)
