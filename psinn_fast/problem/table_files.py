"""Tables of measurements from text files (CSV) and NumPy archives. What might be misread is refused, with its line."""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError, one_line, short
from ..language.names import Names, normal
from ..storage.files import as_path, open_regular
from .table import ADVICE, Table, refuse_unknown, table_of, wanted_columns

# In bytes. Text takes up to thirty times as much while it is read.
_MOST = 2**28
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", " ": "blanks"}
# Files that programs write begin with lines of remarks; the last of them may hold the names of the columns.
_REMARK = ("#", "%")
# float() would take 1_000, full-width digits and more.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*,\d+([eE][+-]?\d+)?", re.ASCII)
_MISSING = ("", "nan", "na", "n/a", "null", "none", "-", "--")
_INFINITE = re.compile(r"[+-]?(inf|infinity)", re.IGNORECASE)
# Other files that tables come in, and how to make one of them that is read.
_SHEET = "in the spreadsheet, save the sheet as CSV (UTF-8)"
_FRAME = (
    'write it by pandas, e.g. pandas.{}(path).to_csv("table.csv", index=False), or give its arrays to pf.Table({{...}})'
)
_MESH = "of meshes and clouds of points pf.read_points reads the points"
_OTHERS = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".json", ".jsonl", ".geojson"), _FRAME.format("read_json")),
    **dict.fromkeys((".parquet", ".pq"), _FRAME.format("read_parquet")),
    **dict.fromkeys((".feather", ".arrow"), _FRAME.format("read_feather")),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), _FRAME.format("read_hdf")),
    **dict.fromkeys((".pkl", ".pickle"), _FRAME.format("read_pickle")),
    **dict.fromkeys((".msh", ".vtk", ".vtu", ".ply", ".stl", ".xdmf"), _MESH),
    ".mat": "give its arrays to pf.Table({...}), e.g. those of scipy.io.loadmat(path)",
    ".npy": "it has no names of columns: numpy.savez(path, x=array[:, 0], u=array[:, 1]), or pf.Table({...})",
}


class _Row(NamedTuple):
    """The cells of a line, and its number, or that of the last one where quotes hold several."""

    line: int
    cells: list[str]


def read_table(
    path: str | Path, columns: Names | None = None, *, delimiter: str | None = None, skip_missing: bool = False
) -> Table:
    """Named columns of numbers from a text file or from a NumPy archive (``.npz``).

    A text file is UTF-8. Its first line names the columns; remarks (``#``, ``%``) may stand before it, and names in the
    last remark count if no other line has any, as `numpy.savetxt` writes them. Numbers have decimal points. An archive
    has one array (N,) for each column, by name.

    Args:
        columns: names of those to read, in this order; others may hold anything. None: all.
        delimiter: of a text file: ``","``, ``";"``, ``"\\t"`` or ``" "`` (any number of blanks). None: the one of
            the first three that the line of names has, blanks if it has none.
        skip_missing: leave out rows in which a number is missing (an empty cell, ``NA``, ``NaN``), or infinite;
            `Table.skipped` says how many they were. Otherwise the first one is an error.

    Raises:
        InputError: the file cannot be read, has no names or ambiguous ones, rows of unequal lengths, missing numbers,
            or what is no number, such as a decimal comma; the message names line and column.
    """
    where = as_path("path", path)
    checks.flag("skip_missing", skip_missing)
    if delimiter is not None and delimiter not in _DELIMITERS:
        raise InputError(f"delimiter: expected None or one of {list(_DELIMITERS)}, got {short(delimiter)}")
    wanted = wanted_columns(columns)
    try:
        with open(open_regular(where), "rb") as file:
            contents = file.read(_MOST + 1)
    except OSError as error:
        raise InputError(f"{where}: it cannot be read ({one_line(error)})") from None
    if len(contents) > _MOST:
        raise InputError(f"{where}: it has more than {_MOST:,} bytes")
    suffix = where.suffix.lower()
    if suffix in _OTHERS:
        raise InputError(f"{where}: read_table reads text files (CSV) and NumPy archives (.npz); {_OTHERS[suffix]}")
    if suffix == ".npz":
        found = _from_archive(where, contents, wanted)
    else:
        found = _from_text(where, contents, wanted, delimiter, skip_missing)
    return table_of(where, found, skip_missing)


def _from_archive(where: Path, contents: bytes, wanted: Sequence[str] | None) -> dict[str, npt.NDArray[np.float64]]:
    try:
        with np.load(io.BytesIO(contents), allow_pickle=False) as archive:
            names = _chosen(where, [str(name) for name in getattr(archive, "files", ())], wanted)
            arrays: dict[str, Any] = {own: archive[name] for own, name in names.items()}
    except InputError:
        raise
    except Exception as error:  # what a damaged archive, or one with pickled objects, makes NumPy and zlib raise
        raise InputError(f"{where}: it cannot be read as a NumPy archive of numbers ({one_line(error)})") from None
    columns = {}
    for name, array in arrays.items():
        what = f"{where}: column {name!r}"
        if not isinstance(array, np.ndarray) or array.ndim != 1:
            shape = array.shape if isinstance(array, np.ndarray) else type(array).__name__
            raise InputError(
                f"{what}: expected one number a row, (N,), got {shape}; save each column under a name of its own"
            )
        columns[name] = checks.real_array(what, array)
    return columns


