"""Code of the pages runs, and prints what they say: of all that have no test of their own, in a few steps each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from doc_examples import examples
from few_steps import train_in_few_steps

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "```python\n" in page.read_text(encoding="utf-8")]
# Modules that look at a page's numbers name it in their first line.
FIRST_LINES = [
    path.read_text(encoding="utf-8").partition("\n")[0] for path in Path(__file__).parent.glob("test_*_doc.py")
]
OWN = {ROOT / page for line in FIRST_LINES for page in re.findall(r"docs/[\w/-]+\.md", line)}
GENERAL = [page for page in PAGES if page not in OWN]
# Pages with code that is shown and cannot be run here, with the reason.
SKETCHES = {"integrations.md": "PhysicsNeMo is not installed"}
FEW_STEPS = 12


@pytest.mark.parametrize("page", GENERAL, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_code_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train_in_few_steps(monkeypatch, FEW_STEPS)
    names: dict[str, Any] = {"__name__": "page"}
    for code, printed in examples(page.read_text(encoding="utf-8")):
        exec(compile(code, page.name, "exec"), names)
        said = capsys.readouterr().out
        assert printed is None or said == printed


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_no_code_is_hidden_from_the_tests(page: Path) -> None:
    """By another name of its language, or as an indented block."""
    text = page.read_text(encoding="utf-8")
    others = re.findall(r"^ *```(?:py|python3|pycon|Python)\b(?!thon\n).*$", text, re.MULTILINE)
    assert not others or page.name in SKETCHES
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^ +```python.*$|^    (?:import|from \w+ import|.*\bpf\.\w+\().*$", prose, re.MULTILINE) == []


def test_what_a_block_prints_is_found() -> None:
    text = "```python\na\n```\n\ntext\n\n```python\nb\n```\n\nIt prints\n\n```\nc\n```\n\n```\nd\n```\n"
    assert list(examples(text)) == [("a\n", None), ("b\n", "c\n")]
