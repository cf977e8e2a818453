"""Numbers in README and documentation, made from files of results: ``python -m bench publish``, ``--check`` in CI.

A page says where numbers stand by a comment, and the command writes what is between it and the next one:

    <!-- numbers: steps bench/results/suite/quick.json -->
    <!-- end of numbers -->

Pictures of the performance page are drawn from the same files, and say in their metadata from which.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..tables import report as tables
from . import page_tables, step_tables
from .contestant import ENTRIES
from .model import fit
from .process import TOP
from .report import png_of, sections
from .results import is_good, read

Row = dict[str, Any]

NARROW = 1.2

RESULTS, DRAWN = TOP / "bench" / "results" / "suite", TOP / "docs" / "performance"

_BLOCK = re.compile(
    r"(<!-- numbers: (?P<name>[\w-]+) (?P<files>[^>]+?) -->\n)(?P<text>.*?)(<!-- end of numbers -->)", re.S
)


def pages() -> Iterator[Path]:
    yield TOP / "README.md"
    yield from sorted((TOP / "docs").rglob("*.md"))


def published(text: str) -> str:
    """The page with its numbers as the files of results have them now.

    Raises:
        KeyError: numbers of a name that is not known; OSError, Unreadable: a file that is not there.
    """

    def again(found: re.Match[str]) -> str:
        return found[1] + NUMBERS[found["name"]](*(TOP / name for name in found["files"].split())) + found[5]

    return _BLOCK.sub(again, text)


def stale() -> list[Path]:
    """Pages and pictures whose numbers are not those of the files."""
    old = [page for page in pages() if published(text := page.read_text(encoding="utf-8")) != text]
    return old + [path for path, (file, _) in PICTURES.items() if source_of(path) != digest(file)]


def write() -> list[Path]:
    """Puts that right; what was changed."""
    changed = stale()
    for path in changed:
        if path in PICTURES:
            file, name = PICTURES[path]
            draw(path, file, name)
        else:
            path.write_text(published(path.read_text(encoding="utf-8")), encoding="utf-8")
    return changed


def draw(path: Path, file: Path, name: str) -> None:
    """A picture of the report as a PNG that says which file it was drawn from.

    Raises:
        ValueError: the file has no rows for it.
    """
    results = read(file)
    figure = next(how() for own, _, how in sections(results) if own == name)
    if figure is None:
        raise ValueError(f"{file} has no rows for the picture {name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_of(figure, results, {"Source": digest(file)}))


def source_of(path: Path) -> str | None:
    """Which file a picture was drawn from, by its digest."""
    if not path.exists():
        return None
    with Image.open(path) as image:
        found = image.info.get("Source")
    return None if found is None else str(found)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _steps(path: Path) -> str:
    """A row for each case with peers: ours in milliseconds, each peer in steps of ours."""
    results = read(path)
    cases = dict.fromkeys(row["case"] for row in results["rows"] if row["group"] == "step")
    entered = {row["contestant"] for row in results["rows"] if row["group"] == "step"} - {"ours", "yardstick"}
    names = [name for name in ENTRIES if name in entered]
    lines = ["| contestant | " + " | ".join(case.removeprefix("step, ") for case in cases) + " |"]
    lines.append("|---|" + "---|" * len(cases))
    by = {(row["case"], row["contestant"]): row for row in results["rows"]}
    own = [f"**{1e3 * by[case, 'ours']['seconds']['median']:.3g} ms**" for case in cases]
    lines.append(f"| psinn_fast {_versions(results, 'ours')} | " + " | ".join(own) + " |")
    fastest = [min(by[case, name]["over_ours"]["median"] for name in names if _has(by, case, name)) for case in cases]

    def cell(case: str, name: str, best: float) -> str:
        if not _has(by, case, name):
            row = by.get((case, name), {})
            return "failed" if "failure" in row else "not there" if "absent" in row else ""
        ratio = by[case, name]["over_ours"]["median"]
        return f"**{ratio:.2g}**" if ratio == best else f"{ratio:.2g}"

    for name in sorted(names, key=lambda name: _first(by, cases, name)):
        cells = (cell(case, name, best) for case, best in zip(cases, fastest, strict=True))
        lines.append(f"| {ENTRIES[name].title} {_versions(results, name)} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"{_machine(results)} {_spread(by.values())} Empty: does not take part.", ""])


def _spread(rows: Iterable[Row]) -> str:
    """How far the rounds lie apart, of ratios to ours."""
    found = [
        (row["over_ours"]["p90"] / row["over_ours"]["p10"], row)
        for row in rows
        if row["group"] == "step" and row["contestant"] not in ("ours", "yardstick") and is_good(row)
    ]
    narrow = sum(value <= NARROW for value, _ in found)
    _, row = max(found, key=lambda pair: pair[0])
    ratio, case = row["over_ours"], row["case"].removeprefix("step, ")
    ends = f"{ratio['p10']:.2g} to {ratio['p90']:.2g}"
    return (
        f"The 10th and the 90th percentile of the rounds are within {NARROW - 1:.0%} of each other in {narrow} of "
        f"{len(found)} cells; furthest apart: {ENTRIES[row['contestant']].title}, {case}, {ends}."
    )


def _has(by: dict[tuple[str, str], Row], case: str, name: str) -> bool:
    return "over_ours" in by.get((case, name), {}) and is_good(by[case, name])


def _first(by: dict[tuple[str, str], Row], cases: Sequence[str] | dict[str, None], name: str) -> float:
    found = (float(by[case, name]["over_ours"]["median"]) for case in cases if _has(by, case, name))
    return next(found, float("inf"))


def _versions(results: Row, name: str) -> str:
    """Of the library that the contestant is named after."""
    for row in results["rows"]:
        if row["contestant"] == name and "versions" in row:
            found: dict[str, str] = row["versions"]
            return found.get(ENTRIES[name].package, "").partition("+")[0]
    return ""


def _machine(results: Row) -> str:
    how = "medians of alternating rounds, each contestant checked against nested autograd in float64 first"
    where = f"{results['cpu']}, {results['threads']} thread(s), {results['instruction_set']}, float32"
    made = f"`{results['command']}`, commit {results['commit']}, {results['date'][:10]}"
    return f"Steps of each contestant in steps of psinn_fast; {where}, {how} ({made})."


def _model(path: Path) -> str:
    results = read(path)
    model = fit(results["rows"])
    if model is None:
        return "Too few rows for a model of the cost.\n"
    worst = max(abs(value - 1) for value in model.deviations.values())
    return f"{str(model)[0].upper()}{str(model)[1:]}; all of {len(model.deviations)} cases lie within {worst:.0%}.\n"


def _tables_rows(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return rows


def _headline(suite: Path, published_tables: Path) -> str:
    """Three numbers: a step against its peers, what relations save, problems against published errors.

    Raises:
        ValueError: a peer failed or is not there, so that another one would be called the fastest.
    """
    for row in read(suite)["rows"]:
        if row["group"] == "step" and not is_good(row):
            why = row.get("failure") or row["absent"]
            raise ValueError(f"{suite}: the headline needs all peers; {row['contestant']}, {row['case']}: {why}")
    rows = [row for row in read(suite)["rows"] if is_good(row) and "seconds" in row]
    peers = [row for row in rows if row["group"] == "step" and row["contestant"] not in ("ours", "yardstick")]
    by_case: dict[str, list[tuple[float, str]]] = {}
    for row in peers:
        by_case.setdefault(row["case"], []).append((row["over_ours"]["median"], ENTRIES[row["contestant"]].title))
    fastest = [min(found) for found in by_case.values()]
    nested = [row["over_ours"]["median"] for row in peers if row["contestant"] == "nested"]
    ours = {row["structure"]: row["seconds"]["median"] for row in rows
            if row["group"] == "relations" and row["contestant"] == "ours"}  # fmt: skip
    tied = min(seconds / ours[None] for name, seconds in ours.items() if name)
    best: dict[str, bool] = {}
    for row in _tables_rows(published_tables):
        bar, worst = row["published"]["error"], row["worst"]
        if bar is not None:
            best[row["problem"]] = best.get(row["problem"], False) or (worst is not None and worst < bar)
    names = ", ".join(dict.fromkeys(name for _, name in fastest))
    least = _range([value for value, _ in fastest])
    lines = (
        f"**{least} times** as fast as the fastest other step ({names}), {_range(nested)} times nested autograd, "
        "on one thread.",
        f"**{tied:.2g}** of the dense step's time with two symmetries, at equal points; a quarter of these are enough.",
        f"**{sum(best.values())} of {len(best)}** problems of the field below the best published error.",
    )
    return "".join(f"- {line}\n" for line in lines)


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"


_OF_QUICK, _OF_CPU = ("steps", "memory"), ("points", "growth", "relations", "roofline")
# Where a picture is, the file that it is drawn from, and its name in the report.
PICTURES = {
    **{DRAWN / f"{name}.png": (RESULTS / "cpu.json", name) for name in _OF_CPU},
    **{DRAWN / f"{name}.png": (RESULTS / "quick.json", name) for name in _OF_QUICK},
    DRAWN / "accuracy.png": (RESULTS / "jobs.json", "accuracy"),
}

NUMBERS: dict[str, Callable[..., str]] = {
    "headline": _headline,
    "steps": _steps,
    "model": _model,
    "flow": step_tables.flow,
    "integrations": step_tables.integrations,
    "points": page_tables.points,
    "relations": page_tables.relations,
    "loops": page_tables.loops,
    "threads": page_tables.threads,
    "jobs": page_tables.jobs,
    "problems": lambda path: tables.in_short(_tables_rows(path)),
}
