"""`reproduce`: the paper's whole table, anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..language.names import Names
from ..report.output import writable_folder
from ..storage.files import as_path, to_json, write_atomically
from ..training.checks import time_limit
from ..training.options import Options, chosen_options
from .cases import chosen_cases
from .contents import contents
from .markdown import markdown
from .page import page
from .plan import N_SEEDS, SETTINGS, Wanted, chosen_steps
from .records import read_records
from .running import carry_out

REPORT, PAGE, NUMBERS = "report.md", "report.html", "numbers.json"


@dataclass(frozen=True)
class Reproduction:
    """``folder`` has report.md, report.html, numbers.json and pictures; ``text`` is the report in Markdown, ``numbers``
    what numbers.json says: every run with what it was asked for and its result."""

    folder: Path
    text: str
    numbers: dict[str, Any]

    @property
    def missing(self) -> tuple[str, ...]:
        """What is in the folder and not in the report, and why."""
        return tuple(self.numbers["missing"])

    def __repr__(self) -> str:
        left_out = f", {len(self.missing)} left out" if self.missing else ""
        return f"Reproduction in {self.folder}: {len(self.numbers['runs'])} runs{left_out}"


def reproduce(
    out: str | Path,
    problems: Names | None = None,
    *,
    seeds: int | None = None,
    settings: str | Sequence[str] | None = None,
    steps: Mapping[str, int] | None = None,
    seconds: float | None = None,
    quick: bool = False,
    report_only: bool = False,
    options: Options | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Reproduction:
    """Train the paper's networks on its problems, in its setting and in ours, and write a report.

    What is finished in ``out`` is skipped, and what was interrupted is continued, so the same call goes on where one
    ended, with other problems or more seeds as well. The report is of all runs in the folder.

    Args:
        out: folder; each run has one of its own in it, as `solve` writes it.
        problems: names, e.g. ``"laplace poisson"``; None: all. "burgers-inverse" has three viscosities, of which
            "burgers-inverse-0.04" is one.
        seeds: runs of each network (of the flow by Adam one, which takes hours); None: 3.
        settings: ``"paper"``: Adam with the paper's rates, steps, layers and float32; ``"ours"``: Gauss-Newton, also
            with the R that `discover` finds; None: both.
        steps: of Adam, by problem, where fewer are wanted than the paper took; the report says so.
        seconds: limit of each training by Gauss-Newton; None: a minute, ten for the flow.
        quick: a few steps of one seed, to see that everything works; the numbers mean nothing. It has ``seeds``,
            ``steps`` and ``seconds`` of its own.
        report_only: train nothing. The report is of all runs, so nothing else but ``options`` and ``say`` may be given.
        options: ``backend`` and ``progress``; the others follow from the settings.
        say: is given a line about each run.

    Raises:
        InputError: options out of range, or without effect beside the others; a folder with runs of other settings, or
            damaged ones, which are named.
        TrainingInterrupted: on Ctrl-C; nothing is lost.
    """
    cases = chosen_cases(problems)
    asked = chosen_options(options)
    if asked != Options(backend=asked.backend, progress=asked.progress):
        raise InputError("options: only backend and progress may be given; the others follow from the settings")
    if not callable(say):
        raise InputError(f"say: expected a function of a text, got {short(say)}")
    named = _settings(settings)
    n_seeds = None if seeds is None else checks.integer("seeds", seeds, 1)
    fewer, limit = chosen_steps(steps, cases), time_limit(seconds)
    lengths = {"seeds": n_seeds, "steps": fewer or None, "seconds": limit}
    if checks.flag("quick", quick):
        _refuse(lengths, "quick: has seeds, steps and seconds of its own")
    if checks.flag("report_only", report_only):
        others = {"problems": problems, "settings": settings, "quick": quick or None, **lengths}
        _refuse(others, "report_only: the report is of all runs in the folder")
        folder = as_path("out", out)
        if not folder.is_dir():
            raise InputError(f"out: there is no folder {folder}")
    else:
        folder = writable_folder(out)
        carry_out(Wanted(cases, 1 if quick else n_seeds or N_SEEDS, named, fewer, limit, quick), folder, asked, say)
    return write_report(folder)


def _settings(settings: object) -> tuple[str, ...]:
    if settings is None:
        return tuple(SETTINGS)[::-1]
    names = [settings] if isinstance(settings, str) else list(settings) if isinstance(settings, Sequence) else []
    if not names:
        raise InputError(f"settings: expected some of {list(SETTINGS)}, got {short(settings)}")
    for name in names:
        checks.choice("settings", name, list(SETTINGS))
    return tuple(dict.fromkeys(names))


def _refuse(given: Mapping[str, object], why: str) -> None:
    """
    Raises:
        InputError: something is given that has no effect.
    """
    if there := [name for name, value in given.items() if value is not None]:
        raise InputError(f"{why}, so leave out {', '.join(there)}")


def write_report(folder: Path) -> Reproduction:
    """report.md, report.html and numbers.json of the runs in a folder, with their pictures.

    Raises:
        InputError: there are no runs.
        OSError: something cannot be written.
    """
    records = read_records(folder)
    blocks, numbers = contents(records), records.to_dict()
    text = markdown(blocks)
    write_atomically(folder / NUMBERS, to_json(numbers) + "\n")
    write_atomically(folder / REPORT, text)
    write_atomically(folder / PAGE, page(blocks, folder))
    return Reproduction(folder, text, numbers)
