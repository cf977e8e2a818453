"""The reference has every public name, once, and the site's navigation every page."""

from __future__ import annotations

import re
from pathlib import Path

import psinn_fast as pf

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_public_name_is_there_once() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    assert sorted(re.findall(r"^::: psinn_fast\.(\w+)$", pages, re.MULTILINE)) == sorted(pf.__all__)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    pages = re.findall(r"^ +- (?:.*: )?(\S+\.(?:md|ipynb))$", navigation, re.MULTILINE)
    assert len(pages) == len(set(pages))
    found = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert {page for page in found if not page.startswith("gallery/")} <= set(pages)


def test_a_readme_is_the_index_of_a_section_of_its_own() -> None:
    """MkDocs makes it the index of the section that it stands in, whose title would lead to it."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2].splitlines()
    before = [navigation[i - 1].strip() for i, line in enumerate(navigation) if line.endswith("README.md")]
    assert before == ["- Benchmarks:"]