def _from_text(
    where: Path, contents: bytes, wanted: Sequence[str] | None, delimiter: str | None, skip_missing: bool
) -> dict[str, npt.NDArray[np.float64]]:
    try:
        text = contents.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = contents[: error.start].count(b"\n") + 1
        raise InputError(
            f"{where}: line {line}: expected a text file in UTF-8 or an .npz archive; export it as CSV, UTF-8"
        ) from None
    if "\0" in text:
        raise InputError(f"{where}: expected a text file in UTF-8 or an .npz archive, it has NUL characters")
    names, rows = _split(where, text, delimiter)
    chosen = _chosen(where, names, wanted)
    places = [(own, names.index(name)) for own, name in chosen.items()]
    numbers = []
    for line, given in rows:
        cells = given or [""]
        if not given and len(names) > 1:
            continue
        if len(cells) != len(names):
            raise InputError(
                f"{where}: line {line}: expected {len(names)} cells like the names {names}, got {len(cells)}: "
                f"{short(cells)}"
            )
        numbers.append([_number(f"{where}: line {line}, column {own!r}", cells[i], skip_missing) for own, i in places])
    array = np.array(numbers, dtype=np.float64).reshape(len(numbers), len(places))
    return {own: array[:, i] for i, (own, _) in enumerate(places)}


def _split(where: Path, text: str, delimiter: str | None) -> tuple[list[str], Iterator[_Row]]:
    """The names of the columns, and the rows below them."""
    lines = io.StringIO(text.rstrip(), newline=None).readlines()
    above = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith(_REMARK)), len(lines))
    if above == len(lines):
        raise InputError(f"{where}: it has no rows; the first line names the columns, numbers follow")
    separator = delimiter or _delimiter(where, lines[above])
    rows = _cells(where, lines[above:], separator, above)
    first = next(rows)
    if not all(map(_is_number, first.cells)):
        return _checked_names(where, first.cells), rows
    remarks = [line.lstrip("#% ") for line in lines[:above] if line.strip("#% \t\n")]
    names = next(_cells(where, remarks[-1:], separator, 0), _Row(0, [])).cells
    if len(names) != len(first.cells) or any(map(_is_number, names)):
        raise InputError(
            f"{where}: line {first.line}: expected the names of the columns, got numbers: {short(first.cells)}; write "
            "the names into a line above them"
        )
    return _checked_names(where, names), _cells(where, lines[above:], separator, above)


def _delimiter(where: Path, line: str) -> str:
    """That of a line outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", line)
    found = [mark for mark in (",", ";", "\t") if mark in bare.strip("\r\n")]
    if len(found) > 1:
        raise InputError(
            f"{where}: {' and '.join(_DELIMITERS[mark] for mark in found)} are in the first line, "
            f"{short(line.strip())}: say which one separates columns, e.g. delimiter={found[0]!r}"
        )
    return found[0] if found else " "


def _cells(where: Path, lines: Iterable[str], separator: str, before: int) -> Iterator[_Row]:
    """Rows, without cells where a line is blank; ``before``: lines above the first."""
    if separator == " ":
        yield from (_Row(before + i, line.split()) for i, line in enumerate(lines, start=1))
        return
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t", strict=True)
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            yield _Row(before + reader.line_num, [] if stripped == [""] else stripped)
    except csv.Error as error:
        raise InputError(f"{where}: line {before + reader.line_num}: it is no row of a table ({error})") from None


def _checked_names(where: Path, names: Sequence[str]) -> list[str]:
    read = [normal(name) for name in names]
    for number, name in enumerate(read, start=1):
        if not name:
            raise InputError(f"{where}: column {number} has no name, the others are {[n for n in read if n]}")
        if _is_number(name):
            raise InputError(f"{where}: column {number} is called {name!r}, a number; is the line of names missing?")
        if read.count(name) > 1:
            raise InputError(f"{where}: the name {name!r} stands for {read.count(name)} columns; rename them")
    return read


def _chosen(where: Path, names: Sequence[str], wanted: Sequence[str] | None) -> dict[str, str]:
    """The file's own names of columns, by what these are called."""
    own = dict(zip(_checked_names(where, names), names, strict=True))
    if not own:
        raise InputError(f"{where}: it has no columns")
    refuse_unknown(where, wanted or (), own)
    return {name: own[name] for name in wanted or own}


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None or _DECIMAL_COMMA.fullmatch(cell) is not None


def _number(what: str, cell: str, skip_missing: bool) -> float:
    """NaN for a missing or infinite one that may be left out."""
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    if math.isfinite(value):
        return value
    if cell.lower() in _MISSING or _INFINITE.fullmatch(cell) or math.isinf(value):
        if skip_missing:
            return math.nan
        raise InputError(f"{what}: expected a finite number, got {cell!r}; {ADVICE}")
    reason = ""
    if _DECIMAL_COMMA.fullmatch(cell):
        reason = ": a comma, which may separate decimals or thousands; write a decimal point"
    elif unicodedata.normalize("NFKC", cell) != cell or "−" in cell:
        reason = ": digits and signs other than ASCII's"
    reason = reason or "; to leave the column out, name the others by columns="
    raise InputError(f"{what}: expected a number, got {short(cell)}{reason}")
