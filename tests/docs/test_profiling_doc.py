"""docs/profiling.md: its example runs, and its lines are those that `psinn-fast profile` gives."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from psinn_fast.cli.profiling import further

TEXT = (Path(__file__).parents[2] / "docs" / "profiling.md").read_text(encoding="utf-8")


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(example, "profiling.md", "exec"), {})


def test_lines_are_those_of_the_command() -> None:
    joined = re.sub(r" \\\n\s+", " ", TEXT)
    for line in further("laplace --method psi", torch.device("cpu"))[1:4:2]:
        assert f"    {line.strip()}\n" in joined
