"""Entries of what was read from a file: each is checked for type and range before it is used.

Every function returns its value, or raises `CheckpointError` naming the entry, what was expected and what came.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .kernels.errors import CheckpointError, short

# Steps and sizes are counted exactly by float64 too.
LARGEST_COUNT = 2**53
_LONGEST_LINE = 1000
A_LINE = f"printable text of at most {_LONGEST_LINE} characters"


def fields(value: Any, where: str, required: Sequence[str] = (), optional: Sequence[str] | None = ()) -> dict[str, Any]:
    """An object with these entries and no others, so that a misspelt one is not passed over; None: with any others."""
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    for name in required:
        if name not in value:
            raise CheckpointError(f"{where}: the entry {name!r} is missing")
    if optional is not None:
        known = [*required, *optional]
        for name in value:
            if name not in known:
                raise CheckpointError(f"{where}: unknown entry {short(name)}, expected {known}")
    return value


def items(value: Any, where: str, length: int | None = None) -> list[Any]:
    """A list, of the length if one is given."""
    if not isinstance(value, list):
        raise _wrong(where, "a list", value)
    if length is not None and len(value) != length:
        raise CheckpointError(f"{where}: expected {length} entries, got {len(value)}")
    return value


def integer(value: Any, where: str, least: int = -LARGEST_COUNT, most: int = LARGEST_COUNT) -> int:
    """An integer; true, 1.0 and "1" are none."""
    if type(value) is not int or not least <= value <= most:
        bounds = {-LARGEST_COUNT: "an integer", 0: "an integer >= 0", 1: "a positive integer"}
        raise _wrong(where, bounds.get(least, f"an integer >= {least}"), value)
    return value


def integers(value: Any, where: str) -> list[int]:
    """A list of integers."""
    for i, item in enumerate(items(value, where)):
        if type(item) is not int:
            integer(item, f"{where}[{i}]")
    return list(value)


def number(value: Any, where: str, least: float = -math.inf) -> float:
    """A finite number, integer or not; true is none."""
    if type(value) not in (int, float) or not math.isfinite(value) or not value >= least:
        raise _wrong(where, "a finite number" + (f" >= {least:g}" if least > -math.inf else ""), value)
    return float(value)


def numbers(value: Any, where: str, least: float = -math.inf, length: int | None = None) -> list[float]:
    """A list of numbers."""
    return [number(item, f"{where}[{i}]", least) for i, item in enumerate(items(value, where, length))]


def boolean(value: Any, where: str) -> bool:
    if type(value) is not bool:
        raise _wrong(where, "true or false", value)
    return value


def is_line(value: object) -> bool:
    """One line of printable text: what may stand in messages, pictures and tables."""
    return isinstance(value, str) and len(value) <= _LONGEST_LINE and value.isprintable()


def text(value: Any, where: str) -> str:
    if not is_line(value):
        raise _wrong(where, A_LINE, value)
    return str(value)


def texts(value: Any, where: str) -> list[str]:
    """A list of lines of printable text."""
    return [text(item, f"{where}[{i}]") for i, item in enumerate(items(value, where))]


def _wrong(where: str, expected: str, value: Any) -> CheckpointError:
    return CheckpointError(f"{where}: expected {expected}, got {short(value)}")
