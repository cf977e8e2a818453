"""What docs/integrations.md says: its code runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

TEXT = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")


def test_deepxde(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("deepxde", reason="DeepXDE is not installed: pip install psinn_fast[deepxde]")
    (section,) = re.findall(r"## DeepXDE\n(.*?)(?=\n## |\Z)", TEXT, re.DOTALL)
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(code, {"__name__": __name__})
    torch.set_default_device(None)  # DeepXDE moves it where there is a GPU
    assert "'train' took" in capsys.readouterr().out
