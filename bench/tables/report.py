"""The table in Markdown, and the picture: error against seconds, a panel per problem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ..section import Row

_COLOURS = {"dense": "C1", "psi": "C0"}


def line(row: Row) -> str:
    """For the terminal."""
    runs = "  ".join(_error(run) for run in row["runs"])
    verdict = "meets" if row["meets"] else "MISSES"
    spent = sum(run.get("seconds", 0.0) for run in row["runs"])
    return (
        f"{row['problem']:24}{row['network']:7}{_number(row['median'])} (worst {_number(row['worst'])}), {verdict} "
        f"{row['wanted']:g}; seeds {runs}; {spent:.0f} s"
    )


def markdown(rows: Sequence[Row]) -> str:
    """Problems in the order of the rows, a line for each network; bold: at or below what is wanted, in time."""
    head = (
        "| problem | network | parameters | lines | seconds | error | wanted | published | floor |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    return "\n".join([*head, *map(_markdown, rows)]) + "\n"


def _markdown(row: Row) -> str:
    good = [run for run in row["runs"] if "failure" not in run]
    parameters = " to ".join(f"{n:,}" for n in sorted({min(_sizes(good)), max(_sizes(good))})) if good else "-"
    seconds = f"{max((run['seconds'] for run in good), default=math.nan):.0f} of {row['within']:g}"
    error = f"{_number(row['median'])}, {_number(row['worst'])}"
    published = row["published"]
    best = "none" if published["error"] is None else _short(published["error"])
    best += f" ({', '.join(words)})" if (words := [published[key] for key in ("by", "on") if published[key]]) else ""
    entries = (
        row["problem"], row["described"], parameters, str(row["lines"]), seconds,
        f"**{error}**" if row["meets"] else error, _short(row["wanted"]), best,
        _number(row["floor"]) if row["floor"] else "exact",
    )  # fmt: skip
    return f"| {' | '.join(entries)} |"


def _sizes(runs: Sequence[Row]) -> list[int]:
    return [run["parameters"] for run in runs]


def _short(value: float) -> str:
    return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def picture(rows: Sequence[Row], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["problem"] for row in rows))
    columns = min(4, len(names))
    lines = math.ceil(len(names) / columns)
    figure = Figure(figsize=(3.2 * columns, 2.7 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        for row in (row for row in rows if row["problem"] == name):
            _curves(axis, row)
        axis.set(title=name, xscale="log", yscale="log", xlabel="seconds", ylabel="relative L2 error")
        axis.legend(fontsize=6)
    for axis in axes[len(names) :]:
        axis.remove()
    figure.savefig(path, dpi=120)


def _curves(axis: object, row: Row) -> None:
    """Runs, and lines for what is wanted, published, and the reference's own error."""
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    label: str | None = row["network"]
    for run in (run for run in row["runs"] if "curve" in run):
        known = [(seconds, error) for seconds, error in run["curve"] if error and seconds]
        axis.plot(*zip(*known, strict=True), color=_COLOURS.get(row["network"], "C2"), linewidth=0.9, label=label)
        label = None
    marks = [
        (row["wanted"], "-", "wanted"),
        (row["published"]["error"], "--", "published"),
        (row["floor"], ":", "floor"),
    ]
    for value, style, name in marks:
        if value and name not in axis.get_legend_handles_labels()[1]:
            axis.axhline(value, linestyle=style, color="0.5", linewidth=0.8, label=name)


def _error(run: Row) -> str:
    return "FAILED" if "failure" in run else _number(run["relative_l2"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
