"""Entries of what was read from a file: each is checked for type and range before it is used.

Every function returns its value, or raises `CheckpointError` naming the entry, what was expected and what came. Numbers
are what `checks` takes for such.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..kernels import checks
from ..kernels.errors import CheckpointError, InputError, short

# Steps and sizes are counted exactly by float64 too.
_LARGEST_COUNT = 2**53
_LONGEST_LINE = 1000
A_LINE = f"printable text of at most {_LONGEST_LINE} characters"
Checked = TypeVar("Checked")


def fields(where: str, value: Any, required: Sequence[str] = (), optional: Sequence[str] | None = ()) -> dict[str, Any]:
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


def items(where: str, value: Any, length: int | None = None) -> list[Any]:
    """A list, of the length if one is given."""
    if not isinstance(value, list):
        raise _wrong(where, "a list", value)
    if length is not None and len(value) != length:
        raise CheckpointError(f"{where}: expected {length} entries, got {len(value)}")
    return value


def integer(where: str, value: Any, least: int = 0, most: int = _LARGEST_COUNT) -> int:
    """An integer that counts something; true, 1.0 and "1" are none."""
    return _in_a_file(lambda: checks.integer(where, value, least, most=most))


def integers(where: str, value: Any) -> list[int]:
    """A list of integers."""
    return _in_a_file(lambda: list(checks.integers(where, items(where, value), None)))


def number(where: str, value: Any, least: float = -math.inf) -> float:
    """A finite number, integer or not; true is none."""
    return _in_a_file(lambda: checks.number(where, value, least=least))


def numbers(where: str, value: Any, least: float = -math.inf, length: int | None = None) -> list[float]:
    """A list of numbers."""
    return [number(f"{where}[{i}]", item, least) for i, item in enumerate(items(where, value, length))]


def amounts(where: str, value: Any) -> dict[str, float]:
    """Numbers of at least 0 by name."""
    return {name: number(f"{where}.{name}", own, least=0) for name, own in fields(where, value, optional=None).items()}


def boolean(where: str, value: Any) -> bool:
    """True or false; 0 and 1 are none."""
    return _in_a_file(lambda: checks.flag(where, value))


def is_line(value: object) -> bool:
    """One line of printable text: what may stand in messages, pictures and tables."""
    return isinstance(value, str) and len(value) <= _LONGEST_LINE and value.isprintable()


def text(where: str, value: Any) -> str:
    """One line of printable text."""
    if not is_line(value):
        raise _wrong(where, A_LINE, value)
    return str(value)


def texts(where: str, value: Any) -> list[str]:
    """A list of lines of printable text."""
    return [text(f"{where}[{i}]", item) for i, item in enumerate(items(where, value))]


def _in_a_file(check: Callable[[], Checked]) -> Checked:
    """What is wrong with an argument elsewhere is wrong with the file here."""
    try:
        return check()
    except InputError as error:
        raise CheckpointError(str(error)) from None


def _wrong(where: str, expected: str, value: Any) -> CheckpointError:
    return CheckpointError(f"{where}: expected {expected}, got {short(value)}")
