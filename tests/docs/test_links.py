"""Links of the pages lead to files that are there, and to headlines in them."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/**/*.ipynb"), *ROOT.glob("bench/**/*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def prose(page: Path) -> str:
    """A page's text without its blocks of code, and without code in lines."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = "\n\n".join(
            "".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"
        )
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^(`{3,}).*?^\1`*$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchor(headline: str) -> str:
    """As code hosts and the site make them."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", headline).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """Those that one headline alone has: of equal ones the site and code hosts number the second differently."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = [anchor(headline) for headline in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return frozenset(
        [name for name in found if found.count(name) == 1] + re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    )


def broken(page: Path) -> list[str]:
    found = []
    for target, name in LINK.findall(prose(page)):
        path = page.parent / target if target else page
        if not path.exists() or (name and path.suffix == ".md" and name not in anchors(path.resolve())):
            found.append(f"{target}#{name}" if name else target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_what_is_broken_is_seen(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A `b`: c\n## Twice\n## Twice\n```\n# comment\n```\n", encoding="utf-8")
    good = "[a](there.md#a-b-c) `[b](nowhere)` [c](https://example.org) [d](#own)\n# Own\n"
    bad = "[a](gone.md) [b](there.md#gone) [c](there.md#twice) [d](there.md#comment) [e](#gone)\n"
    page = tmp_path / "page.md"
    page.write_text(good + bad, encoding="utf-8")
    assert broken(page) == ["gone.md", "there.md#gone", "there.md#twice", "there.md#comment", "#gone"]
