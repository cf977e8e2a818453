"""The bar shows where a run is, from its start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small import network, small_laplace

import psinn_fast as pf
from psinn_fast.kernels.compiling import say_compiling
from psinn_fast.training import progress, trainer
from psinn_fast.training.optimisers.adam import AdamRun


def test_a_finished_run_that_is_resumed_shows_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = list[int]()
    monkeypatch.setattr(trainer.TrainingProgress, "update", lambda self, step, note: shown.append(step))
    for resume, first in ((False, 1), (True, 8)):
        shown.clear()
        pf.fit(
            small_laplace(5), network(), pf.Adam(8), checkpoint=tmp_path / "c.safetensors",
            options=pf.Options(resume=resume),
        )  # fmt: skip
        assert (shown[0], shown[-1]) == (first, 8)


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A backend that compiles something for the first steps, and at the end, when there is no bar any more."""

    def compiling(method: str) -> Callable[..., object]:
        own = getattr(AdamRun, method)

        def announced(*arguments: object) -> object:
            say_compiling()
            return own(*arguments)

        return announced

    for method in ("_take", "final_losses"):
        monkeypatch.setattr(AdamRun, method, compiling(method))
    progress.say_that_it_compiles.cache_clear()
    yield
    progress.say_that_it_compiles.cache_clear()


@pytest.mark.usefixtures("compiles")
@pytest.mark.parametrize("is_shown", [True, False])
def test_kernels_that_are_compiled(
    is_shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bar says so before the first step is done, and no longer behind it."""
    shown = list[str]()
    monkeypatch.setattr(trainer.TrainingProgress, "update", lambda self, step, note: shown.append(note))
    at_once = trainer.TrainingProgress.say_at_once

    def say_at_once(self: trainer.TrainingProgress, note: str) -> None:
        shown.append(note)
        at_once(self, note)

    monkeypatch.setattr(trainer.TrainingProgress, "say_at_once", say_at_once)
    pf.fit(small_laplace(5), network(), pf.Adam(2), options=pf.Options(progress=is_shown))
    assert ("compiling kernels" in shown[:1]) is is_shown
    assert shown[-1].startswith("loss ")
    # What is compiled behind the bar, or before it, has a line of its own, once in a process.
    line = "compiling kernels: the first run of a network and problem takes longer"
    assert capsys.readouterr().err.count(line) == is_shown


def test_the_bar_asks_what_a_long_step_is_at(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.TrainingProgress("wave", 10, True, lambda: "J^T J 40%, 4 s") as bar:
        bar.update(3, "loss 1.00e-03")
    assert "J^T J 40%, 4 s" in capsys.readouterr().err
