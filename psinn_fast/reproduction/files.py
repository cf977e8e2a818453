"""The folders of runs: whose they are, whether they are finished, and what is in them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..kernels.errors import InputError
from ..report.replaceable import CHECKPOINT, SOLUTION
from ..results import RESULT_SCHEMA
from ..storage.files import BadJson, from_json, read_text, to_json, write_atomically
from ..training.identity import differences

RUN, RUN_SCHEMA = "run.json", "psinn_fast.run/1"
RESULT, HISTORY = "result.json", "history.csv"
# How a run ends that is not to be gone on with.
_ENDS = ("done", "time limit", "diverged")
_ADVICE = "move the folder away to train it anew, or give another one"


def check_own(place: Path, wanted: Mapping[str, Any]) -> None:
    """The folder is empty, or of this run, as it is wanted now.

    Raises:
        InputError: it belongs to another run, and where the two differ; or something in it cannot be read.
    """
    if not (place / RUN).exists():
        if there := [name for name in SOLUTION if (place / name).exists()]:
            raise InputError(f"out: {place} has {', '.join(there)}, but no {RUN} that says whose they are; {_ADVICE}")
        return
    saved = read_json(place / RUN, RUN_SCHEMA).get("run")
    if different := list(differences(saved, from_json(to_json(wanted)))):
        raise InputError(
            f"out: {place} was made with other settings ({'; '.join(different)}); nothing was changed: ask for the "
            "same ones, or give another folder"
        )
    if (place / RESULT).exists():
        read_json(place / RESULT, RESULT_SCHEMA)


def is_finished(place: Path) -> bool:
    """Whether nothing is left to train; a run that was interrupted, or that an error ended, is not."""
    if not (place / RUN).exists() or not (place / RESULT).exists():
        return False
    return read_json(place / RESULT, RESULT_SCHEMA).get("ended") in _ENDS


def can_resume(place: Path) -> bool:
    return (place / CHECKPOINT).exists()


def claim(place: Path, run: Mapping[str, Any], made: Mapping[str, str]) -> None:
    """Say whose folder it is, and on which machine, before anything is trained; of several machines all."""
    machines = [made]
    if (place / RUN).exists():
        earlier = read_json(place / RUN, RUN_SCHEMA).get("made", [])
        machines = [*earlier, *([] if dict(made) in earlier else [made])]
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(place / RUN, to_json({"schema": RUN_SCHEMA, "run": run, "made": machines}) + "\n")


def read_json(path: Path, schema: str) -> dict[str, Any]:
    """
    Raises:
        InputError: the file cannot be read, or is another one.
    """
    try:
        found = from_json(read_text(path))
    except (OSError, UnicodeDecodeError, BadJson) as error:
        raise InputError(f"out: {path} cannot be read ({error}); {_ADVICE}") from None
    if not isinstance(found, dict) or found.get("schema") != schema:
        raise InputError(f"out: {path} is damaged, or no file of a reproduction (schema {schema!r}); {_ADVICE}")
    return found


def read_history(path: Path) -> list[dict[str, float]]:
    """Rows of a history.csv.

    Raises:
        InputError: it cannot be read, or holds something else than numbers.
    """
    try:
        rows = list(csv.DictReader(read_text(path).splitlines()))
        return [{name: float(value) for name, value in row.items()} for row in rows]
    except (OSError, UnicodeDecodeError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"out: {path} cannot be read ({error}); {_ADVICE}") from None


def run_folders(folder: Path) -> Iterator[Path]:
    """Those of runs, wherever they are in the folder of a reproduction."""
    yield from sorted(path.parent for path in folder.glob(f"*/*/*/*/{RUN}"))
