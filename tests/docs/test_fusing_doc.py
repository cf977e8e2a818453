"""The examples of docs/fusing.md run as they stand, and say what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "fusing.md").read_text(encoding="utf-8")


@pytest.mark.trajectory
def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(block, "fusing.md", "exec"), names)
    (said,) = re.findall(r"prints\n\n```\n(.*?)```", TEXT, re.DOTALL)
    assert capsys.readouterr().out == said
