"""What docs/marching.md says: its code runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import psinn_fast as pf
from psinn_fast.marching.initial import initial_state
from psinn_fast.marching.lengths import checked_edges
from psinn_fast.marching.windows import Windows

TEXT = (Path(__file__).parents[2] / "docs" / "marching.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.trajectory
def test_its_march_comes_to_the_end() -> None:
    code = BLOCKS[0]
    names: dict[str, object] = {"__name__": __name__}
    exec(code.replace("10 *", "2 *").replace("windows=8", "windows=2"), names)  # shorter
    result = names["result"]
    assert isinstance(result, pf.Marched)
    assert result.ended == "done"
    assert result.metrics["relative_l2"] < 0.05


def test_its_kink_begins() -> None:
    names: dict[str, Any] = {"__name__": __name__}
    exec(BLOCKS[1], names)
    state, edges, problem = names["smoothed"], names["edges"], names["problem"]
    x = np.linspace(-1, 1, 40_000, endpoint=False)  # periodic: its sum is the integral
    off = state(0 * x, x) - x**2 * np.cos(np.pi * x)
    assert np.abs(off).max() < 2e-3
    assert abs(off.mean()) < 1e-8
    assert checked_edges(edges, 0.0, 1.0) is not None
    found = Windows(problem, initial_state(problem, (1,)), None, {"x": 2.0})
    assert not found.learned
    with pytest.raises(pf.TrainingError, match="is not solved"):
        pf.march(problem, names["network"], pf.GaussNewton(0), windows=edges)
