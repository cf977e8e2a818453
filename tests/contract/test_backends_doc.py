"""The example of docs/backends.md runs as it stands, and its table names the operations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import psinn_fast as pf
from psinn_fast.kernels.contract import registry
from psinn_fast.kernels.contract.base import OPERATIONS

TEXT = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")


def test_the_example_trains_as_the_reference_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BACKENDS", dict(registry._BACKENDS))
    monkeypatch.setattr(registry, "_BY_NAME_ONLY", set())
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(compile(example, "backends.md", "exec"), scope)
    found, wanted = scope["solution"], pf.solve("laplace", "psi", steps=20, backend="reference")
    assert found.backend == "mine"
    assert found.loss == pytest.approx(wanted.loss, rel=1e-4)  # float32, 20 steps


def test_every_operation_is_in_the_table() -> None:
    assert sorted(re.findall(r"(?m)^\| `(\w+)` \|", TEXT)) == sorted(OPERATIONS)
