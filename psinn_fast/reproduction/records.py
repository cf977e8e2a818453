"""The numbers of a reproduction, read from the folders of its runs: all that its report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..kernels.errors import InputError
from .cases import CASES, Case
from .discovered import read_evidence
from .files import DISCOVERY, run_folders
from .finished import read_finished
from .plan import CARRIED, FOUND, OURS, PAPER, PINN, POST, PSI

ERRORS = ("relative_l2", "rmse", "mse", "max_error", "boundary_rmse")
# The loss whose first step is reported.
TARGET_LOSS = 1e-3
LABELS = (PINN, POST, PSI, FOUND, CARRIED)


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        place: of its folder, relative to the reproduction's.
        run: what it was asked for (`Run.description`); ``result``: its result.json; ``made``: on which machines.
        loss: of the last row of its history; ``steps_to_target``: the first recorded step at which it is at most 1e-3.
    """

    place: str
    run: dict[str, Any]
    result: dict[str, Any]
    made: tuple[dict[str, str], ...]
    loss: float | None
    steps_to_target: int | None

    def error(self, name: str, field: str | None) -> float | None:
        """One of the `ERRORS`; ``field``: which, where there are several."""
        value = self.result.get(name)
        found = value.get(field) if isinstance(value, dict) else value
        return found if isinstance(found, (int, float)) else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "place": self.place, "run": self.run, "result": self.result, "made": list(self.made), "loss": self.loss,
            "steps_to_target": self.steps_to_target,
        }  # fmt: skip


@dataclass(frozen=True)
class Records:
    """All runs of a folder, those that cannot be read or are not finished in words, and what was discovered."""

    folder: Path
    runs: tuple[Record, ...]
    discoveries: dict[str, dict[str, Any]]
    missing: tuple[str, ...]

    @property
    def cases(self) -> tuple[Case, ...]:
        there = {record.run["case"] for record in self.runs}
        return tuple(case for case in CASES if case.key in there)

    def of(self, case: Case, setting: str, label: str | None = None) -> list[Record]:
        """By method, then by seed."""
        return [
            record
            for record in self.runs
            if (record.run["case"], record.run["setting"]) == (case.key, setting)
            and label in (None, record.run["method"])
        ]

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "psinn_fast.reproduction/1",
            "runs": [record.to_dict() for record in self.runs],
            "discoveries": self.discoveries,
            "missing": list(self.missing),
        }


def read_records(folder: Path) -> Records:
    """
    Raises:
        InputError: there is no run at all.
    """
    runs, missing, discoveries = list[Record](), list[str](), dict[str, dict[str, Any]]()
    for place in run_folders(folder):
        try:
            runs.append(_record(place, folder))
        except InputError as error:
            missing.append(str(error).removeprefix("out: "))
    for case in CASES:
        place = folder / case.key / DISCOVERY
        try:
            if (evidence := read_evidence(place)) is not None:
                discoveries[case.key] = evidence
        except InputError as error:
            missing.append(str(error).removeprefix("out: "))
    if not runs:
        raise InputError(f"out: {folder} has no finished run of a reproduction{': ' + missing[0] if missing else ''}")
    order = [case.key for case in CASES]
    runs.sort(key=lambda record: (order.index(record.run["case"]), *_place_in_tables(record)))
    return Records(folder, tuple(runs), discoveries, tuple(missing))


def _place_in_tables(record: Record) -> tuple[int, int, int]:
    run = record.run
    return (PAPER, OURS).index(run["setting"]), LABELS.index(run["method"]), run["seed"]


def _record(place: Path, folder: Path) -> Record:
    found = read_finished(place, folder)
    losses = [(row["step"], row["loss"]) for row in found.history if row.get("loss") is not None]
    reached = next((int(step) for step, loss in losses if loss <= TARGET_LOSS), None)
    last = losses[-1][1] if losses and losses[-1][1] == losses[-1][1] else None
    return Record(place.relative_to(folder).as_posix(), found.run, found.result, found.made, last, reached)


def machines(records: Sequence[Record]) -> list[dict[str, str]]:
    """All on which something was trained, each once."""
    found: list[dict[str, str]] = []
    for record in records:
        found += [machine for machine in record.made if machine not in found]
    return found
