"""Commands of the pages are taken by the command line as they stand."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from pathlib import Path

import pytest

from psinn_fast.cli import options

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
COMMAND = re.compile(r"(?:^ *|`)(psinn-fast (?:[^`\n#\\]+))", re.MULTILINE)
# What stands for something else: PROBLEM, DIR, ...
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|\.\.\.")


def found(page: Path) -> list[str]:
    lines = re.sub(r" \\\n\s+", " ", page.read_text(encoding="utf-8"))
    return [line.strip() for line in COMMAND.findall(lines) if not PLACEHOLDER.search(line)]


SHOWN = sorted({line for page in PAGES for line in found(page)})


@pytest.mark.parametrize("line", SHOWN)
def test_it_is_taken(line: str) -> None:
    parser = options.parser(defaultdict(lambda: int))
    words = shlex.split(line)[1:]
    # Prose names commands without their problem.
    parser.parse_args(
        [*words, "laplace"] if words in (["solve"], ["run"], ["discover"], ["profile"], ["compile"]) else words
    )


def test_what_is_not_there_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(SHOWN) > 30
    with pytest.raises(SystemExit):
        test_it_is_taken("psinn-fast solve laplace --methods psi")
    assert "--methods" in capsys.readouterr().err
