"""docs/activations.md: its code runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

PAGE = (Path(__file__).parents[2] / "docs" / "activations.md").read_text(encoding="utf-8")


def test_code() -> None:
    scope = dict[str, Any]()
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/activations.md", "exec"), scope)
    x = torch.rand(5, 2)
    assert torch.allclose(scope["same"](x), scope["own"](x))
    assert list(scope["steep"].net.learned) == ["slope 1", "slope 2"]
    assert scope["ties"].structure.slope_factor == 5.0
