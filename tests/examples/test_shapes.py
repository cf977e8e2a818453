"""The picture of docs/domains.md is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.shapes import main


def test_it_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shapes.png"
    assert main(["--quick", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert str(out) in capsys.readouterr().out
