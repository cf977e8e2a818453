"""What the Triton backend reads and runs: text of its own, tables of tile sizes, folders of this user."""

from __future__ import annotations

import inspect
import json
import linecache
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from programs import run_program

from psinn_fast.kernels.errors import InputError, say_once
from psinn_fast.kernels.triton import configuration
from psinn_fast.kernels.triton.configuration import (
    SHIPPED,
    Entry,
    cache_folder,
    choose,
    load_table,
    look_up,
    save_entry,
)
from psinn_fast.kernels.triton.modules import module_of

ENTRY = Entry(32, 4, 2)
needs_modes = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no modes of files on this system")

# Generated code.


def test_modules_keep_their_source() -> None:
    """Triton reads it as a function is decorated, the interpreter again when it runs."""
    text = "import math\n\n\ndef square(x):\n    # Not the root.\n    return x * x\n"
    module = module_of(text)
    assert module.square(3) == 9
    assert module_of(text) is module
    for forget in (lambda: None, linecache.checkcache, linecache.clearcache):
        forget()
        lines, first = inspect.getsourcelines(module.square)
        assert ("".join(lines), first) == (text[text.index("def") :], 4)
    assert not Path(module.square.__code__.co_filename).exists()


def test_other_text_is_another_module() -> None:
    one, two = (module_of(f"def number():\n    return {n}\n") for n in (1, 2))
    assert (one.number(), two.number()) == (1, 2)
    assert one.__name__ != two.__name__


def test_nothing_is_read_from_or_written_to_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a planted source nor a planted byte code is ever run."""
    text = "def number():\n    return 1\n"
    name = module_of(text).__name__
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from psinn_fast.kernels.triton.modules import module_of
assert module_of({text!r}).number() == 1
"""
    for place in (tmp_path, tmp_path / "triton"):
        place.mkdir(exist_ok=True)
        (place / f"{name}.py").write_text("raise SystemExit('planted')\n")
    before = sorted(tmp_path.rglob("*"))
    for variable in ("PSINN_FAST_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    result = run_program(code, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_named_triton_beside_a_script(tmp_path: Path) -> None:
    """It hides Triton from the script: the library says so, and goes on without."""
    (tmp_path / "triton").mkdir()
    (tmp_path / "triton" / "__init__.py").write_text("shells = 3\n")
    (tmp_path / "script.py").write_text(
        "import psinn_fast as pf\nprint(pf.available_backends()['triton'])\nprint(pf.get_backend().name)\n"
    )
    result = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    reason, name = result.stdout.splitlines()
    assert reason.startswith("what Python imports as `triton` is not Triton, but ")
    assert str(tmp_path / "triton") in reason
    assert name in ("cpu", "reference")


# Folders.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    monkeypatch.setenv("PSINN_FAST_CACHE", str(own))
    return own


@needs_modes
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o722])
def test_a_folder_that_others_can_write_to_is_refused(folder: Path, mode: int) -> None:
    save_entry("sm_90", "key", ENTRY)
    folder.chmod(mode)
    message = rf"PSINN_FAST_CACHE: the folder .*own can be written to by others \(mode {mode:o}\); chmod go-w"
    for use in (cache_folder, lambda: look_up("sm_90", "key"), lambda: save_entry("sm_90", "key", ENTRY)):
        with pytest.raises(InputError, match=message):
            use()
    folder.chmod(0o755)
    assert look_up("sm_90", "key") == ENTRY


