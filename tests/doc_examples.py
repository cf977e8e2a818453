"""Examples of pages, and what pages say that they print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

EXAMPLE = re.compile(
    r"^```python\n(.*?)^```$(?:\n+[^\n`]*\bprints\n\n^```(?:text)?\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)


def examples(text: str) -> Iterator[tuple[str, str | None]]:
    """A page's blocks of Python, each with what it prints, where the page says that."""
    for found in EXAMPLE.finditer(text):
        yield found[1], found[2]


def run_and_expect(page: str) -> str:
    """Runs the blocks of a page of docs/, one after the other; what they should have printed."""
    text = (Path(__file__).parents[1] / "docs" / page).read_text(encoding="utf-8")
    names: dict[str, object] = {}
    said = ""
    for code, printed in examples(text):
        exec(compile(code, page, "exec"), names)
        said += printed or ""
    return said
