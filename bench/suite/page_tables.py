"""Tables of the performance page: growth with the points, what relations save, training loops, threads, whole jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .contestant import ENTRIES
from .jobs import WANTED
from .pictures import dense_of, ours
from .results import is_good, read

Row = dict[str, Any]

# From here on a step's own overhead is nothing.
MANY = 10_000


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)) + "\n"


def made_by(results: Row) -> str:
    where = f"{results['cpu']}, {results['threads']} thread(s), {results['instruction_set']}"
    return f"{where} (`{results['command']}`, commit {results['commit']}, {results['date'][:10]})"


def milliseconds(row: Row) -> str:
    return f"{1e3 * row['seconds']['median']:.3g}"


def points(path: Path) -> str:
    """How time and memory grow with the points."""
    results = read(path)
    rows = ours(results["rows"], "points")
    each = {row["points"]: 1e9 * row["seconds"]["median"] / (row["points"] + row["edge"]) for row in rows}
    lines = [
        [f"{row['points']:,}", milliseconds(row), f"{each[row['points']]:.1f}", f"{row['peak_mebibytes']:.1f}"]
        for row in rows
    ]
    many = [value for n, value in each.items() if n >= MANY]
    said = f"From {MANY:,} points on a point takes {min(many):.3g} to {max(many):.3g} ns"
    head = ("points", "a step, ms", "ns per point", "MiB beyond what was resident")
    return f"{table(head, lines)}\n{said}; {made_by(results)}.\n"


def relations(path: Path) -> str:
    """Our step with tied weights, in that of the dense network of the same widths."""
    results = read(path)
    rows = ours(results["rows"], "relations")
    lines = []
    for row, dense in dense_of(rows):
        share = row["seconds"]["median"] / dense["seconds"]["median"]
        orbit = dense["points"] // row["points"]
        network = "-".join(map(str, row["layers"]))
        at = "all" if orbit == 1 else f"one of {orbit}"
        lines.append([row["equation"], network, row["structure"], at, milliseconds(row), f"**{share:.2f}**"])
    head = ("equation", "widths", "relations", "points", "a step, ms", "of the dense step at all points")
    return f"{table(head, lines)}\n{made_by(results)}.\n"


def loops(path: Path) -> str:
    """Training loops of torch: nested autograd, and what our layers, derivatives and fused losses make of it."""
    results = read(path)
    rows = [row for row in results["rows"] if row["group"] == "loops" and is_good(row)]
    names = ("nested", "accelerate", "layer", "derivatives", "fuse", "fuse and fit", "ours")
    by = {(row["case"], row["contestant"]): row for row in rows}
    lines = []
    for case in dict.fromkeys(row["case"] for row in rows):
        nested = by.get((case, "nested"))

        def cell(name: str, case: str = case, nested: Row | None = nested) -> str:
            row = by.get((case, name))
            if row is None:
                return ""
            faster = f" ({nested['seconds']['median'] / row['seconds']['median']:.2g})" if nested else ""
            return milliseconds(row) + (faster if name != "nested" else "")

        lines.append([case.removeprefix("loops, "), *map(cell, names)])
    said = "Milliseconds a step, in brackets how many times faster than nested autograd"
    return f"{table(['loop', *(ENTRIES[name].title for name in names)], lines)}\n{said}; {made_by(results)}.\n"


def threads(path: Path) -> str:
    """What the second thread brings, and the share of the machine's multiply-adds."""
    results = read(path)
    rows = ours(results["rows"], "threads")
    lines = []
    for layers in dict.fromkeys(tuple(row["layers"]) for row in rows):
        found = {row["threads"]: row for row in rows if tuple(row["layers"]) == layers}
        one, two = found[1], found[2]
        times = one["seconds"]["median"] / two["seconds"]["median"]
        shares = [f"{row['share_of_peak']:.0%}" for row in (one, two)]
        lines.append(["-".join(map(str, layers)), milliseconds(one), milliseconds(two), f"{times:.2f}", *shares])
    head = ("widths", "one thread, ms", "two, ms", "times faster", "of one core's multiply-adds", "of two cores'")
    return f"{table(head, lines)}\n{made_by(results)}.\n"


def jobs(path: Path) -> str:
    """Problems solved whole by each library."""
    results = read(path)
    lines = []
    for row in results["rows"]:
        who = [row["problem"], ENTRIES[row["contestant"]].title, row["optimiser"]]
        if not is_good(row):
            lines.append([*who, *[""] * 5, row.get("failure") or row["absent"]])
            continue
        to = (seconds_or_never(row["seconds_to"][wanted]) for wanted in (WANTED, "paper"))
        least = float(np.min([error for _, error in row["history"]]))
        each = f"{1e3 * row['seconds_per_step']:.3g}"
        lines.append([*who, each, *to, f"{row['error']:.1e}", f"{least:.1e}", str(row["lines"])])
    reached = (f"seconds to {WANTED}", "to the paper's error")
    head = ("problem", "library", "optimiser", "ms a step", *reached, "error at the end", "least", "lines of code")
    ends = f"Each ends after {results['steps']:,} steps or {results['seconds']:g} s"
    return f"{table(head, lines)}\n{ends}; {made_by(results)}.\n"


def seconds_or_never(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.3g}"
