"""The examples of docs/fusing.md run as they stand, and say what they say."""

from __future__ import annotations

import pytest
from doc_examples import run_and_expect


@pytest.mark.trajectory
def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    said = run_and_expect("fusing.md")
    assert capsys.readouterr().out == said
