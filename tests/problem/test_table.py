"""Tables of measurements: what files hold, and what is refused rather than misread."""

from __future__ import annotations

import copy
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import psinn_fast as pf
from psinn_fast import InputError, Table, read_table


def read(folder: Path, text: str | bytes, **options: Any) -> Table:
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, **options)


@pytest.mark.parametrize(
    "text",
    [
        "x,y,u\n0,0.5,-1e-3\n1,.5,2.\n",
        "x;y;u\r\n0;0.5;-1e-3\r\n1;.5;2.\r\n",
        "x\ty\tu\r0\t0.5\t-1e-3\r1\t.5\t2.",
        "x  y u\n0 0.5 -1e-3\n\n 1 .5   2.\n\n\n",
        '\ufeff x , y ,"u"\n 0, "0.5",-1e-3\n1,.5,2.\n',
        "# from the tunnel\n\n% 1 Nov, 20 C\nx,y,u\n0,0.5,-1E-3\n,,\n1,.5,2.\n",
        "# x y u\n0 0.5 -1e-3\n1 .5 2.\n",
    ],
    ids=["comma", "semicolon", "tab", "blanks", "BOM and quotes", "remarks", "savetxt"],
)
def test_text(tmp_path: Path, text: str) -> None:
    table = read(tmp_path, text, skip_missing=",," in text)
    assert (table.names, table.rows, len(table), table.skipped) == (("x", "y", "u"), 2, 3, int(",," in text))
    np.testing.assert_array_equal(table.points("y x"), [[0.5, 0.0], [0.5, 1.0]])
    np.testing.assert_array_equal(table["u"], [-1e-3, 2.0])


def test_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.array([1, 2], dtype=np.int16), u=np.array([0.1, np.nan], dtype=np.float32))
    with pytest.raises(InputError, match=r"column 'u': the number at index 1 is nan; .*skip_missing"):
        read_table(tmp_path / "t.npz")
    table = read_table(tmp_path / "t.npz", skip_missing=True)
    assert (dict(table)["x"].tolist(), table["u"].dtype, table.skipped) == ([1.0], np.float64, 1)
    assert repr(table) == "Table(1 rows, 1 left out: x, u)"
    assert read_table(tmp_path / "t.npz", "x").rows == 2


def test_some_columns(tmp_path: Path) -> None:
    table = read(tmp_path, "station,u [m/s],x\nA,1,2\nB,,4\n", columns=["x"])
    assert table.names == ("x",)
    np.testing.assert_array_equal(table["x"], [2, 4])
    assert read(tmp_path, "station,u [m/s],x\nA,1,2\nB,,4\n", columns=["x", "u [m/s]"], skip_missing=True).rows == 1


def test_in_a_problem(tmp_path: Path) -> None:
    table = read(tmp_path, "u,y,x\n1,0.5,0.25\n2,0.25,0.75\n")
    data = pf.Data(table.points("x y"), u=table["u"])
    np.testing.assert_array_equal(data.sites[0], [[0.25, 0.5], [0.75, 0.25]])


