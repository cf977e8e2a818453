"""The scripts of docs/files.md run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.trajectory
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blocks(number: int, tmp_path: Path) -> None:
    """As files: other processes import what they are given from there."""
    script = tmp_path / "script.py"
    script.write_text(BLOCKS[number], encoding="utf-8")
    run = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("Solution of laplace") == 2
