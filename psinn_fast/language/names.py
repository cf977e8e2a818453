"""Names of coordinates, fields and coefficients: valid, and compared as Python compares identifiers, after NFKC."""

from __future__ import annotations

import keyword
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from ..kernels import checks
from ..kernels.errors import InputError, short

Names = str | Sequence[str]
Value = TypeVar("Value")


def normal(name: str) -> str:
    """The name as Python reads it: the micro sign and the Greek letter mu are one, as are two forms of phi."""
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def split_words(words: Names, what: str) -> tuple[str, ...]:
    """``"u u_x"``, ``"u, u_x"`` or ``["u", "u_x"]`` to a tuple of texts."""
    if isinstance(words, str):
        return tuple(words.replace(",", " ").split())
    if isinstance(words, (set, frozenset, Mapping)):
        why = "whose values would be dropped" if isinstance(words, Mapping) else "which has no order"
        raise InputError(f"{what}: expected a text or a list of texts, got a {type(words).__name__}, {why}")
    parts = tuple(words) if isinstance(words, Iterable) else (words,)
    for part in parts:
        if not isinstance(part, str):
            raise InputError(f"{what}: expected a text or a list of texts, got {short(words)}")
    return parts


def split_names(names: Names, what: str) -> tuple[str, ...]:
    """``"x y"``, ``"x, y"`` or ``["x", "y"]`` to a tuple of valid, distinct Python names after NFKC."""
    parts = split_words(names, what)
    for name in parts:
        if not name.isidentifier() or keyword.iskeyword(name) or "_" in normal(name):
            raise InputError(f"{what}: expected names of letters and digits, got {name!r}")
    read = tuple(map(normal, parts))
    if not read or len(set(read)) < len(read):
        raise InputError(f"{what}: expected at least one name and no name twice, got {list(parts)}")
    return read


def equation_names(given: Iterable[object], what: str = "names of equations") -> tuple[str, ...]:
    """Distinct names of equations after NFKC, such as ``momentum_x``.

    Raises:
        InputError: none at all, two that are one, what is no text or no word that Python could have for a name.
    """
    parts = tuple(given)
    for name in parts:
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"{what}: expected words of letters, digits and _, e.g. 'momentum_x', got {short(name)}")
    read = tuple(normal(str(name)) for name in parts)
    if not read or len(set(read)) < len(read):
        raise InputError(f"{what}: expected at least one name and no name twice, got {list(parts)}")
    return read


def by_normal_names(given: Mapping[str, Value], what: str) -> dict[str, Value]:
    """The mapping with names after NFKC.

    Raises:
        InputError: two names that are one then.
    """
    read = {normal(str(name)): value for name, value in given.items()}
    if len(read) < len(given):
        raise InputError(f"{what}: expected no name twice, got {list(given)}")
    return read


def numbers_by_name(given: object, what: str, least: float = -math.inf) -> dict[str, float]:
    """Finite numbers, by names after NFKC.

    Raises:
        InputError: no mapping, two names that are one, what is no finite number >= ``least``.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"{what}: expected a mapping from name to number, got {type(given).__name__}")
    read = by_normal_names(given, what)
    return {name: checks.number(f"{what}: {name}", value, least=least) for name, value in read.items()}
