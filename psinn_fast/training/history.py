"""What a training run recorded: one row per logged step."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..kernels.errors import InputError
from ..markup import Markup, block, sparkline, table, title

# Those of every history.
COMMON_COLUMNS = ("step", "seconds", "loss", "held_out", "penalty", "relative_l2")
# Rows of a long run, about.
HISTORY_ROWS = 400


def log_interval(steps: int) -> int:
    """Steps between two rows of a run of so many."""
    return max(1, steps // HISTORY_ROWS)


class History:
    """A table of numbers with named columns, the first of them ``step``.

    A row holds the step, seconds of training before it, what the optimiser adds (``lr``, ``damping``), the total loss,
    the same at points that training does not see (``held_out``; NaN where it was not looked at), every term
    (without its weight, but with those that its condition gives its points), the weight penalty, unknown coefficients,
    the relative L2 error (NaN where it is not known), and what the network learns besides weights (``net.learned``),
    all at that step's weights, before their update.
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[float]] = ()) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(float(value) for value in row) for row in rows]
        if self.columns[:1] != ("step",) or any(len(row) != len(self.columns) for row in self.rows):
            raise InputError(f"columns: expected 'step' first and rows of {len(self.columns)} numbers")

    @classmethod
    def of(
        cls, own: Sequence[str], terms: Sequence[str], coefficients: Sequence[str], learned: Sequence[str]
    ) -> History:
        """An empty one for optimisers with columns of their ``own``, for a problem's terms and coefficients, and for
        what a network learns besides weights."""
        columns = ("step", "seconds", *own, "loss", "held_out", *terms, "penalty", *coefficients, "relative_l2")
        return cls((*columns, *learned))

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the loss terms."""
        return self._between("held_out", "penalty")

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the unknown coefficients."""
        return self._between("penalty", "relative_l2")

    def _between(self, first: str, last: str) -> tuple[str, ...]:
        if first not in self.columns or last not in self.columns:
            return ()
        return self.columns[self.columns.index(first) + 1 : self.columns.index(last)]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def __getitem__(self, column: str) -> list[float]:
        if column not in self.columns:
            raise InputError(f"column: expected one of {list(self.columns)}, got {column!r}")
        index = self.columns.index(column)
        return [row[index] for row in self.rows]

    def _repr_html_(self) -> str:
        """For notebooks: a curve of every column, with its first and last value."""
        columns = [name for name in self.columns if name not in ("step", "seconds")]
        return block(title("History", f"{len(self)} rows, {self.span()}"), curves(self, columns))

    def span(self) -> str:
        """E.g. "steps 0 to 100 in 1.2 s"."""
        if not self.rows:
            return "no step"
        seconds = f" in {self['seconds'][-1]:.3g} s" if "seconds" in self.columns else ""
        return f"steps {self['step'][0]:.0f} to {self['step'][-1]:.0f}{seconds}"

    def append(self, **values: float) -> None:
        """Add a row; columns not given become NaN. A row of the same or a later step is replaced."""
        row = tuple(float(values.get(column, math.nan)) for column in self.columns)
        self.rows = [*(old for old in self.rows if old[0] < row[0]), row]

    def take_rows(self, rows: Tensor) -> None:
        """The rows (n, columns) that `to_tensor` gave.

        Raises:
            InputError: steps that are not 0, 1, ... in rising order, or times that are negative, infinite or NaN.
        """
        steps = rows[:, 0]
        if not bool(((steps >= 0) & (steps < math.inf) & (steps == steps.round())).all() and (steps.diff() > 0).all()):
            raise InputError("history: expected steps in rising order")
        if "seconds" in self.columns:
            seconds = rows[:, self.columns.index("seconds")]
            if not bool(((seconds >= 0) & (seconds < math.inf)).all()):
                raise InputError("history: expected seconds >= 0")
        self.rows = [tuple(row) for row in rows.tolist()]

    def to_csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([f"{row[0]:.0f}", *(f"{value:.9g}" for value in row[1:])] for row in self.rows)
        return text.getvalue()

    def to_tensor(self) -> Tensor:
        return torch.tensor(self.rows, dtype=torch.float64).reshape(len(self.rows), len(self.columns))


def curves(history: History, columns: Sequence[str]) -> Markup:
    """A row for each of the columns that has numbers: a curve against the step, its first and last value."""
    rows = []
    for name in columns:
        values = history[name]
        known = [value for value in values if math.isfinite(value)]
        if known and (len(set(known)) > 1 or known[0]):
            ends = f"{known[0]:.3g} → {known[-1]:.3g}"
            rows.append((name, sparkline(history["step"], values, f"{name}: {ends}"), ends))
    return table(rows)
