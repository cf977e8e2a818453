"""The examples of docs/domains.md run as they stand, and say what they say."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from statistics import median

import numpy as np
import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "domains.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.trajectory
def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "domains.md", "exec"), names)
    said = capsys.readouterr().out
    assert "['x -> y, y -> x']" in said
    # u is symmetric, and about 0.9 at the corner that sticks in; errors of 30 iterations are below 1 %.
    net = names["solution"].net  # type: ignore[attr-defined]
    points = names["domain"].random(200, 1)  # type: ignore[attr-defined]
    one, other = (names["pf"].training.metrics.evaluate(net, p) for p in (points, points[:, [1, 0]]))  # type: ignore[attr-defined]
    assert np.linalg.norm(one - other) < 0.02 * np.linalg.norm(one)


def test_a_domain_is_at_most_thirty_lines() -> None:
    (shape,) = (node for block in BLOCKS for node in ast.parse(block).body if isinstance(node, ast.ClassDef))
    assert shape.end_lineno is not None
    assert shape.end_lineno - shape.lineno < 30


def test_errors_are_those_of_the_results() -> None:
    results = json.loads((Path(__file__).parents[2] / "bench" / "results" / "geometry.json").read_text())
    lines = [line for line in TEXT[TEXT.index("## How accurate") :].splitlines() if line.startswith("| ")][1:]
    for line, row in zip(lines, results["rows"], strict=True):
        errors = [run["relative_l2"] for run in row["runs"]]
        allowed = [run["allowed"]["u"] for run in row["runs"]]
        latest = max(run["seconds_to_bar"] for run in row["runs"])
        found = row["within"], median(errors), max(errors), median(allowed), latest
        said = [float(number) for number in re.findall(r"(?:\| | in )([\d.e-]+)(?= \| | s )", line)]
        assert said == pytest.approx(found, rel=0.05)
        assert all(error < most for error, most in zip(errors, allowed, strict=True))
