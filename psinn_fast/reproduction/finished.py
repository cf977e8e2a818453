"""What a finished run left: read only if it is this run's, whole, and as it was when the run ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..kernels.errors import InputError
from ..networks.structure import Structure
from ..results import RESULT_SCHEMA
from ..training.history import log_interval
from .cases import case_of
from .files import ADVICE, ENDS, HISTORY, RESULT, RUN, RUN_SCHEMA, check_digests, is_finished, read_history, read_json
from .plan import METHODS, OURS, PAPER, PINN, Run

# Entries of a result.json that are read.
_ENTRIES: dict[str, type | tuple[type, ...]] = {
    "parameters": int, "steps": int, "seconds": (int, float), "ended": str, "coefficients": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """``run``: what was asked for (`Run.description`); ``made``: on which machines; ``result``, ``history``: files."""

    run: dict[str, Any]
    made: tuple[dict[str, str], ...]
    result: dict[str, Any]
    history: list[dict[str, float]]


def read_finished(place: Path, folder: Path) -> Finished:
    """A run of the reproduction in ``folder``.

    Raises:
        InputError: it is not finished, lies where another run belongs, or its files are another run's, damaged, gone
            or changed.
    """
    name = place.relative_to(folder).as_posix()
    if not (place / RUN).exists():
        raise InputError(f"{name}: has no {RUN} that says whose results these are")
    described = read_json(place / RUN, RUN_SCHEMA)
    asked: Any = described.get("run")
    run = _run(place, asked)
    if run.place != Path(name):
        raise InputError(f"{name}: its {RUN} is that of {run.place.as_posix()}, so this is a copy, or it was moved")
    if not is_finished(place):
        raise InputError(f"{name}: {_why_unfinished(place)}")
    check_digests(place)
    result = read_json(place / RESULT, RESULT_SCHEMA)
    if not all(isinstance(result.get(entry), kind) for entry, kind in _ENTRIES.items()):
        raise InputError(f"out: {place / RESULT} is damaged; {ADVICE}")
    if different := list(_differences(run, asked, result)):
        raise InputError(f"out: {place / RESULT} is of another run than {RUN} ({'; '.join(different)}); {ADVICE}")
    rows = read_history(place / HISTORY)
    last = rows[-1].get("step") if rows else None
    # A run that its time ends has a row less often than it takes steps.
    between = log_interval(asked["steps"]) if result["ended"] == "time limit" else 0
    is_whole = last is not None and result["steps"] - between <= last <= result["steps"]
    if result["ended"] != "diverged" and not is_whole:
        raise InputError(f"out: {place / HISTORY} is not whole, it ends at step {last} of {result['steps']}; {ADVICE}")
    made = tuple(machine for machine in described.get("made", []) if isinstance(machine, dict))
    return Finished(asked, made, result, rows)


def _run(place: Path, asked: object) -> Run:
    """The run that a run.json is of."""
    if isinstance(asked, dict) and all(type(asked.get(name)) is int for name in ("seed", "steps")):
        case = case_of(str(asked.get("case")))
        if case and asked.get("setting") in (PAPER, OURS) and asked.get("method") in METHODS:
            return Run(case, asked["setting"], asked["method"], asked["seed"])
    raise InputError(f"out: {place / RUN} is damaged; {ADVICE}")


def _why_unfinished(place: Path) -> str:
    if not (place / RESULT).exists():
        return "not finished"
    result = read_json(place / RESULT, RESULT_SCHEMA)
    if result.get("ended") in ENDS:
        return f"not finished, {RUN} has no digests of its results"
    return f"{result.get('ended')} at step {result.get('steps')}"


def _differences(run: Run, asked: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    """Where a result is not that of a run."""
    expected = {
        "problem": run.case.problem, "method": METHODS[run.label], "optimizer": asked.get("optimizer"),
        "seed": run.seed, "dtype": run.dtype,
    }  # fmt: skip
    if run.label == PINN:
        expected["parameters"] = Structure.dense(asked.get("layers", ())).n_parameters
    if run.setting == PAPER and result["ended"] == "done":
        expected["steps"] = asked["steps"]
    for name, value in expected.items():
        if result.get(name) != value:
            yield f"{name}: {value!r} in {RUN}, {result.get(name)!r} in {RESULT}"
    if run.setting == PAPER and result["steps"] > asked["steps"]:
        yield f"steps: at most {asked['steps']} in {RUN}, {result['steps']} in {RESULT}"
