"""A case, measured: contestants are checked against float64, then take turns; what each does is a row, failures too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .case import Case
from .contestant import ENTRIES, UNCHECKED, YARDSTICK
from .machine import peak
from .posed import POSED
from .process import Failed, Process

Row = dict[str, Any]

CHECKED_POINTS, CHECKED_EDGE = 512, 60
# Relative, of the loss and of the gradient's L2 norm. What is timed, in its own precision, is looked at again.
FLOAT64_TOLERANCE, FLOAT32_TOLERANCE = 1e-9, 1e-3
# And of the loss after a few steps, that those are steps of the same optimiser.
CHECKED_STEPS, STEPS_TOLERANCE = 3, 1e-6
WARM_UP = 2


@dataclass(frozen=True)
class Settings:
    """``seconds``: of a contestant's turn; ``jobs``: checks at a time."""

    rounds: int = 9
    seconds: float = 0.08
    threads: int = 1
    jobs: int = 2


def measure(case: Case, settings: Settings, checked: dict[tuple[str, str], Row]) -> list[Row]:
    """A row for each contestant. ``checked``: what checks of earlier cases found, by contestant and kind of case."""
    about = {key: value for key, value in case.to_json().items() if key != "contestants"} | {"case": case.name}
    rows = {name: {**about, "contestant": name} for name in case.contestants}
    _check_all(case, settings, checked, rows)
    processes: dict[str, Process] = {}
    for name, row in rows.items():
        if "failure" in row or "absent" in row:
            continue
        try:
            processes[name] = Process(name, case, case.threads or settings.threads)
        except Failed as why:
            row |= why.row
    _take_turns(case, settings, processes, rows)
    for process in processes.values():
        process.close()
    return list(rows.values())


def kind_of(case: Case) -> Case:
    """Cases of one kind are checked once: sizes and precision make no other code of a contestant."""
    size = replace(case, points=CHECKED_POINTS, edge=CHECKED_EDGE, threads=None)
    return replace(size, group="check", dtype="float64", contestants=())


def _check_all(case: Case, settings: Settings, checked: dict[tuple[str, str], Row], rows: Mapping[str, Row]) -> None:
    kind = kind_of(case)
    missing = [name for name in rows if name not in UNCHECKED and (name, kind.name) not in checked]
    with ThreadPoolExecutor(settings.jobs) as pool:
        for name, found in zip(missing, pool.map(lambda name: check(name, kind), missing), strict=True):
            checked[name, kind.name] = found
    for name in rows:
        if name not in UNCHECKED:
            rows[name].update(checked[name, kind.name])


def check(name: str, kind: Case) -> Row:
    """The errors of loss and gradient in float64, relative, or why there are none."""
    try:
        found, expected = _found(name, kind), _expected(kind)
    except Failed as why:
        return why.row
    return judge(found, expected)


@dataclass(frozen=True)
class Found:
    """Loss and gradient at the initial weights, and the loss after `CHECKED_STEPS` steps."""

    loss: float
    gradient: npt.NDArray[np.float64]
    stepped: float


def judge(found: Found, expected: Found) -> Row:
    if found.gradient.shape != expected.gradient.shape:
        shapes = " and ".join(str(each.gradient.size) for each in (found, expected))
        return {"failure": f"wrong: its gradient and the right one have {shapes} numbers"}
    gradient = float(np.linalg.norm(found.gradient - expected.gradient) / np.linalg.norm(expected.gradient))
    error = float(np.maximum(abs(found.loss / expected.loss - 1), gradient))  # NaN where one is
    if not error <= FLOAT64_TOLERANCE:
        return {"failure": f"wrong: loss or gradient is off by {error:.1e} in float64"}
    moved = abs(found.stepped / expected.stepped - 1)
    if not moved <= STEPS_TOLERANCE:
        return {"failure": f"wrong: after {CHECKED_STEPS} steps the loss is off by {moved:.1e} in float64"}
    return {"error_float64": error}


