"""The bar shows where a run is, from its start."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of logs and cells as soon as there is something new."""
    for name in ("LINE_SECONDS", "MOST_LINE_SECONDS", "CELL_SECONDS"):
        monkeypatch.setattr(progress, name, 0.01)
    monkeypatch.setattr(progress.InLog, "next", 0.01)


@pytest.mark.usefixtures("in_a_hurry")
def test_the_line_asks_what_a_long_step_is_at(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.TrainingProgress("wave", 10, True, lambda: "J^T J 40%, 4 s") as bar:
        bar.update(3, "loss 1.00e-03")
        time.sleep(0.1)
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("wave  3/10  ")
    assert lines[-1].endswith(" left  J^T J 40%, 4 s")
    assert "loss 1.00e-03" in last
    assert "J^T J" not in last
    assert re.search(r"  in 0\.\d+ s$", last)


def test_logs_have_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run of less than ten seconds the last one."""
    with progress.TrainingProgress("wave", 10_000, True) as bar:
        for step in range(1, 10_001):
            bar.update(step, "loss 1.00e-03")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wave  10000/10000  ")


def test_lines_of_logs_become_rare() -> None:
    line = progress.InLog("wave", 10, str, 0)
    assert [line.waits() for _ in range(5)] == [10, 20, 40, 60, 60]


@pytest.mark.parametrize(("first", "rate", "left"), [(0, "100/s", "0:01:40"), (8_000, "20/s", "0:08:20")])
def test_rate_and_time_left_are_of_this_run(monkeypatch: pytest.MonkeyPatch, first: int, rate: str, left: str) -> None:
    """A run that is resumed begins where it was."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    line = progress.InLog("wave", 20_000, str, first)
    now[0] = 100.0
    line.update(10_000, "loss 1")
    assert line.text() == f"wave  10000/20000  {rate}  loss 1  {left} left"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress.TrainingProgress("wave", 10, True, lambda: "J^T J 40%, 4 s") as bar:
        bar.update(3, "loss 1.00e-03")
        bar.say_at_once("compiling")
    assert "J^T J 40%, 4 s" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()  # it is drawn over


@pytest.mark.usefixtures("in_a_hurry")
def test_a_cell_has_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown = list[Any]()
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress.Cell, "show", lambda self, contents: shown.append((self, contents)))
    with progress.TrainingProgress("<wave>", 10, True) as bar:
        bar.update(3, "loss 1.00e-03")
        time.sleep(0.1)
        bar.update(10, "loss 1.00e-04")
    assert capsys.readouterr().err == ""
    assert len({cell for cell, _ in shown}) == 1
    assert [contents["text/plain"].split()[1] for _, contents in shown][:: len(shown) - 1] == ["0/10", "10/10"]
    assert '&lt;wave&gt;  <progress value="10" max="10"' in shown[-1][1]["text/html"]
    assert len(shown) < 20


@pytest.mark.parametrize("stream", [None, "closed"])
def test_there_may_be_no_stderr(monkeypatch: pytest.MonkeyPatch, stream: str | None) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", None if stream is None else closed)
    with progress.TrainingProgress("wave", 10, True) as bar:
        bar.update(3, "loss 1.00e-03")
