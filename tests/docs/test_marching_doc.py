"""What docs/marching.md says: its code runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import psinn_fast as pf

TEXT = (Path(__file__).parents[2] / "docs" / "marching.md").read_text(encoding="utf-8")


@pytest.mark.trajectory
def test_its_march_comes_to_the_end() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {"__name__": __name__}
    exec(code.replace("10 *", "2 *").replace("windows=8", "windows=2"), names)  # shorter
    result = names["result"]
    assert isinstance(result, pf.Marched)
    assert result.ended == "done"
    assert result.metrics["relative_l2"] < 0.05