def _found(name: str, case: Case) -> Found:
    process = Process(name, case, 1)
    try:
        found = process.ask("check")
        process.ask("steps", count=CHECKED_STEPS)
        stepped = process.ask("check")["loss"]
    finally:
        process.close()
    return Found(found["loss"], np.array(found["gradient"]), stepped)


def reference_of(kind: Case) -> tuple[str, Case]:
    """Who says what is right: nested autograd, which knows nothing of us; of tied networks, other activations and
    other optimisers than Adam our own reference, plain torch on the network written out; or whom the problem names."""
    if (posed := POSED.get(kind.equation)) is not None and posed.reference is not None:
        return posed.reference, kind
    plain = kind.structure is None and kind.activation == "tanh" and kind.optimiser == "adam"
    return ("nested", kind) if plain else ("ours", replace(kind, backend="reference"))


@cache
def _expected(kind: Case) -> Found:
    return _found(*reference_of(kind))


def least_steps(name: str, case: Case) -> int:
    """In one call, for what is not of the steps to be little."""
    posed = POSED.get(case.equation)
    return ENTRIES[name].least_steps if posed is None or posed.least_steps is None else posed.least_steps


def _take_turns(case: Case, settings: Settings, processes: dict[str, Process], rows: Mapping[str, Row]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    counts: dict[str, int] = {}

    def attempt(name: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Failed as why:
            rows[name].update(why.row)
            del processes[name]
            seconds.pop(name)

    def start(name: str) -> None:
        process = processes[name]
        if name != YARDSTICK:
            found = process.ask("check")
            rows[name]["loss"] = found["loss"]
        process.ask("steps", count=WARM_UP)
        once = process.ask("steps", count=WARM_UP)["seconds"] / WARM_UP
        counts[name] = max(least_steps(name, case), round(settings.seconds / max(once, 1e-7)))

    def turn(name: str) -> None:
        processes[name].ask("steps", count=WARM_UP)  # the caches were another's until now
        seconds[name].append(processes[name].ask("steps", count=counts[name])["seconds"] / counts[name])

    def finish(name: str) -> None:
        rows[name]["peak_mebibytes"] = processes[name].ask("memory")["mebibytes"]
        rows[name] |= processes[name].ask("about")

    for name in list(processes):
        attempt(name, lambda name=name: start(name))
    losses = {name: rows[name].pop("loss") for name in rows if "loss" in rows[name]}
    _compare_losses(losses, processes, rows, seconds)
    for number in range(settings.rounds):
        for name in list(processes)[:: 1 if number % 2 else -1]:
            attempt(name, lambda name=name: turn(name))
    for name in list(processes):
        attempt(name, lambda name=name: finish(name))
    if seconds:
        top = peak(case.dtype, case.threads or settings.threads)
        own = np.array(seconds.get("ours", []))
        for name, values in seconds.items():
            rows[name] |= _numbers(np.array(values), own, rows[name], top)


def _compare_losses(
    losses: Mapping[str, float], processes: dict[str, Process], rows: Mapping[str, Row], seconds: Any
) -> None:
    """At full size and in the precision that is timed, all have one loss."""
    middle = float(np.median(list(losses.values()))) if losses else 0.0
    for name, loss in losses.items():
        if not abs(loss - middle) <= FLOAT32_TOLERANCE * abs(middle):
            rows[name]["failure"] = f"wrong: the loss at full size is {loss:.6g}, others have {middle:.6g}"
            processes.pop(name).close()
            seconds.pop(name)


def _numbers(values: npt.NDArray[np.float64], own: npt.NDArray[np.float64], row: Row, top: float | None) -> Row:
    """Seconds a step, in steps of ours, and as a share of the multiply-adds that the machine could have done."""
    found: Row = {"seconds": spread(values)}
    if len(own):
        found["over_ours"] = spread(values / own)
    if top and "multiply_adds" in row:
        found["share_of_peak"] = row["multiply_adds"] / float(np.median(values)) / top
    return found


def spread(values: npt.NDArray[np.float64]) -> dict[str, float]:
    low, median, high = np.percentile(values, [10, 50, 90])
    return {"median": float(median), "p10": float(low), "p90": float(high), "rounds": len(values)}
