"""The progress bar of long runs: steps, rate, time left, loss and error, on stderr. Only showing it imports rich.

Where stderr is closed or full, nothing is shown and the run goes on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, cast

from ..console import Forgiving, complain

if TYPE_CHECKING:
    from rich.progress import Progress


COMPILING = "compiling kernels"


def _bar(stream: TextIO, under_way: Callable[[], str]) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.0f}/s" if task.speed else "")

    class Step(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(under_way())

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        Rate(),
        TextColumn("{task.fields[note]}"),
        Step(),
        TimeRemainingColumn(),
        console=Console(file=cast(TextIO, Forgiving(stream))),
    )


def progress_note(loss: float, error: float, hidden: str | None) -> str:
    """``hidden``: how much larger the loss is between the points, where that is worth a warning."""
    return (
        f"loss {loss:.2e}"
        + ("" if math.isnan(error) else f"  error {error:.2e}")
        + (f"  between the points {hidden}" if hidden else "")
    )


class TrainingProgress:
    """``with TrainingProgress("laplace psi", steps, shown=True) as bar: bar.update(step, note)``.

    ``under_way()``: what a long step is at, asked ten times a second by the thread that draws.
    """

    def __init__(self, title: str, steps: int, shown: bool, under_way: Callable[[], str] = str) -> None:
        self._bar = _bar(sys.stderr, under_way) if shown and sys.stderr is not None else None
        if self._bar is not None:
            self._task = self._bar.add_task(title, total=steps, note="")

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, note: str) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=step, note=note)

    def say_at_once(self, note: str) -> None:
        """Before work in which the thread that draws the bar may not get to run."""
        if self._bar is not None:
            self._bar.update(self._task, note=note, refresh=True)


@cache
def say_that_it_compiles() -> None:
    """A line on stderr, once in a process, where kernels are compiled and there is no bar to say so."""
    complain(f"{COMPILING}: the first run of a network and problem takes longer")
