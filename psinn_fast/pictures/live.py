"""Pictures of a training while it goes on."""

from __future__ import annotations

import base64
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..kernels import checks
from ..kernels.errors import InputError, OutputWarning, one_line, short
from ..networks.mlp import PsiMLP
from ..notebook import Cell, cell_number, in_notebook
from ..problem.problem import Problem
from ..storage.files import as_path, write_atomically
from ..training.callbacks import Callback, Progress
from ..training.history import History
from ..training.metrics import evaluate
from ..training.result import FitResult
from .canvas import Points
from .figures import new_figure, png_of
from .histories import draw_histories, panels_of_history
from .solution import draw_views, size_of, views_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Seconds that the first picture is taken to need.
FIRST_TAKES = 0.5
# Inches.
_ROW, _PANEL = 3.4, 4.2


class LivePlot(Callback):
    """Draws losses and errors while training goes on, and of problems of one or two coordinates the fields, too.

    In a notebook below the cell, in place of the picture before, also of an earlier training in that cell; with
    ``path`` into a PNG file. A picture that cannot be drawn or written is said in an `OutputWarning`, and training goes
    on without.

    Args:
        path: of the file, ``.png``, which is replaced; needed where this is no notebook.
        every: seconds between two pictures, at least.
        budget: the part of the time of training that may be spent on pictures, which are rarer where they take long.

    Raises:
        InputError: no path where this is no notebook, another suffix, numbers out of range.

    Example:
        ``pf.solve(problem, options=pf.Options(callbacks=[pf.LivePlot("training.png")]))``
    """

    def __init__(self, path: str | Path | None = None, *, every: float = 3.0, budget: float = 0.05) -> None:
        self._path = None if path is None else as_path("path", path)
        if self._path is None and not in_notebook():
            raise InputError('path: this is no notebook, so expected the path of a file, LivePlot("training.png")')
        if self._path is not None and self._path.suffix.lower() != ".png":
            raise InputError(f"path: expected a name that ends in .png, got {short(str(path))}")
        self._problem: Problem | None = None
        self._cell, self._number = Cell(), cell_number()
        self._every = checks.number("every", every, least=0)
        self._budget = checks.number("budget", budget, above=0, below=1)
        self._begin()

    def on_start(self) -> None:
        from matplotlib.figure import Figure  # noqa: F401  # before the clock runs

        self._begin()

    def on_row(self, progress: Progress) -> None:
        self._problem = progress.problem
        now = time.perf_counter()
        is_paid = self._spent + self._last_took <= self._budget * (now - self._began)
        if self._works and is_paid and now - self._drawn >= self._every:
            self._draw(progress.problem, progress.net, progress.history)

    def on_end(self, result: FitResult) -> None:
        if self._works and self._problem is not None:
            self._draw(self._problem, result.net, result.history)

    def _begin(self) -> None:
        if self._number is None or cell_number() != self._number:
            self._cell, self._number = Cell(), cell_number()
        self._problem, self._works = None, True
        self._spent, self._last_took = 0.0, FIRST_TAKES
        self._began = self._drawn = time.perf_counter()

    def _draw(self, problem: Problem, net: PsiMLP, history: History) -> None:
        began = time.perf_counter()
        try:
            self._show(png_of(training_figure(problem, net, history)), f"{problem.name}, {history.span()}")
        except Exception as error:  # of drawing any: a picture is not worth what is trained
            self._works = False
            warnings.warn(f"LivePlot: no more pictures ({one_line(error)})", OutputWarning, stacklevel=2)
        self._drawn = time.perf_counter()
        self._last_took = self._drawn - began
        self._spent += self._last_took

    def _show(self, png: bytes, text: str) -> None:
        if self._path is not None:
            write_atomically(self._path, png)
        if in_notebook():
            self._cell.show({"image/png": base64.b64encode(png).decode(), "text/plain": text})


def training_figure(problem: Problem, net: PsiMLP, history: History) -> Figure:
    """The history, and below it the fields of a problem of one or two coordinates."""

    def found(points: Points) -> Points:
        return evaluate(net, points)

    views = views_of(problem, found) if len(problem.pde.coords) <= 2 else []
    width, height = size_of(problem, views) if views else (0.0, 0.0)
    figure = new_figure(max(width, _PANEL * panels_of_history(history)), _ROW + height + 0.3)
    rows = figure.subfigures(2 if views else 1, 1, squeeze=False, height_ratios=(_ROW, height) if views else None)[:, 0]
    draw_histories(rows[0], {"loss": history}, terms=True)
    if views:
        draw_views(rows[1], problem, found, views)
    figure.suptitle(f"{problem.name}, {history.span()}", parse_math=False)
    return figure
