"""The README's Python examples run as they stand, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from psinn_fast.training.optimisers import automatic

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.trajectory
@pytest.mark.parametrize("code", EXAMPLES, ids=["own PyTorch code", "own PDE", "own geometry"])
def test_example_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In fewer steps; `python -m bench.statuses` has what the default optimiser comes to."""
    monkeypatch.setattr(automatic, "_STEPS", 30)
    monkeypatch.setattr(automatic, "_FEWEST_STEPS", 30)
    exec(compile(code, "README.md", "exec"), {})


def test_own_pde_fits_in_fifteen_lines() -> None:
    lines = [line for line in EXAMPLES[1].splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= 15


def test_make_targets_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
