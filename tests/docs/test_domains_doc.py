"""The examples of docs/domains.md run as they stand, and say what they say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "domains.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.trajectory
def test_the_examples(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "domains.md", "exec"), names)
    said = capsys.readouterr().out
    assert "['x -> y, y -> x']" in said
    assert "('inlet', 'walls', 'untagged')" in said
    assert "Table(2 rows, 1 left out: x, y, u)" in said
    # u is symmetric, and about 0.9 at the corner that sticks in; errors of 30 iterations are below 1 %.
    net = names["solution"].net  # type: ignore[attr-defined]
    points = names["domain"].random(200, 1)  # type: ignore[attr-defined]
    one, other = (names["pf"].training.metrics.evaluate(net, p) for p in (points, points[:, [1, 0]]))  # type: ignore[attr-defined]
    assert np.linalg.norm(one - other) < 0.02 * np.linalg.norm(one)


def test_a_domain_is_at_most_thirty_lines() -> None:
    (shape,) = (node for node in ast.parse(BLOCKS[0]).body if isinstance(node, ast.ClassDef))
    assert shape.end_lineno is not None
    assert shape.end_lineno - shape.lineno < 30
