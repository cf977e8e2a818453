"""The examples of docs/optimisers.md run as they stand, and their losses fall."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from psinn_fast.training.optimisers import automatic

TEXT = (Path(__file__).parents[2] / "docs" / "optimisers.md").read_text(encoding="utf-8")
CHOSEN, EXAMPLE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.trajectory
def test_one_is_chosen_and_two_are_chained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(automatic, "_STEPS", 30)
    monkeypatch.setattr(automatic, "_FEWEST_STEPS", 30)
    scope: dict[str, Any] = {}
    exec(compile(CHOSEN, "optimisers.md", "exec"), scope)
    assert capsys.readouterr().out.startswith("gauss-newton because of 321 unknowns")
    assert scope["chained"].setup.optimizer == "adam+gauss-newton"


@pytest.mark.trajectory
def test_lbfgs_of_torch_drives_the_fused_loss() -> None:
    before, scope = EXAMPLE.rsplit("optimizer.step(closure)", 1)[0], dict[str, Any]()
    exec(compile(before, "optimisers.md", "exec"), scope)
    start = float(scope["closure"]())
    scope["optimizer"].step(scope["closure"])
    assert float(scope["closure"]()) < 0.1 * start


@pytest.mark.trajectory
def test_adam_of_torch_drives_it_too() -> None:
    scope: dict[str, Any] = {}
    exec(compile(EXAMPLE.replace("max_iter=200", "max_iter=1"), "optimisers.md", "exec"), scope)
    optimizer = torch.optim.Adam(scope["net"].parameters(), lr=1e-2)
    start = float(scope["closure"]())
    for _ in range(60):
        scope["closure"]()
        optimizer.step()
    assert float(scope["closure"]()) < start
