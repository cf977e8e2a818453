"""What is read from files: five hundred damaged ones, and those that are no files at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mutations import outcomes
from programs import run_program

from psinn_fast import Structure, load_network
from psinn_fast.kernels.errors import CheckpointError


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    found = list(outcomes(tmp_path, 500))
    assert [outcome for outcome in found if outcome.fault] == []
    assert [outcome for outcome in found if outcome.seconds > 5] == []
    # Of the rest most have another name, another sign of a symbol, an entry of the same value.
    assert sum(outcome.refused for outcome in found) > 400


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _enormous(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**36)


@pytest.mark.parametrize("make", [os.mkfifo, _folder, _loop, _device, _enormous], ids=lambda make: make.__name__)
@pytest.mark.parametrize("read", [Structure.load, load_network], ids=["structure", "weights"])
def test_what_is_no_file_is_refused_at_once(
    make: Callable[[Path], None], read: Callable[[Path], object], tmp_path: Path
) -> None:
    make(tmp_path / "it")
    with pytest.raises(CheckpointError, match="it: cannot be read"):
        read(tmp_path / "it")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "it").touch(0o000)
    with pytest.raises(CheckpointError, match="it: cannot be read"):
        Structure.load(tmp_path / "it")


def test_large_layers_cost_no_memory_before_they_are_refused(tmp_path: Path) -> None:
    """A small file, the layers of which would take gigabytes."""
    text = Structure.dense([2, 8, 8, 1]).to_json()
    (tmp_path / "s.json").write_text(text.replace("   8\n", "   4096\n"))
    program = f"""
import resource
import psinn_fast
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    psinn_fast.PsiMLP(psinn_fast.Structure.load({str(tmp_path / "s.json")!r}))
except psinn_fast.InputError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    printed = run_program(program).stdout
    message, kilobytes = printed.splitlines()
    assert "layers[1].rows, cols: a layer may have up to 8388608 weights, got 4096 x 4096" in message
    assert int(kilobytes) < 50_000
