"""The examples of docs/layers.md run as they stand, and say what they say."""

from __future__ import annotations

import pytest
from doc_examples import run_and_expect


def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    said = run_and_expect("layers.md")
    assert capsys.readouterr().out == said
