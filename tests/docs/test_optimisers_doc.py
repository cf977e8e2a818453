"""The example of docs/optimisers.md runs as it stands, and its loss falls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

TEXT = (Path(__file__).parents[2] / "docs" / "optimisers.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


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
