"""Files of results: one JSON object with what the machine was and a row for each contestant of each case."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psinn_fast.kernels.errors import InputError
from psinn_fast.storage.files import writable_file, write_atomically

from .contestant import ENTRIES

FORMAT = 1
# What is said of the whole.
ABOUT = ("suite", "command", "cpu", "threads", "commit", "date")


class Unreadable(Exception):
    """A file is not one of results, or cannot be one; the message says what to do."""


def save(path: Path, about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Whole or not at all: an interrupted run leaves the rows of the cases before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"format": FORMAT, **about, "rows": rows}, indent=1) + "\n")


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
    missing = [key for key in ABOUT if key not in found]
    if missing:
        raise Unreadable(f"{path} does not say its {missing[0]}: it is damaged, or written by hand")
    for number, row in enumerate(found["rows"]):
        if (why := _damage(row)) is not None:
            raise Unreadable(f"{path}, row {number}: {why}; it is damaged, or written by hand")
    return found


def _damage(row: Any) -> str | None:
    if not isinstance(row, dict):
        return f"{row!r} is no row"
    missing = [key for key in ("group", "contestant") if not isinstance(row.get(key), str)]
    if missing:
        return f"it has no {missing[0]}"
    if row["contestant"] not in ENTRIES:
        return f"no contestant is called {row['contestant']!r}"
    if not is_good(row) or row["group"] == "jobs":
        return None
    if not isinstance(row.get("case"), str):
        return "it has no case"
    for key in ("seconds", "over_ours"):
        if key in row or key == "seconds":
            spread = row.get(key)
            numbers = [spread.get(name) for name in ("p10", "median", "p90")] if isinstance(spread, dict) else [None]
            if not all(isinstance(value, int | float) and 0 < value < math.inf for value in numbers):
                return f"its {key} are no positive numbers"
    return None


def check_writable(path: Path) -> None:
    """Before hours of measuring.

    Raises:
        Unreadable: no file can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writable_file("--out", path)
    except (OSError, InputError) as error:
        raise Unreadable(f"nothing was measured: {error}") from None


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
