"""What command lines refuse before anything is done."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from .gpu import suite

# By name, since two of them import Triton, which other tests need to be the first to import.
PROGRAMS = {
    "static": "bench.static.__main__", "emulator": "bench.emulator.__main__", "search": "bench.static.search",
    "gpu": "bench.gpu.suite",
}  # fmt: skip
BAD = [
    ("static --cases nope", "--cases: invalid choice: 'nope' (choose from 'dense 2-16-16-16-1', "),
    ("static --quick --cases nope", "(choose from 'dense 2-8-1', 'dense 2-8-8-16-1')"),
    ("static --jobs 0", "--jobs: expected an integer >= 1, got '0'"),
    ("static --out FILE", "--out: expected a folder, got "),
    ("static --out FILE/below", "is a file"),
    ("emulator --cases nope", "--cases: invalid choice: 'nope' (choose from 'dense 2-16-16-16-1', "),
    ("emulator --quick --precision tf32x3", "--precision: none of the cases is of 'tf32x3'"),
    ("emulator --lines -3", "--lines: expected an integer >= 0, got '-3'"),
    ("emulator --jobs 1.5", "--jobs: expected an integer >= 1, got '1.5'"),
    ("emulator --out FILE", "is a file"),
    ("search nope", "argument case: invalid choice: 'nope' (choose from "),
    ("search --jobs 0 nope", "--jobs: expected an integer >= 1"),
    ("gpu --interpret", "write --quick --interpret"),
    ("gpu --minutes 0", "--minutes: expected a finite number > 0, got '0'"),
    ("gpu --minutes=-1", "got '-1'"),
    ("gpu --minutes nan", "got 'nan'"),
    ("gpu --minutes inf", "got 'inf'"),
    ("gpu --out FILE", "is a file"),
    ("gpu --quick --out FOLDER", "error: no chip; add --interpret to run"),
    ("gpu --out FOLDER", "error: no chip; add --quick --interpret to run"),
]


@pytest.mark.parametrize(("line", "message"), BAD, ids=[line for line, _ in BAD])
def test_smoke_a_command_line_is_refused(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "why_not", lambda *_: "no chip")
    before = {name: tmp_path / name for name in ("gpu.json", "gpu_tuning.json", "static.json")}
    for path in before.values():
        path.write_text("of another run")
    program, *arguments = line.replace("FILE", str(before["gpu.json"])).replace("FOLDER", str(tmp_path)).split()
    if program in ("emulator", "search"):
        pytest.importorskip("triton")
    main = importlib.import_module(PROGRAMS[program]).main
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(before)
    assert {path.read_text() for path in before.values()} == {"of another run"}


@pytest.mark.parametrize(
    ("probe", "reason"), [("", ""), ("print('no chip')", "no chip"), ("1/0", "ZeroDivisionError: division by zero")]
)
def test_smoke_gpu_what_is_in_the_way(probe: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "USABLE", probe)
    assert suite.why_not(tmp_path, {}) == reason


def test_smoke_gpu_what_is_asked_is_there() -> None:
    machine = importlib.import_module("psinn_fast.kernels.triton.machine")
    assert all(callable(getattr(machine, name)) for name in ("why_not", "why_not_compiled"))
