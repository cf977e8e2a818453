"""A report as data: what is written as Markdown and as HTML alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NONE = "–"  # a dash, as in printed tables


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines as they are."""

    text: str


@dataclass(frozen=True)
class Table:
    """The first ``n_words`` columns hold words, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_words: int = 1


@dataclass(frozen=True)
class Picture:
    """``path``: relative to the report."""

    path: Path
    text: str


@dataclass(frozen=True)
class Folded:
    """What is shown on demand."""

    title: str
    blocks: tuple[Block, ...]


Block = Heading | Text | Items | Code | Table | Picture | Folded


def number(value: float | None, digits: int = 2) -> str:
    """E.g. ``1.2e-3``; a dash where it is not known."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    return f"{value:.{max(0, digits - 1 - power)}f}" if -2 <= power < digits else f"{mantissa}e{power}"


def times(ratio: float) -> str:
    """E.g. ``3.2 times larger``, ``17 times smaller``."""
    larger = ratio >= 1
    factor = ratio if larger else 1 / ratio
    shown = number(factor) if factor < 10 else f"{factor:.0f}" if factor < 1000 else number(factor, 1)
    return f"{shown} times {'larger' if larger else 'smaller'}"


def whole(value: float | None) -> str:
    """A count."""
    return NONE if value is None else f"{value:,.0f}".replace(",", "\u202f")


def without_empty_columns(table: Table) -> Table:
    """Columns in which nothing is known are left out."""
    kept: Sequence[int] = [
        column
        for column in range(len(table.header))
        if column < table.n_words or any(row[column] != NONE for row in table.rows)
    ]
    return Table(
        tuple(table.header[column] for column in kept),
        tuple(tuple(row[column] for column in kept) for row in table.rows),
        table.n_words,
    )
