"""Files as such: written whole or not at all, no links followed; text in UTF-8, JSON that every reader takes."""

from __future__ import annotations

import ast
import json
import math
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import psinn_fast
import psinn_fast.kernels
from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    CheckpointError,
    InputError,
    Problem,
    PsinnFastError,
    Residual,
    Structure,
    fit,
    load_network,
    save_figure,
    save_network,
    structure_figure,
)
from psinn_fast.report.output import writable_folder
from psinn_fast.storage.files import BadJson, from_json, read_text, to_json, write_atomically


def test_old_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("old")
    write_atomically(path, "µ")
    assert path.read_bytes() == "µ".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "r.json", "")
    finally:
        os.umask(before)
    assert (tmp_path / "r.json").stat().st_mode & 0o777 == 0o640


def test_no_link_is_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in ("r.json", "r.json.partial"):
        (tmp_path / name).symlink_to(mine)
    write_atomically(tmp_path / "r.json", "new")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "r.json").is_symlink()


def writers(out: Path) -> dict[str, Callable[[], object]]:
    """All that write a file named x in a folder."""
    net = MLP([1, 2, 1], seed=0)
    problem = Problem("p", PDE("x", "u", lambda u: u.x), Box(x=(0, 1)), [Residual([[0.5]])])
    return {
        "text": lambda: write_atomically(out / "x", "new"),
        "network": lambda: save_network(out / "x", net),
        "structure": lambda: net.structure.save(out / "x"),
        "picture": lambda: save_figure(structure_figure(net.structure), out / "x"),
        "checkpoint": lambda: fit(problem, net, Adam(1), checkpoint=out / "x"),
    }


@pytest.mark.parametrize("writer", writers(Path()))
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_only_regular_files_are_replaced(
    kind: str, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as other:
        os.mkfifo("x") if kind == "pipe" else other.bind("x")
        before = os.lstat("x")
        with pytest.raises((OSError, PsinnFastError), match="not a regular file"):
            writers(Path())[writer]()
    assert (os.lstat("x").st_mode, os.lstat("x").st_ino) == (before.st_mode, before.st_ino)
    assert os.listdir() == ["x"]


@pytest.mark.parametrize("writer", writers(Path()))
def test_files_that_are_write_protected_are_kept(writer: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    (tmp_path / "x").chmod(0o400)
    # A file that is no checkpoint is kept whoever may write to it.
    with pytest.raises(
        (OSError, PsinnFastError), match="that is no checkpoint" if writer == "checkpoint" else "read-only"
    ):
        writers(tmp_path)[writer]()
    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("name", ["folder", "missing/r.json", "long" * 100])
def test_failure_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"."):
        write_atomically(tmp_path / name, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "r.json").write_text("old")
    monkeypatch.setattr("psinn_fast.storage.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "r.json", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_contents_reach_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened = list[str]()
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        happened.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    def renamed(old: object, new: object) -> None:
        happened.append("rename")
        replace(old, new)

    monkeypatch.setattr("psinn_fast.storage.files.os.fsync", synced)
    monkeypatch.setattr("psinn_fast.storage.files.os.replace", renamed)
    write_atomically(tmp_path / "r.json", "new")
    assert happened == ["file", "rename", "folder"]


def test_json_has_neither_infinity_nor_nan() -> None:
    value = {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": {"d": (np.float64("nan"), np.int64(3))}, 1: None}
    assert json.loads(to_json(value), parse_constant=pytest.fail) == {
        "a": None, "b": [None, None, 1.5], "c": {"d": [None, 3]}, "1": None,
    }  # fmt: skip
    assert to_json(np.arange(2), indent=None) == "[0, 1]"
    assert to_json("µ").isascii()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("NaN", "NaN is no number that JSON has"),
        ('{"a": [-Infinity]}', "-Infinity is no number"),
        ("1e400", "the number 1e400 is out of range"),
        ("1" + "0" * 400, "the number 1000.* is out of range"),
        ("9" * 5000, "out of range"),
        (str(2**63), "out of range"),
        ('{"a": 1, "b": {"c": 1, "c": 1}}', "the entry 'c' occurs twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_json_that_no_file_of_ours_holds(text: str, message: str) -> None:
    with pytest.raises(BadJson, match=message):
        from_json(text)


def test_too_much_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psinn_fast.storage.files.MOST_TEXT", 10)
    (tmp_path / "t").write_text("12345678901")
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_text(tmp_path / "t")


def test_text_files_name_their_encoding() -> None:
    """The locale's may be ASCII."""
    found = []
    packages = [Path(package.__path__[0]) for package in (psinn_fast, psinn_fast.kernels)]
    for path in (path for package in packages for path in package.rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            # Our own functions of these names say UTF-8 themselves.
            if name != "open" and (not name.endswith((".read_text", ".write_text")) or name.startswith("folder.")):
                continue
            given = [keyword.arg for keyword in call.keywords] + [ast.unparse(argument) for argument in call.args]
            found += [] if {"encoding", "'utf-8'", "'rb'", "'wb'"} & set(given) else [f"{path.name}:{call.lineno}"]
    assert found == []


@pytest.mark.parametrize("path", [5, None, "", " ", b"x", "a\0b", ["x"]])
def test_what_is_no_path(path: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="out: expected the path of a file or folder"):
        writable_folder(path)
    with pytest.raises(InputError, match="path: expected the path"):
        write_atomically(path, "")
    for read in (Structure.load, load_network):
        with pytest.raises(CheckpointError, match="cannot be read"):
            read(path)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psinn_fast.networks.structure.MOST_TEXT", 100)
    monkeypatch.setattr("psinn_fast.storage.tensor_file.MOST_TEXT", 100)
    net = MLP([2, 3, 1])
    with pytest.raises(OSError, match="only 100 could be read again"):
        net.structure.save(tmp_path / "s.json")
    with pytest.raises(CheckpointError, match="only 100 could be read again"):
        save_network(tmp_path / "w.safetensors", net)
    assert list(tmp_path.iterdir()) == []
