"""Pictures of a file of results. Each draws what rows it finds, and is left out where there are none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .channel_sets import LAPLACIAN
from .contestant import ENTRIES
from .model import Model
from .results import is_good

Row = dict[str, Any]
OWN, PEERS, MODEL = "#c03a2b", "#5b7f95", "#888888"

# Of a group: what varies, as its axis says it, and the value of a row.
VARIED: dict[str, tuple[str, Callable[[Row], float]]] = {
    "points": ("collocation points", lambda row: row["points"]),
    "width": ("neurons of a hidden layer", lambda row: row["layers"][1]),
    "depth": ("hidden layers", lambda row: len(row["layers"]) - 2),
    "order": ("highest order of derivatives", lambda row: row["order"]),
    "inputs": ("inputs", lambda row: row["layers"][0]),
}


def ours(rows: Sequence[Row], group: str) -> list[Row]:
    return [row for row in rows if row["group"] == group and row["contestant"] == "ours" and is_good(row)]


def _error_bars(rows: Sequence[Row], of: Callable[[dict[str, float]], float], key: str) -> Any:
    spreads = [row[key] for row in rows]
    middle = np.array([of(found) for found in spreads])
    scale = middle / [found["median"] for found in spreads]
    low, high = (np.array([found[name] for found in spreads]) * scale for name in ("p10", "p90"))
    return np.abs(np.stack([middle - low, high - middle]))


def steps(rows: Sequence[Row], groups: Collection[str] = ("step",)) -> Figure | None:
    """Bars of each contestant's step in steps of ours, a panel a case."""
    by_case: dict[str, list[Row]] = {}
    for row in rows:
        if row["group"] in groups and row["contestant"] != "yardstick" and ("over_ours" in row or not is_good(row)):
            by_case.setdefault(row["case"], []).append(row)
    by_case = {case: found for case, found in by_case.items() if any(map(is_good, found))}
    if not by_case:
        return None
    # Beyond a few panels in two columns, panels of equally many bars beside each other.
    columns = 1 if len(by_case) < 5 else 2
    panels = sorted(by_case.items(), key=lambda item: -len(item[1])) if columns > 1 else list(by_case.items())
    bars_in = [len(panels[k][1]) for k in range(0, len(panels), columns)]
    figure = Figure((8 * columns, sum(0.9 + 0.28 * n for n in bars_in)), layout="constrained")
    grid = figure.subplots(len(bars_in), columns, squeeze=False, height_ratios=[n + 2 for n in bars_in])
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (case, found) in zip(grid.flat, panels, strict=False):
        _bars(ax, case, found)
    return figure


def _bars(ax: Axes, case: str, rows: Sequence[Row]) -> None:
    """Who has no time stands last, with the reason."""
    found = sorted(filter(is_good, rows), key=lambda row: row["over_ours"]["median"])
    without = [row for row in rows if not is_good(row)]
    titles = [ENTRIES[row["contestant"]].title for row in (*found, *without)]
    colors = [OWN if ENTRIES[row["contestant"]].is_own else PEERS for row in found]
    values = [row["over_ours"]["median"] for row in found]
    bars = _error_bars(found, lambda spread: spread["median"], "over_ours")
    ax.barh(range(len(found)), values, xerr=bars, color=colors, ecolor="#333333")
    for position, row in enumerate(found):
        text = f" {row['over_ours']['median']:.3g}x, {row['seconds']['median'] * 1e3:.3g} ms"
        ax.annotate(text, (row["over_ours"]["p90"], position), va="center", fontsize=8)
    for position, row in enumerate(without, len(found)):
        why = f"failed: {row['failure']}" if "failure" in row else row["absent"]
        ax.annotate(f" {why[:90]}", (0, position), va="center", fontsize=7, color="#8a2d20")
    ax.set_yticks(range(len(titles)), titles)
    widest = max(row["over_ours"]["p90"] for row in found)
    ax.set(xlim=(0, 1.35 * widest), title=case, xlabel="time of a step, in steps of psinn_fast")
    ax.title.set_fontsize(10)
    ax.invert_yaxis()


