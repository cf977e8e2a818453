"""The table of docs/conditions.md is what the example prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import grid_weights

DOCS = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text(encoding="utf-8")


def test_the_table_of_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    grid_weights.main()
    for line in capsys.readouterr().out.splitlines():
        errors = line.split()[-4:]
        shown = " | ".join(errors[:2] if "renamed" in line else errors)  # rounding makes the last ones
        assert f"| {shown} " in DOCS
