"""The pictures of a report: loss curves of all networks, and what runs and discoveries have drawn."""

from __future__ import annotations

import contextlib
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..kernels.errors import InputError
from ..pictures.figures import new_figure, one_legend, save_figure
from ..pictures.histories import ERROR, LOSS
from ..problem.problem import Problem
from .blocks import Picture
from .cases import Case
from .comparison import quantities
from .files import DISCOVERY, HISTORY, read_history
from .plan import FOUND, OURS, PAPER, PSI, SETTINGS
from .records import LABELS, Record, Records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURES = Path("pictures")
_COLOURS = dict(zip(LABELS, ("#d1495b", "#edae49", "#00798c", "#6a4c93", "#7a7a7a"), strict=True))
_STYLES = {PAPER: "-", OURS: "--"}


def draw_losses(records: Records, case: Case, problem: Problem) -> Picture:
    """Loss against the step in either setting, and the error against the time in both."""
    settings = [setting for setting in (PAPER, OURS) if records.of(case, setting)]
    figure = new_figure(5 * (len(settings) + 1), 3.8)
    axes = figure.subplots(1, len(settings) + 1, squeeze=False)[0]
    for axis, setting in zip(axes, settings, strict=False):
        for record in records.of(case, setting):
            _curve(axis, records, record, "step", "loss")
        axis.set_title(SETTINGS[setting], fontsize=10)
        axis.set_xlabel("step")
        axis.set_ylabel(LOSS)
    last = axes[-1]
    name = next(iter(problem.true_coefficients), "relative_l2")
    for record in records.runs:
        if record.run["case"] == case.key:
            _curve(last, records, record, "seconds", name, problem.true_coefficients.get(name))
    for setting in settings:
        last.plot([], [], color="grey", linestyle=_STYLES[setting], label=SETTINGS[setting])
    last.set_title("error against the time", fontsize=10)
    last.set_xlabel("time of training, seconds")
    last.set_ylabel(f"relative error of {name}" if problem.true_coefficients else ERROR)
    last.set_xscale("log")
    for axis in axes:
        axis.set_yscale("log")
        axis.grid(alpha=0.3)
    one_legend(figure)
    path = PICTURES / f"{case.key}-losses.png"
    (records.folder / PICTURES).mkdir(exist_ok=True)
    save_figure(figure, records.folder / path)
    return Picture(path, f"{case.title}: training of all networks; thin lines: other seeds than the first")


def _curve(axis: Axes, records: Records, record: Record, across: str, up: str, true: float | None = None) -> None:
    """``true``: draw the relative error of a coefficient from it.

    Against the time, curves start at the first step: when the untrained network was looked at says nothing, and on a
    logarithmic axis it would take decades.
    """
    try:
        rows = read_history(records.folder / record.place / HISTORY)
    except InputError:  # said among what is missing
        return
    label, setting, is_first = record.run["method"], record.run["setting"], record.run["seed"] == 0
    taken = [row for row in rows if across == "step" or row["step"] > 0]
    values = [(row[across], row[up] if true is None else abs(row[up] - true) / abs(true)) for row in taken]
    points = [(x, y) for x, y in values if math.isfinite(y) and y > 0]
    if not points:
        return
    axis.plot(
        *zip(*points, strict=True),
        color=_COLOURS[label],
        linestyle=_STYLES[setting],
        linewidth=1.3 if is_first else 0.6,
        alpha=1.0 if is_first else 0.5,
        label=label if is_first and across == "step" else None,
    )


def collect_pictures(records: Records, case: Case, problem: Problem) -> list[Picture]:
    """Fields of the most accurate network's middle seed, and the discovered structure with its R and its evidence."""
    found = []
    best = _shown(records, case, problem)
    if best is not None:
        text = f"{case.title}: {best.run['method']}, {SETTINGS[best.run['setting']]}, seed {best.run['seed']}"
        found.append((f"{best.place}/solution.png", f"{case.key}-fields.png", text))
    own = f"{case.key}/{DISCOVERY}"
    found += [
        (f"{own}/structure.png", f"{case.key}-structure.png", f"{case.title}: the discovered structure"),
        (f"{own}/R.png", f"{case.key}-R.png", f"{case.title}: its relation matrix R"),
        (f"{own}/discovery.png", f"{case.key}-evidence.png", f"{case.title}: the evidence for each map"),
    ]
    pictures = []
    for source, name, text in found:
        if _copied(records.folder / source, records.folder / PICTURES / name):
            pictures.append(Picture(PICTURES / name, text))
    return pictures


def _shown(records: Records, case: Case, problem: Problem) -> Record | None:
    """Of the discovered structure's runs by Gauss-Newton the middle one, or of the published one's."""
    for setting, label in ((OURS, FOUND), (OURS, PSI), (PAPER, PSI)):
        runs = records.of(case, setting, label)
        if runs:
            (quantity, *_) = quantities(records, case, problem)
            ordered = sorted(runs, key=lambda run: quantity.of(run, problem) or math.inf)
            return ordered[(len(ordered) - 1) // 2]
    return None


def _copied(source: Path, target: Path) -> bool:
    """Whether there is a picture now; that of an earlier report stays where a run's own is gone."""
    target.parent.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        shutil.copyfile(source, target)
    return target.exists()
