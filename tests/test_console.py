"""The command line where its streams are closed, full or ASCII, its files cannot be written, and signals come."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from programs import COMMAND_LINE, run_program

import psinn_fast.training.interrupt
from psinn_fast import Structure, load_network
from psinn_fast.cli.commands import main
from psinn_fast.kernels import get_backend
from psinn_fast.report.output import writable_folder

FAST = ["solve", "laplace", "--steps", "3", "--quiet", "--threads", "1"]
SHELL = f"{sys.executable} -m psinn_fast"


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def shell(commands: list[str], **environment: str) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each, run beside one another."""
    started = [
        subprocess.Popen(["bash", "-c", c], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env={**os.environ, **environment})
        for c in commands
    ]  # fmt: skip
    return [(process.wait(), *process.communicate()) for process in started]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_streams_that_are_closed_or_full() -> None:
    doctor = f"{SHELL} doctor"
    assert shell([f"set -o pipefail; {doctor} | true", f"{doctor} >&-"]) == [
        (141, "", ""), (1, "", "psinn-fast: standard output: it is closed\n"),
    ]  # fmt: skip
    full = run_program(COMMAND_LINE, "doctor", out="/dev/full")
    assert (full.returncode, full.stderr) == (1, "psinn-fast: standard output: No space left on device\n")
    no_error = run_program(COMMAND_LINE, "solve", "laplace", "--steps", "-1", err="")
    assert (no_error.returncode, no_error.stdout) == (2, "")


def test_progress_on_a_broken_stderr_and_text_that_ascii_cannot_say(tmp_path: Path) -> None:
    structure = Structure.dense([2, 16, 1], "µ → Ψ").to_entries()
    (tmp_path / "s.json").write_text(json.dumps(structure, ensure_ascii=False), encoding="utf-8")
    solve = f"{SHELL} solve laplace --method psi --structure {tmp_path}/s.json --width 1 --steps 3 --threads 1"
    ((code, printed, _),) = shell(
        [f"{solve} --out {tmp_path}/out 2>/dev/full"],
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert code == 0
    assert r"\xb5 \u2192 \u03a8: 2-16-1" in printed
    assert json.loads((tmp_path / "out" / "structure.json").read_text())["name"] == "µ → Ψ"
    assert load_network(tmp_path / "out" / "weights.safetensors").structure.name == "µ → Ψ"


def test_occupied_names_cost_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("result.json", "solution.png"):
        (tmp_path / name).mkdir()
    assert main([*FAST, "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.err == (
        f"psinn-fast: {tmp_path}: could not write result.json (Is a directory), solution.png (Is a directory)\n"
    )
    assert "status: done" in printed.out
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written == {
        "weights.safetensors", "structure.json", "history.csv", "checkpoint.safetensors", "loss.png", "loss_map.png",
        "structure.png", "R.png",
    }  # fmt: skip


def test_full_disk_after_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be written once training has begun."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    written = list[int]()
    fsync = os.fsync

    def soon_full(descriptor: int) -> None:
        written.append(descriptor)
        (fsync if len(written) <= 2 else full)(descriptor)  # the first checkpoint: the file and the folder

    monkeypatch.setattr("psinn_fast.storage.files.os.fsync", soon_full)
    assert main([*FAST, "--out", str(tmp_path), "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["ended"] == "done"
    checkpoint, *_, files = printed.err.splitlines()
    assert "checkpoint.safetensors: cannot be written" in checkpoint
    assert "could not write weights.safetensors (No space left on device), structure.json (No space" in files
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_probe_follows_no_links_and_leaves_nothing(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".psinn_fast_probe").symlink_to(victim)
    writable_folder(out)
    assert victim.read_text() == "mine"
    assert len(list(out.iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_terminated_run_saves_all_but_pictures(
    number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = get_backend("auto")
    fake = copy.copy(engine)

    def terminated(plan, state, terms, weights, steps, regularizer=None):
        os.kill(os.getpid(), number)
        return engine.train(plan, state, terms, weights, steps, regularizer)

    monkeypatch.setattr(fake, "train", terminated)
    monkeypatch.setattr("psinn_fast.training.fitting.get_backend", lambda *_: fake)
    assert main([*FAST[:2], "--optimizer", "adam", "--quiet", "--threads", "1", "--out", str(tmp_path)]) == 128 + number
    assert "continue with --resume" in capsys.readouterr().err
    pictures = (
        {"solution.png", "loss.png", "loss_map.png", "structure.png", "R.png"} if number == signal.SIGINT else set()
    )
    assert {path.name for path in tmp_path.iterdir()} == pictures | {
        "checkpoint.safetensors", "weights.safetensors", "structure.json", "result.json", "history.csv",
    }  # fmt: skip
    assert json.loads((tmp_path / "result.json").read_text())["ended"] == "interrupted"


def interrupted(before: str, *signals: int) -> int:
    """The status of a process that gets signals within an `InterruptFlag`: 100 + the first, or 7 by KeyboardInterrupt.

    Without the rest of the library, which takes seconds to import.
    """
    path = Path(psinn_fast.training.interrupt.__file__)
    program = f"""
import os, signal, sys, time
sys.path.insert(0, {str(path.parent)!r})
from interrupt import InterruptFlag
{before}
mine = lambda *_: None
signal.signal(signal.SIGTERM, mine)
try:
    with InterruptFlag() as flag:
        for number in {[int(number) for number in signals]}:
            os.kill(os.getpid(), number)
            time.sleep(0.02)
except KeyboardInterrupt:
    sys.exit(7)
assert signal.getsignal(signal.SIGTERM) is mine
sys.exit(100 + (flag.signal or 0))
"""
    return subprocess.run([sys.executable, "-S", "-c", program], check=False, timeout=60).returncode


def test_a_second_request_ends_at_once() -> None:
    term, hup, ctrl_c = signal.SIGTERM, signal.SIGHUP, signal.SIGINT
    assert interrupted("", term) == 100 + term
    assert interrupted("", term, term) == interrupted("", ctrl_c, term) == -term
    assert interrupted("", ctrl_c, ctrl_c) == interrupted("", term, ctrl_c) == 7
    assert interrupted("", hup, hup) == 100 + hup
    assert interrupted("", term, hup) == 100 + term


def test_what_is_ignored_stays_ignored() -> None:
    assert interrupted("signal.signal(signal.SIGHUP, signal.SIG_IGN)", signal.SIGHUP) == 100
