"""docs/inputs.md: its code runs and does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import psinn_fast as pf

PAGE = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")


@pytest.mark.trajectory
@pytest.mark.filterwarnings("ignore:backend 'cpu' is not used:RuntimeWarning")
def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, object] = {}
    first, *others = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(first, "docs/inputs.md", "exec"), scope)
    solution = scope["solution"]
    assert isinstance(solution, pf.Solution)
    assert "exact by construction: start, ends" in solution.status
    t = np.linspace(0, 1, 9)
    left, right = (solution(np.stack([t, 0 * t + x], 1)) for x in (-1.0, 1.0))
    np.testing.assert_allclose(left, right, atol=1e-12)
    for block in others:
        exec(compile(block, "docs/inputs.md", "exec"), scope)
    found = scope["found"]
    assert isinstance(found, pf.Solution)
    assert abs(found.net.learned["period of x"] - 1.7) < 1e-4
    assert abs(found.coefficients["w"] - (2 * np.pi / 1.7) ** 2) < 1e-2
    printed = capsys.readouterr().out
    assert "[[a, b, c], [a, b, -c]]" in printed
    assert "embedding: x -> -x makes of feature 2 none of the features" in printed
