"""The script of docs/results.md runs as it stands, and its tables name what there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import psinn_fast as pf

TEXT = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
SCRIPT, SAVED, PICTURES, BY_LAYERS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.trajectory
def test_a_solution_is_evaluated_saved_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope = dict[str, Any]()
    exec(compile(SCRIPT, "results.md", "exec"), scope)
    solution = scope["solution"]
    assert scope["u"].shape == (5, 1)
    assert scope["d"].u_x.shape == scope["d"].u_lap.shape == (5,)
    assert np.array_equal(scope["net"].predict(scope["points"]), scope["u"])
    assert scope["loss"].requires_grad
    assert torch.equal(pf.load_network("net.safetensors").theta, solution.net.theta)
    assert {path.name for path in Path("results/laplace").iterdir()} == {
        *(path.name for path in Path("results/again").iterdir()), "checkpoint.safetensors",
    }  # fmt: skip
    assert pf.error_metrics(scope["net"], "laplace") == solution.metrics
    exec(compile(SAVED, "results.md", "exec"), scope)
    assert scope["k"] == pytest.approx(2, rel=0.01)
    assert scope["v"].predict([[1.0]]).item() == pytest.approx(np.exp(-2), rel=0.01)
    exec(compile(PICTURES, "results.md", "exec"), scope)
    assert Path("all.png").exists()
    assert Path("heat.gif").read_bytes().startswith(b"GIF89a")
    before = scope["net"].to_sequential()
    exec(compile(BY_LAYERS, "results.md", "exec"), scope)
    after = scope["net"].to_sequential()
    assert torch.equal(after[0].weight, before[0].weight)
    assert not torch.equal(after[-1].weight, before[-1].weight)


@pytest.mark.parametrize("part", [pf.Ending, pf.Verdict, pf.Setup])
def test_tables_name_what_there_is(part: Any) -> None:
    head = f"(`pf.{part.__name__}`)"
    table = TEXT[TEXT.index(head) + len(head) :].partition("\n\n")[0]
    first_cells = re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(first_cells)) == [field.name for field in fields(part)]
