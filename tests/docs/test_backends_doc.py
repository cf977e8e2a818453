"""The example of docs/backends.md runs as it stands, and its table names the operations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import psinn_fast as pf
from psinn_fast.kernels.contract.base import OPERATIONS

TEXT = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")


def test_the_example_trains_as_the_reference_does() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    scope: dict[str, Any] = {}
    try:
        exec(compile(example, "backends.md", "exec"), scope)
    finally:
        pf.unregister_backend("mine")
    found = scope["solution"]
    wanted = pf.solve("laplace", "psi", pf.Adam(20), options=pf.Options(backend="reference"))
    assert found.setup.backend == "mine"
    assert found.loss == pytest.approx(wanted.loss, rel=1e-4)  # float32, 20 steps


def test_every_operation_is_in_the_table() -> None:
    assert sorted(re.findall(r"(?m)^\| `(\w+)` \|", TEXT)) == sorted(OPERATIONS)