def test_nobody_changes_a_table() -> None:
    own = np.array([1.0, 2.0])
    table = Table({"µ": own})  # the micro sign
    own[0] = 9.0
    for same in (table, copy.deepcopy(table), pickle.loads(pickle.dumps(table))):
        assert same["μ"].tolist() == [1.0, 2.0]  # the Greek letter
        for array in (same["µ"], same.points(["µ"])):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("# x,y\n", "no rows"),
        ("x,y\n", "at least one row of numbers"),
        ("0,0.5\n1,2\n", r"line 1: expected the names of the columns, got numbers: \['0', '0.5'\]"),
        ("# x\n0,0.5\n1,2\n", "line 2: expected the names"),
        ("0;0,5\n1;2\n", "a comma and a semicolon are in the first line"),
        ("x,0.5\n1,2\n", "column 2 is called '0.5', a number"),
        ("x,y,x\n1,2,3\n", "'x' stands for 2 columns"),
        ("µ,μ\n1,2\n", "'μ' stands for 2 columns"),
        ("x,y,\n1,2,\n", "column 3 has no name"),
        ("x,y\n1,2\n\n1,2,3\n", r"line 4: expected 2 cells like the names \['x', 'y'\], got 3"),
        ("x;y\n1;2\n3\n", "line 3: expected 2 cells"),
        ("x;y\n1;2,5\n", "line 2, column 'y': expected a number, got '2,5': a comma, which may separate decimals"),
        ('x,y\n1,"1.234,5"\n', "write a decimal point"),
        ("u\n1\n2,5\n", "line 3, column 'u'.*write a decimal point"),
        ("x,y\n0,5,1,5\n", "got 4"),
        ("x;y\n1,2\n", "got 1"),
        ("x,y\n1,\n", "line 2, column 'y': expected a finite number, got ''; .*skip_missing"),
        ("u\n1\n\n2\n", "line 3, column 'u': expected a finite number, got ''"),
        ("x,y\n1,NaN\n", "got 'NaN'"),
        ("x,y\n1,n/a\n", "got 'n/a'"),
        ("x,y\n-Inf,2\n", "line 2, column 'x': .*'-Inf'"),
        ("x,y\n1e999,2\n", "'1e999'"),
        ("x,y\n1_000,2\n", "expected a number, got '1_000'; to leave the column out"),
        ("x,y\n1,2 m\n", "got '2 m'"),
        ("x,y\n1,−2\n", "digits and signs other than ASCII's"),
        ("x,y\n1,２\n", "digits and signs other than ASCII's"),
        ("x,y\n1,2\n# end,\n", "line 3, column 'x'"),
        ("x, in m;y\n1;2\n", r"a comma and a semicolon are in the first line.*delimiter="),
        ('x,y\n1,"2\n3,4\n', "no row of a table"),
        (b"x,T \xb0C\n1,2\n", "line 1: expected a text file in UTF-8"),
        ("x,y\n1,2\n".encode("utf-16"), "expected a text file in UTF-8"),
        (b"x,y\n1,\0\n", "NUL"),
    ],
)
def test_refused_text(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_all_rows_lack_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="all 2 rows lack numbers"):
        read(tmp_path, "x,y\n1,\nnan,2\n", skip_missing=True)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": np.zeros(2), "u": np.zeros(3)}, "of one length, got {'x': 2, 'u': 3}"),
        ({"x": np.zeros((2, 2))}, r"column 'x': expected one number a row, \(N,\), got \(2, 2\)"),
        ({"x": np.float64(1)}, r"got \(\)"),
        ({"x": np.array([object()])}, "cannot be read as a NumPy archive of numbers"),
        ({"x": np.array(["1", "2"])}, "column 'x': expected real numbers, got texts"),
        ({"x": np.array([True])}, "got bools"),
        ({"x": np.array([1j])}, "got complex numbers"),
        ({"x": np.zeros(0)}, "at least one row"),
        ({}, "no columns"),
        ({"µ": np.zeros(1), "μ": np.zeros(1)}, "stands for 2 columns"),
    ],
)
def test_refused_archives(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "t.npz", **columns)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "t.npz")


def test_damaged_archives(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez_compressed(whole, x=np.arange(100.0))
    path, contents = tmp_path / "t.npz", whole.getvalue()
    pieces = [b"", contents[:60], contents[: len(contents) // 2], contents[:80] + b"?????" + contents[85:]]
    for damaged in pieces:
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read as a NumPy archive"):
            read_table(path)
    with zipfile.ZipFile(path, "w") as other:
        other.writestr("sheet.xml", "<x/>")
    with pytest.raises(InputError, match="expected one number a row"):
        read_table(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: read_table(p / "none.csv"), "none.csv: it cannot be read"),
        (lambda p: read_table(p), "not a regular file|cannot be read"),
        (lambda p: read_table(3), "path: expected"),
        (lambda p: read(p, "x,y\n1,2\n", columns="x z"), r"has the columns \['x', 'y'\], got 'z'"),
        (lambda p: read(p, "x,y\n1,2\n", columns="x x"), "none twice"),
        (lambda p: read(p, "x,y\n1,2\n", delimiter="|"), "delimiter: expected None or one of"),
        (lambda p: read(p, "x,y\n1,2\n", delimiter=";"), "line 2, column 'x,y'"),
        (lambda p: read(p, "x,y\n1,2\n", skip_missing=1), "skip_missing: expected True or False"),
        (lambda p: read(p, "speed,y\n1,2\n")["Speed"], "did you mean 'speed'"),
        (lambda p: read(p, "x,y\n1,2\n").points("x x"), "none twice"),
        (lambda p: read(p, "x,y\n1,2\n").points({"x", "y"}), "which has no order"),
        (lambda p: Table({"x": [1, np.inf]}), "column 'x': 1 of 2 numbers are NaN or infinite"),
        (lambda p: Table({"x": [1], "y": [1, 2]}), "column 'y': expected 1 numbers like 'x', got 2"),
        (lambda p: Table([("x", [1])]), "expected a mapping"),
    ],
)
def test_refused_calls(tmp_path: Path, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(tmp_path)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("x.xlsx", r"save the sheet as CSV \(UTF-8\)"),
        ("x.ODS", r"save the sheet as CSV \(UTF-8\)"),
        ("x.json", r"pandas\.read_json\(path\)\.to_csv"),
        ("x.parquet", r"pandas\.read_parquet\(path\)\.to_csv"),
        ("x.npy", r"numpy\.savez\(path, x=array\[:, 0\]"),
        ("x.mat", r"pf\.Table\(\{\.\.\.\}\)"),
        ("x.vtu", r"pf\.read_points"),
    ],
)
def test_other_files_of_tables_say_how_to_save_one_that_is_read(tmp_path: Path, name: str, how: str) -> None:
    (tmp_path / name).write_bytes(b"[1, 2]")
    with pytest.raises(InputError, match=rf"{name}: read_table reads .* \(CSV\) and .* \(\.npz\); .*{how}"):
        read_table(tmp_path / name)
