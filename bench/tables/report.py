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
    seconds += ", one thread" if good and all(run["threads"] == 1 for run in good) else ""
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


_IN_SHORT = (
    "advection, speed 80", "convection, beta = 50", "reaction, rho = 5", "Korteweg-de Vries", "Helmholtz",
    "Laplace with four holes", "heat, multi-scale", "Allen-Cahn", "Kuramoto-Sivashinsky", "cavity, Re = 100",
    "Burgers, nu = 0.01/pi",
)  # fmt: skip


def in_short(rows: Sequence[Row]) -> str:
    """README's: some problems, the network whose worst seed is best."""
    lines = ["| problem | network | worst error of three seeds | seconds | published best |", "|---|---|---|---|---|"]
    for name in _IN_SHORT:
        own = [row for row in rows if row["problem"] == name and row["worst"] is not None]
        if own:
            row = min(own, key=lambda row: row["worst"])
            seconds = max(run["seconds"] for run in row["runs"])
            published = f"{_short(row['published']['error'])}, {row['published']['by']}"
            lines.append(f"| {name} | {row['described']} | {_number(row['worst'])} | {seconds:.0f} | {published} |")
    return "\n".join(lines) + "\n"


def _sizes(runs: Sequence[Row]) -> list[int]:
    return [run["parameters"] for run in runs]


def _short(value: float) -> str:
    return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def picture(rows: Sequence[Row], path: Path) -> None:
    """Error against seconds, a panel a problem; a march has its error at the end alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["problem"] for row in rows))
    columns = min(4, len(names))
    lines = math.ceil(len(names) / columns)
    figure = Figure(figsize=(3.2 * columns, 2.7 * lines + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
    for axis, name in zip(axes, names, strict=False):
        own = [row for row in rows if row["problem"] == name]
        for row in own:
            _curves(axis, row)
        axis.set(title=name, xscale="log", yscale="log", ylabel="relative L2 error", ylim=_range(own))
        axis.tick_params(labelbottom=True)
        axis.set_xlabel("seconds")
    for axis in axes[len(names) :]:
        axis.remove()
    lines_of = {line.get_label(): line for axis in axes[: len(names)] for line in axis.get_lines()}
    known = [label for label in (*_COLOURS, *_MARKS) if label in lines_of]
    figure.legend([lines_of[label] for label in known], known, loc="outside lower center", ncols=len(known))
    figure.savefig(path, dpi=120)


_MARKS = {"wanted": "-", "published": "--", "floor": ":"}


def _marks(row: Row) -> dict[str, float | None]:
    return {"wanted": row["wanted"], "published": row["published"]["error"], "floor": row["floor"]}


def _curve(run: Row) -> list[tuple[float, float]]:
    return [(seconds, error) for seconds, error in run.get("curve", ()) if error and seconds]


def _range(rows: Sequence[Row]) -> tuple[float, float]:
    """From below all errors and what is wanted, and above them; floors may lie far below."""
    errors = [error for row in rows for run in row["runs"] for _, error in _curve(run)]
    wanted = [value for row in rows for name, value in _marks(row).items() if value and name != "floor"]
    return min(*errors, *wanted) / 3, min(3.0, 3 * max(*errors, *wanted))


def _curves(axis: object, row: Row) -> None:
    """Runs, and lines for what is wanted, published, and the reference's own error."""
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    colour = _COLOURS.get(row["network"], "C2")
    for run in row["runs"]:
        if known := _curve(run):
            seconds, errors = zip(*known, strict=True)
            axis.plot(seconds, errors, color=colour, linewidth=0.9, marker="o", markersize=2.5, label=row["network"])
    for name, value in _marks(row).items():
        if value:
            axis.axhline(value, linestyle=_MARKS[name], color="0.5", linewidth=0.8, label=name)


def _error(run: Row) -> str:
    return "FAILED" if "failure" in run else _number(run["relative_l2"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
