"""The benchmark of other libraries works, at tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from . import integrations


def test_smoke_integrations(tmp_path: Path) -> None:
    pytest.importorskip("pina.model", reason="the package pina-mathlab is not installed")
    out, threads, dtype = tmp_path / "integrations.json", torch.get_num_threads(), torch.get_default_dtype()
    small = ["--libraries", "pina", "--rounds", "1", "--steps", "2", "--share", "0.01", "--threads", "1"]
    try:
        assert integrations.main([*small, "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(threads)
    assert torch.get_default_dtype() == dtype
    rows = json.loads(out.read_text())["rows"]
    assert [row["case"] for row in rows] == ["poisson", "burgers", "heat, inverse", "poisson, few points"]
    for row in rows:
        assert row["loss_difference"] < 1e-12
        assert row["speedup"]["median"] > 0
    assert str(tmp_path) not in out.read_text()
