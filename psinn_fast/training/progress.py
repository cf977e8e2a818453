"""The progress of long runs: steps, rate, time left, loss and error.

In a terminal a bar on stderr, which only showing imports rich for; in a notebook one line below the cell, which is
replaced; elsewhere, in the log of a batch job for instance, a line on stderr now and then, and one at the end. Where
stderr is closed or full, nothing is shown and the run goes on.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from html import escape
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO, cast

from ..console import Forgiving, complain
from ..notebook import Cell, in_notebook

if TYPE_CHECKING:
    from rich.progress import Progress


COMPILING = "compiling kernels"
# Seconds between two looks of a notebook's line, and between the first lines of a log and the later ones.
CELL_SECONDS = 0.5
LINE_SECONDS, MOST_LINE_SECONDS = 10.0, 60.0


class Bar(Protocol):
    """What shows a run's progress. A long step is asked for what it is at, ``under_way``, by the thread that draws."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def update(self, step: int, note: str) -> None: ...
    def say_at_once(self, note: str) -> None: ...


class InTerminal:
    """Drawn by rich, ten times a second."""

    def __init__(self, title: str, steps: int, under_way: Callable[[], str]) -> None:
        self._bar = _rich_bar(sys.stderr, under_way)
        self._task = self._bar.add_task(title, total=steps, note="")
        self.start, self.stop = self._bar.start, self._bar.stop

    def update(self, step: int, note: str) -> None:
        self._bar.update(self._task, completed=step, note=note)

    def say_at_once(self, note: str) -> None:
        self._bar.update(self._task, note=note, refresh=True)


def _rich_bar(stream: TextIO, under_way: Callable[[], str]) -> Progress:
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


class _Line:
    """A line that a thread shows, again after some seconds, if it has changed."""

    def __init__(self, title: str, steps: int, under_way: Callable[[], str], first: int) -> None:
        self._title, self._steps, self._under_way, self._first = title, steps, under_way, first
        self._step, self._note, self._shown = first, "", ""
        self._is_over = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._began = time.perf_counter()
        self._thread = threading.Thread(target=self._show_on, daemon=True)

    def start(self) -> None:
        self._began = time.perf_counter()
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._show()

    def update(self, step: int, note: str) -> None:
        self._step, self._note = step, note

    def say_at_once(self, note: str) -> None:
        self._note = note
        self._show()

    def waits(self) -> float:
        """Seconds to the next look."""
        raise NotImplementedError

    def put(self, line: str) -> None:
        raise NotImplementedError

    def text(self) -> str:
        return "  ".join(self.parts)

    @property
    def parts(self) -> tuple[str, str]:
        """What is being trained, and how far it is."""
        seconds = time.perf_counter() - self._began
        rate = (self._step - self._first) / max(seconds, 1e-9)
        left = (self._steps - self._step) / rate if rate > 0 else math.inf
        words = [f"{self._step}/{self._steps}"]
        words += [f"{rate:.3g}/s"] if rate > 0 else []
        words += [self._note] if self._note else []
        words += [_clock(left) + " left"] if 0 < left < math.inf and not self._is_over.is_set() else []
        words += [under_way] if not self._is_over.is_set() and (under_way := self._under_way()) else []
        words += ["in " + _clock(seconds)] if self._is_over.is_set() else []
        return self._title, "  ".join(words)

    def _show_on(self) -> None:
        while not self._is_over.wait(self.waits()):
            self._show()

    def _show(self) -> None:
        with self._one_at_a_time:
            line = self.text()
            if line != self._shown:
                self._shown = line
                self.put(line)


class InLog(_Line):
    """Lines become rare as training goes on."""

    next = LINE_SECONDS

    def __init__(self, title: str, steps: int, under_way: Callable[[], str], first: int) -> None:
        super().__init__(title, steps, under_way, first)
        self._stream = Forgiving(sys.stderr)

    def waits(self) -> float:
        seconds = self.next
        self.next = min(2 * seconds, MOST_LINE_SECONDS)
        return seconds

    def put(self, line: str) -> None:
        print(line, file=cast(TextIO, self._stream), flush=True)


class InCell(_Line):
    """With a bar."""

    def __init__(self, title: str, steps: int, under_way: Callable[[], str], first: int) -> None:
        super().__init__(title, steps, under_way, first)
        self._cell = Cell()

    def start(self) -> None:
        super().start()
        self._show()

    def waits(self) -> float:
        return CELL_SECONDS

    def put(self, line: str) -> None:
        title, rest = map(escape, self.parts)
        bar = f'<progress value="{self._step}" max="{self._steps}" style="width:9em;vertical-align:middle"></progress>'
        style = "font-family:monospace;font-size:12px;white-space:pre-wrap"
        self._cell.show({"text/plain": line, "text/html": f'<div style="{style}">{title}  {bar}  {rest}</div>'})


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _bar(title: str, steps: int, under_way: Callable[[], str], first: int) -> Bar | None:
    """What suits the place; None where there is none."""
    if in_notebook():
        return InCell(title, steps, under_way, first)
    if sys.stderr is None:
        return None
    try:
        is_terminal = sys.stderr.isatty()
    except ValueError:  # it is closed
        is_terminal = False
    return InTerminal(title, steps, under_way) if is_terminal else InLog(title, steps, under_way, first)


def progress_note(loss: float, error: float, hidden: str | None) -> str:
    """``hidden``: how much larger the loss is between the points, where that is worth a warning."""
    return (
        f"loss {loss:.2e}"
        + ("" if math.isnan(error) else f"  error {error:.2e}")
        + (f"  between the points {hidden}" if hidden else "")
    )


class TrainingProgress:
    """``with TrainingProgress("laplace psi", steps, shown=True) as bar: bar.update(step, note)``.

    ``under_way()``: what a long step is at, asked by the thread that draws; ``first``: the step that it begins with,
    where it is resumed.
    """

    def __init__(self, title: str, steps: int, shown: bool, under_way: Callable[[], str] = str, first: int = 0) -> None:
        self._bar = _bar(title, steps, under_way, first) if shown else None

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
            self._bar.update(step, note)

    def say_at_once(self, note: str) -> None:
        """Before work in which the thread that draws the bar may not get to run."""
        if self._bar is not None:
            self._bar.say_at_once(note)


@cache
def say_that_it_compiles() -> None:
    """A line on stderr, once in a process, where kernels are compiled and there is no bar to say so."""
    complain(f"{COMPILING}: the first run of a network and problem takes longer")