def per_point(rows: Sequence[Row]) -> Figure | None:
    found = ours(rows, "points")
    if len(found) < 2:
        return None
    figure = Figure((8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    points = [row["points"] for row in found]
    left.errorbar(points, [1e3 * row["seconds"]["median"] for row in found], color=OWN, marker="o",
                  yerr=1e3 * _error_bars(found, lambda spread: spread["median"], "seconds"))  # fmt: skip
    left.set(xscale="log", yscale="log", xlabel="collocation points", ylabel="a step, ms")
    each = np.array([1e9 / (row["points"] + row["edge"]) for row in found])
    median = each * [row["seconds"]["median"] for row in found]
    bars = each * _error_bars(found, lambda spread: spread["median"], "seconds")
    right.errorbar(points, median, bars, color=OWN, marker="o")
    right.set(xscale="log", xlabel="collocation points", ylabel="a step, ns per point", ylim=(0, 1.2 * max(median)))
    figure.suptitle(f"Growth with the points: {_network(found[0])}, {found[0]['equation']}", fontsize=10)
    return figure


def growth(rows: Sequence[Row], model: Model | None) -> Figure | None:
    groups = [name for name in VARIED if name != "points" and len(ours(rows, name)) > 1]
    if not groups:
        return None
    figure = Figure((8, 3 * ((len(groups) + 1) // 2)), layout="constrained")
    for ax, name in zip(_panels(figure, len(groups)), groups, strict=True):
        label, of = VARIED[name]
        found = sorted(ours(rows, name), key=of)
        x, y = [of(row) for row in found], [1e3 * row["seconds"]["median"] for row in found]
        ax.errorbar(
            x,
            y,
            1e3 * _error_bars(found, lambda spread: spread["median"], "seconds"),
            color=OWN,
            marker="o",
            label="measured",
        )
        if model is not None:
            ax.plot(x, [1e3 * model.predict(row) for row in found], "--", color=MODEL, label="model")
        ax.set(xlabel=label, ylabel="a step, ms")
        if name == "width":
            ax.set(xscale="log", yscale="log")
        else:
            ax.set_xticks(x)
            ax.set_ylim(0)
        ax.legend(fontsize=8)
    figure.suptitle(f"Growth at {found[0]['points']} points", fontsize=10)
    return figure


def roofline(rows: Sequence[Row], about: Row) -> Figure | None:
    """Multiply-adds a second against those for each byte of points and data that a step reads: far right of where
    memory would bind, since nothing else that grows with the points is stored."""
    tops, bytes_per_second, threads = (
        about[key] for key in ("multiply_adds_per_second", "bytes_per_second", "threads")
    )
    found = [
        row
        for row in rows
        if row["contestant"] == "ours" and is_good(row) and row.get("share_of_peak") and row["dtype"] == "float32"
        and row["group"] != "overhead" and (row["threads"] or threads) == threads
    ]  # fmt: skip
    if not found or not tops["float32"]:
        return None
    figure = Figure((8, 4), layout="constrained")
    ax: Axes = figure.subplots()
    for marker, group in zip("osD^v<>P*X", dict.fromkeys(row["group"] for row in found), strict=False):
        own = [row for row in found if row["group"] == group]
        read = [4 * ((row["layers"][0]) * (row["points"] + row["edge"]) + row["edge"]) for row in own]
        intensities = [row["multiply_adds"] / count for row, count in zip(own, read, strict=True)]
        rates = [1e-9 * row["multiply_adds"] / row["seconds"]["median"] for row in own]
        ax.plot(intensities, rates, marker, label=group, alpha=0.8)
    intensity = np.geomspace(1, 2 * ax.get_xlim()[1], 200)
    roof = np.minimum(tops["float32"], intensity * bytes_per_second) * 1e-9
    ax.plot(intensity, roof, color="black", label="the machine, float32")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="multiply-adds of products, per byte read",
        ylabel="1e9 multiply-adds a second",
    )
    figure.legend(loc="outside right center", fontsize=8)
    return figure


def dense_of(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Each row of a tied network, with that of the dense one of the same widths."""

    def network(row: Row) -> tuple[Any, ...]:
        return row["equation"], tuple(row["layers"])

    dense = {network(row): row for row in rows if row["structure"] is None}
    return [(row, dense[network(row)]) for row in rows if row["structure"] is not None and network(row) in dense]


def relations(rows: Sequence[Row]) -> Figure | None:
    """What R saves: our step with tied weights in steps of the dense network of the same width."""

    tied = dense_of(ours(rows, "relations"))
    if not tied:
        return None
    figure = Figure((8, 1.2 + 0.4 * len(tied)), layout="constrained")
    ax = figure.subplots()
    values = [row["seconds"]["median"] / dense["seconds"]["median"] for row, dense in tied]

    def label(row: Row, dense: Row) -> str:
        orbit = dense["points"] // row["points"]
        folded = f", one point of {orbit}" if orbit > 1 else ""
        return f"{_network(row)}, {row['equation']}, {row['structure']}{folded}"

    ax.barh([label(row, dense) for row, dense in tied], values, color=OWN)
    for position, value in enumerate(values):
        ax.annotate(f" {value:.2f}", (value, position), va="center", fontsize=9)
    ax.axvline(1, color=MODEL, linestyle="--")
    widest = max(1.0, *values)
    ax.set(xlim=(0, 1.15 * widest), xlabel="time of a step, in steps of the dense network", title="What relations save")
    ax.title.set_fontsize(10)
    ax.invert_yaxis()
    return figure


def channel_sets(rows: Sequence[Row]) -> Figure | None:
    """A step's time for each channel, in that of the Laplacian's set, by width."""
    found = ours(rows, "sets")
    names = list(dict.fromkeys(row["equation"] for row in found))
    widths = sorted({row["layers"][1] for row in found if row["equation"] == LAPLACIAN})
    if not widths:
        return None
    figure = Figure((8, 1.5 + 0.22 * len(names)), layout="constrained")
    ax = figure.subplots()
    for marker, width in zip("osD^v<>", widths, strict=False):
        each = {
            row["equation"]: row["seconds"]["median"] / row["channels"] for row in found if row["layers"][1] == width
        }
        ax.plot([each[name] / each[LAPLACIAN] for name in each], [*each], marker, label=f"width {width}", alpha=0.8)
    ax.axvline(1, color=MODEL, linestyle="--")
    ax.set(xlim=(0, None), xlabel=f"time of a step for each channel, in that of {LAPLACIAN}")
    ax.tick_params("y", labelsize=7)
    ax.invert_yaxis()
    ax.legend(fontsize=8)
    return figure


def memory(rows: Sequence[Row]) -> Figure | None:
    own = [row for row in ours(rows, "points") if row.get("peak_mebibytes") is not None]
    peers = [
        row
        for row in rows
        if row["group"] == "step"
        and is_good(row)
        and row.get("peak_mebibytes") is not None
        and row["contestant"] != "yardstick"
    ]
    if not own and not peers:
        return None
    figure = Figure((8, 3.6), layout="constrained")
    axes = list(figure.subplots(1, 1 + bool(own and peers), squeeze=False).flat)
    what = "MiB beyond what is resident"
    if own:
        taken = [row["peak_mebibytes"] for row in own]
        axes[0].plot([row["points"] for row in own], taken, "o-", color=OWN)
        axes[0].set(xscale="log", xlabel="collocation points", ylabel=what, title="psinn_fast")
        axes[0].set_ylim(0, 1.5 * max(*taken, 1.0))
    if peers:
        first = peers[0]["case"]
        shown = [row for row in peers if row["case"] == first]
        colors = [OWN if row["contestant"] == "ours" else PEERS for row in shown]
        values = [row["peak_mebibytes"] for row in shown]
        ax = axes[-1]
        ax.barh([ENTRIES[row["contestant"]].title for row in shown], values, color=colors)
        for position, value in enumerate(values):
            ax.annotate(f" {value:.3g}", (value, position), va="center", fontsize=7)
        ax.set(xlabel=what, title=first, xlim=(0, 1.2 * max(values)))
        ax.tick_params("y", labelsize=7)
        ax.invert_yaxis()
    for ax in axes:
        ax.title.set_fontsize(8)
    return figure


def accuracy(rows: Sequence[Row]) -> Figure | None:
    """Error against seconds of whole jobs."""
    found = [row for row in rows if row["group"] == "jobs" and row.get("history")]
    problems = list(dict.fromkeys(row["problem"] for row in found))
    if not problems:
        return None
    figure = Figure((8, 3 * ((len(problems) + 1) // 2)), layout="constrained")
    labelled: dict[str, Any] = {}
    for ax, problem in zip(_panels(figure, len(problems)), problems, strict=True):
        for row in (row for row in found if row["problem"] == problem):
            label = f"{ENTRIES[row['contestant']].title}, {row['optimiser']}"
            color = labelled[label].get_color() if label in labelled else f"C{len(labelled)}"
            (labelled[label],) = ax.plot(*np.array(row["history"]).T, color=color, label=label)
        ax.set(xscale="log", yscale="log", xlabel="seconds", ylabel="relative L2 error", title=problem)
    figure.legend(labelled.values(), labelled.keys(), loc="outside upper center", ncols=3, fontsize=8)
    return figure


def _panels(figure: Figure, count: int) -> list[Axes]:
    """Two in a row."""
    axes: list[Axes] = list(figure.subplots((count + 1) // 2, 2, squeeze=False).flat)
    for ax in axes[count:]:
        ax.set_visible(False)
    return axes[:count]


def _network(row: Row) -> str:
    return "-".join(map(str, row["layers"]))
