"""docs/fields.md: R of two problems becomes a network for a flow, which it solves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import psinn_fast as pf
from psinn_fast.symmetries.imposed import broken_symmetries

TEXT = (Path(__file__).parents[2] / "docs" / "fields.md").read_text(encoding="utf-8")


@pytest.mark.trajectory
def test_structures_are_carried_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scope = dict[str, Any]()
    combined, trained = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(combined, "fields.md", "exec"), scope)
    (said,) = re.findall(r"prints\n\n```\n(.*?)```", TEXT, re.DOTALL)
    assert capsys.readouterr().out == said
    exec(compile(trained, "fields.md", "exec"), scope)
    solution = scope["solution"]
    assert max(solution.metrics["relative_l2"].values()) < 0.01
    offsets, centre = scope["box"].random(200, seed=1) - [0.25, 0.0], np.array([0.25, 0.0])
    here, there = solution(centre + offsets), solution(centre + offsets * [1, -1])
    assert abs(there - here * [1, -1, 1]).max() <= 1e-13 * abs(here).max()

    # Laplace's oddness in x, which no flow along x has, is said.
    whole = pf.direct_sum(
        {"u p": pf.Structure.load("results/laplace/structure.json"), "v": scope["odd"]}, "u v p", centre=(0.25, 0)
    )
    (found,) = broken_symmetries(scope["problem"], whole)
    assert found.startswith(
        "the structure makes u odd under x -> -x, and the problem has this symmetry with no signs of "
    )
    assert broken_symmetries(scope["problem"], scope["flow"]) == ()
