"""docs/studies.md names commands that exist and pictures that are there, and small enough to keep."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "studies.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"python -m (examples\.\w+)", TEXT)
PICTURES = re.findall(r"!\[[^]]*\]\(([^)]*)\)", TEXT)


def test_there_are_four_studies() -> None:
    assert len(set(COMMANDS)) == 4
    assert len(PICTURES) == 4


@pytest.mark.parametrize("module", sorted(set(COMMANDS)))
def test_commands_exist(module: str) -> None:
    assert callable(importlib.import_module(module).main)


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_are_small(picture: str) -> None:
    data = (DOCS / picture).read_bytes()
    assert data[:4] == b"\x89PNG"
    assert len(data) < 150_000
