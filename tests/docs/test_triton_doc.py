"""The code of docs/triton.md runs, on a GPU or without one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

TEXT = (Path(__file__).parents[2] / "docs" / "triton.md").read_text(encoding="utf-8")


def test_the_examples_run() -> None:
    chosen, loop = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(compile(chosen, "triton.md", "exec"), scope)
    setup = scope["solution"].setup
    assert setup.precision == ("tf32x3" if setup.backend == "triton" else "ieee")
    assert (scope["options"].precision, scope["net"].precision) == ("tf32x3", "ieee")
    assert scope["d"].u_lap.shape == (1000,)
    scope = {}
    exec(compile(loop, "triton.md", "exec"), scope)
    assert scope["net"].theta.grad.abs().sum() > 0
