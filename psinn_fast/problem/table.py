"""Tables of numbers with named columns, such as measurements."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..frozen import frozen
from ..kernels import checks
from ..kernels.errors import InputError, short
from ..language.names import Names, by_normal_names, normal, split_words

Column = npt.NDArray[np.float64]

# Where a file lacks a number.
ADVICE = "correct the file, or leave such rows out by skip_missing=True"


class Table:
    """Columns of N finite numbers each, by name; from a file by `read_table`.

        table = pf.read_table("measurements.csv")
        pf.Data(table.points("x y"), u=table["u"])

    ``table["u"]`` is a column (N,), float64 and read-only. Iterating gives the columns' names, so that
    ``dict(table)`` works, and ``len(table)`` is their number.

    Args:
        columns: the numbers, by name. Names are any texts that differ after NFKC, as of coordinates.
        skipped: how many rows of a file were left out since they lacked numbers.

    Raises:
        InputError: no column, or one that is no row of finite numbers, or of another length than the first.
    """

    def __init__(self, columns: Mapping[str, npt.ArrayLike], skipped: int = 0) -> None:
        if not isinstance(columns, Mapping) or not columns:
            raise InputError(f"columns: expected a mapping from names to numbers, got {short(columns)}")
        for name in columns:
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"columns: expected texts as names, got {short(name)}")
        named = by_normal_names(columns, "columns")
        self._columns = {name: checks.numbers(f"column {name!r}", column) for name, column in named.items()}
        first, length = next(iter(self._columns)), 0
        for name, column in self._columns.items():
            if column.ndim != 1:
                raise InputError(
                    f"column {name!r}: expected one number a row, (N,), got shape {column.shape}; give each column a "
                    "name of its own"
                )
            length = length or len(column)
            if len(column) != length:
                raise InputError(f"column {name!r}: expected {length} numbers like {first!r}, got {len(column)}")
        if not length:
            raise InputError(f"columns: expected at least one row, {first!r} has none")
        self._rows, self._skipped = length, checks.integer("skipped", skipped, 0)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, in the file's order."""
        return tuple(self._columns)

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._rows

    @property
    def skipped(self) -> int:
        """How many rows of the file were left out since they lacked numbers (``skip_missing=True``)."""
        return self._skipped

    def points(self, coords: Names) -> Column:
        """Columns side by side: points (N, d), in the order of ``coords``, which is to be the PDE's.

        Args:
            coords: names of columns, ``"x y"``; names with blanks or commas as a list, ``["x [m]", "y [m]"]``.

        Raises:
            InputError: no such column, or one twice.
        """
        wanted = tuple(map(normal, split_words(coords, "coords")))
        if not wanted or len(set(wanted)) < len(wanted):
            raise InputError(f"coords: expected at least one name and none twice, got {short(coords)}")
        points: Column = frozen(np.stack([self[name] for name in wanted], axis=1))
        return points

    def __getitem__(self, name: str) -> Column:
        if name in self:
            return self._columns[normal(name)]
        near = difflib.get_close_matches(name, self.names, 1, 0.5) if isinstance(name, str) else []
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"table: it has the columns {list(self.names)}, got {short(name)}{meant}")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normal(name) in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def keys(self) -> tuple[str, ...]:
        """`names`, for ``dict(table)``."""
        return self.names

    def __setstate__(self, state: dict[str, object]) -> None:
        # Neither pickles nor copies of arrays are read-only.
        self.__dict__.update({name: frozen(value) for name, value in state.items()})

    def __repr__(self) -> str:
        left_out = f", {self.skipped} left out" if self.skipped else ""
        return f"Table({self.rows} rows{left_out}: {', '.join(self.names)})"


def wanted_columns(columns: Names | None) -> tuple[str, ...] | None:
    """Names, or None for all."""
    wanted = None if columns is None else tuple(map(normal, split_words(columns, "columns")))
    if wanted is not None and (not wanted or len(set(wanted)) < len(wanted)):
        raise InputError(f"columns: expected at least one name and none twice, got {short(columns)}")
    return wanted


def refuse_unknown(where: Path, wanted: Iterable[str], known: Iterable[str]) -> None:
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"columns: {where} has the columns {list(known)}, got {unknown[0]!r}")


def table_of(where: Path, columns: Mapping[str, Column], skip_missing: bool) -> Table:
    """Of columns in which numbers may be missing (NaN) or infinite."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{where}: expected columns of one length, got {lengths}")
    known = np.asarray(np.isfinite(np.stack(list(columns.values()))).all(0))
    if not known.all() and not skip_missing:  # lines of text say so themselves
        row = int(np.argmin(known))
        (name, value), *_ = ((n, c[row]) for n, c in columns.items() if not math.isfinite(c[row]))
        raise InputError(f"{where}: column {name!r}: the number at index {row} is {value}; {ADVICE}")
    if not known.any():
        lost = f"; all {len(known)} rows lack numbers" if len(known) else " below the names of the columns"
        raise InputError(f"{where}: expected at least one row of numbers{lost}")
    return Table({name: column[known] for name, column in columns.items()}, int((~known).sum()))
