"""The folders of runs: whose they are, whether they are finished, and what is in them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..kernels.errors import CheckpointError, InputError
from ..report.replaceable import CHECKPOINT, SOLUTION
from ..results import RESULT_SCHEMA
from ..storage.files import BadJson, from_json, read_text, to_json, write_atomically
from ..storage.tensor_file import TensorFile
from ..training.checkpoint import CHECKPOINT_SCHEMA
from ..training.identity import differences

RUN, RUN_SCHEMA = "run.json", "psinn_fast.run/1"
RESULT, HISTORY = "result.json", "history.csv"
DISCOVERY = "discovery"
# Entry of a run.json: of a finished run or discovery, SHA-256 of files by name.
DIGESTS = "sha256"
_DIGESTED = (RESULT, HISTORY)
# How a run ends that is not to be gone on with.
ENDS = ("done", "time limit", "diverged")
ADVICE = "move the folder away to train it anew, or give another one"


def check_own(place: Path, wanted: Mapping[str, Any]) -> None:
    """The folder is empty, or of this run, as it is wanted now.

    Raises:
        InputError: it belongs to another run, and where the two differ; or nothing says whose it is.
    """
    if not (place / RUN).exists():
        if there := [name for name in SOLUTION if (place / name).exists()]:
            raise InputError(f"out: {place} has {', '.join(there)}, but no {RUN} that says whose they are; {ADVICE}")
        return
    saved = read_json(place / RUN, RUN_SCHEMA).get("run")
    if different := list(differences(saved, from_json(to_json(wanted)))):
        raise InputError(
            f"out: {place} was made with other settings ({'; '.join(different)}); nothing was changed: ask for the "
            "same ones, or give another folder"
        )


def is_finished(place: Path) -> bool:
    """Whether nothing is left to train: the digests of what a run left are written last."""
    return (place / RUN).exists() and DIGESTS in read_json(place / RUN, RUN_SCHEMA)


def can_resume(place: Path) -> bool:
    return (place / CHECKPOINT).exists()


def check_resumable(place: Path, identity: Mapping[str, Any]) -> None:
    """A run that is not finished can go on, or begin.

    Args:
        identity: some of the entries that its checkpoint's identity (`run_identity`) must have.

    Raises:
        InputError: its checkpoint is damaged, or another run's; or it has results that it did not record as its own.
    """
    path = place / CHECKPOINT
    if not can_resume(place):
        if (place / RESULT).exists() and read_json(place / RESULT, RESULT_SCHEMA).get("ended") in ENDS:
            raise InputError(f"out: {place / RUN} has no digests of {RESULT} and {HISTORY}, which are there; {ADVICE}")
        return
    try:
        with TensorFile(path, CHECKPOINT_SCHEMA) as file:
            file.check()
            saved = file.header.get("identity")
    except CheckpointError as error:
        raise InputError(f"out: {error}; {ADVICE}") from None
    found = {name: saved.get(name) for name in identity} if isinstance(saved, dict) else None
    if different := list(differences(found, from_json(to_json(identity)))):
        raise InputError(f"out: {path} is another run's ({'; '.join(different)}); {ADVICE}")


def claim(place: Path, run: Mapping[str, Any], made: Mapping[str, str]) -> None:
    """Say whose folder it is, and on which machine, before anything is trained; of several machines all."""
    machines = [made]
    if (place / RUN).exists():
        earlier = read_json(place / RUN, RUN_SCHEMA).get("made", [])
        machines = [*earlier, *([] if dict(made) in earlier else [made])]
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(place / RUN, to_json({"schema": RUN_SCHEMA, "run": run, "made": machines}) + "\n")


def finish(place: Path) -> None:
    """Record that a run came to its end, with digests of what it left, if it did and all of it is there."""
    if not all((place / name).exists() for name in _DIGESTED):
        return
    if read_json(place / RESULT, RESULT_SCHEMA).get("ended") in ENDS:
        seal(place, _DIGESTED)


def seal(place: Path, names: Sequence[str]) -> None:
    """Record digests of the files of what is finished."""
    digests = {name: _digest(place / name) for name in names}
    write_atomically(place / RUN, to_json(read_json(place / RUN, RUN_SCHEMA) | {DIGESTS: digests}) + "\n")


def check_digests(place: Path, names: Sequence[str] = _DIGESTED, what: str = "run") -> None:
    """
    Raises:
        InputError: a file of what is finished is gone, or not as it was when it ended.
    """
    digests = read_json(place / RUN, RUN_SCHEMA).get(DIGESTS)
    if not isinstance(digests, dict) or digests.keys() != set(names):
        raise InputError(f"out: {place / RUN} is damaged; {ADVICE}")
    for name, digest in digests.items():
        path = place / name
        if not path.exists():
            raise InputError(f"out: {path} is gone; bring it back, or {ADVICE}")
        if digest != _digest(path):
            raise InputError(f"out: {path} was changed after the {what} had ended, or is damaged; {ADVICE}")


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(read_text(path).encode()).hexdigest()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"out: {path} cannot be read ({error}); {ADVICE}") from None


def read_json(path: Path, schema: str) -> dict[str, Any]:
    """
    Raises:
        InputError: the file cannot be read, or is another one.
    """
    try:
        found = from_json(read_text(path))
    except (OSError, UnicodeDecodeError, BadJson) as error:
        raise InputError(f"out: {path} cannot be read ({error}); {ADVICE}") from None
    if not isinstance(found, dict) or found.get("schema") != schema:
        raise InputError(f"out: {path} is damaged, or no file of a reproduction (schema {schema!r}); {ADVICE}")
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
        raise InputError(f"out: {path} cannot be read ({error}); {ADVICE}") from None


def run_folders(folder: Path) -> Iterator[Path]:
    """All in which a run has left something, wherever they are in the folder of a reproduction."""
    found = {path.parent for name in (RUN, RESULT, HISTORY, CHECKPOINT) for path in folder.rglob(name)}
    yield from sorted(place for place in found if place.name != DISCOVERY)
