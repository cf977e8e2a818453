"""Files of results: one JSON object with what the machine was and a row for each contestant of each case."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FORMAT = 1


class Unreadable(Exception):
    """A file is not one of results; the message says what to do."""


def save(path: Path, about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Whole or not at all: an interrupted run leaves the rows of the cases before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps({"format": FORMAT, **about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def read(path: Path) -> dict[str, Any]:
    """
    Raises:
        Unreadable: no such file, or of another kind.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise Unreadable(f"{path} is not JSON ({error}); `python -m bench run` writes such files") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("rows"), list):
        raise Unreadable(f"{path} is not a file of results in format {FORMAT}; `python -m bench run` writes such files")
    return found


def earlier(path: Path, about: Mapping[str, Any], same: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of an interrupted run, to go on from; none where there is no file yet.

    Raises:
        Unreadable: the file is of another kind, or of a run that differs in one of the keys ``same``.
    """
    if not path.exists():
        return []
    found = read(path)
    for key in same:
        if found.get(key) != about[key]:
            raise Unreadable(
                f"{path} cannot be resumed: its {key} is {found.get(key)!r}, that of this run {about[key]!r}; "
                "run without --resume, or with another --out"
            )
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def is_good(row: Mapping[str, Any]) -> bool:
    return "failure" not in row and "absent" not in row
