"""Pages of docs/ whose examples print what the page says."""

from __future__ import annotations

import re
from pathlib import Path


def run_and_expect(page: str) -> str:
    """Runs the page's blocks of Python, one after the other; what they should have printed."""
    text = (Path(__file__).parents[1] / "docs" / page).read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, page, "exec"), names)
    (said,) = re.findall(r"prints\n\n```\n(.*?)```", text, re.DOTALL)
    return str(said)