@needs_modes
def test_links_are_what_they_lead_to(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (tmp_path / "link").symlink_to(shared)
    monkeypatch.setenv("PSINN_FAST_CACHE", str(tmp_path / "link"))
    with pytest.raises(InputError, match=r"the folder .*shared can be written to by others"):
        cache_folder()


@needs_modes
def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    monkeypatch.setattr(configuration, "ROOT", -1)
    with pytest.raises(InputError, match=r"own belongs to another user \(number \d+\); name a folder of your own"):
        cache_folder()


@needs_modes
def test_the_interpreter_says_so_too(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(InputError, match="can be written to by others"):
        choose(None, torch.float32, torch.device("cpu"), "ieee")


@needs_modes
def test_a_new_folder_is_for_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = tmp_path / "a" / "b"
    monkeypatch.setenv("PSINN_FAST_CACHE", str(new))
    before = os.umask(0)
    try:
        save_entry("sm_90", "key", ENTRY)
    finally:
        os.umask(before)
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    assert look_up("sm_90", "key") == ENTRY


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PSINN_FAST_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/nowhere")
    assert cache_folder() == Path("/nowhere/.cache/psinn_fast")
    assert look_up("sm_90", "key") is None


# Tables.

GOOD = {"block": 32, "warps": 4, "per_processor": 2}


def changed(**values: object) -> str:
    return json.dumps({"sm_90": {"key": GOOD | values}})


BROKEN = {
    "empty": ("", "Expecting value"),
    "no json": ("{'sm_90': 1", "Expecting property name"),
    "not utf-8": (b"\xff\xfe", "utf-8"),
    "deep": ("[" * 100_000, "RecursionError|recursion"),
    "a list": ("[]", "the file: expected a mapping, got list"),
    "a list of keys": ('{"sm_90": [1]}', "sm_90: expected a mapping, got list"),
    "a number": ('{"sm_90": {"key": 32}}', "sm_90, key: expected a mapping, got int"),
    "too few": ('{"sm_90": {"key": {"block": 32}}}', "sm_90, key: expected block, warps, per_processor, got block"),
    "too many": (changed(extra=1), "expected block, warps, per_processor, got block, warps, per_processor, extra"),
    "text": (changed(block="32"), "sm_90, key: block: expected one of 1 to 1024"),
    "a truth": (changed(block=True), "block: expected one of 1 to 1024"),
    "a fraction": (changed(warps=4.0), "warps: expected one of 1 to 32"),
    "no power of two": (changed(block=33), "block: expected one of"),
    "negative": (changed(per_processor=-1), "per_processor: expected one of 1 to 64"),
    "zero": (changed(warps=0), "warps: expected one of"),
    "huge": (changed(block=10**400), "block: expected one of"),
    "longer than Python reads": (
        changed(block=7).replace("7", "7" * 5000),
        "string conversion|block: expected",
    ),
    "infinite": (changed(block=float("inf")), "block: expected one of"),
    "nothing": (changed(block=None), "block: expected one of"),
    "of some other chip": ('{"sm_80": {"key": 1}, "sm_90": {"key": ' + json.dumps(GOOD) + "}}", "sm_80, key: expected"),
}


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    say_once.cache_clear()


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_table_is_ignored_with_one_warning(folder: Path, kind: str) -> None:
    contents, reason = BROKEN[kind]
    path = folder / "configurations.json"
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    with pytest.warns(RuntimeWarning, match=f"tile sizes in .*configurations.json are not used: .*({reason})") as seen:
        assert look_up("sm_90", "key") is None
    assert len(seen) == 1
    assert look_up("sm_90", "key") is None  # a second warning would be an error


def denied(*_: object) -> str:
    raise PermissionError("denied")


@pytest.mark.parametrize("kind", ["folder", "pipe", "unreadable"])
def test_what_is_no_file(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "configurations.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)  # reading it would wait for ever
    else:
        path.write_text("{}")
        monkeypatch.setattr(Path, "read_text", denied)
    with pytest.warns(RuntimeWarning, match="tile sizes in .*configurations.json are not used: "):
        assert load_table(path) == {}


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    path = folder / "configurations.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.warns(RuntimeWarning, match="1099511627776 bytes are no table"):
        assert load_table(path) == {}


def test_a_named_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.json"
    path.write_text(changed(block=64))
    monkeypatch.setenv("PSINN_FAST_CONFIGURATIONS", str(path))
    assert look_up("sm_90", "key") == Entry(64, 4, 2)
    path.write_text("broken")
    with pytest.warns(RuntimeWarning, match="mine.json are not used"):
        assert look_up("sm_90", "key") is None


def test_saved_entries_join_others(folder: Path) -> None:
    save_entry("sm_90", "a", ENTRY)
    save_entry("sm_90", "b", Entry(8, 1, 1))
    save_entry("sm_80", "a", Entry(16, 2, 4))
    assert [look_up(chip, key) for chip, key in (("sm_90", "a"), ("sm_90", "b"), ("sm_80", "a"))] == [
        ENTRY, Entry(8, 1, 1), Entry(16, 2, 4),
    ]  # fmt: skip
    assert [path.name for path in folder.iterdir()] == ["configurations.json"]


def test_the_shipped_table_is_whole() -> None:
    assert load_table(SHIPPED)["any"]
