"""The benchmark of other libraries works, at tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from . import integrations

CASES = {
    "deepxde": [
        "Poisson, Dirichlet and Robin",
        "Burgers",
        "Allen-Cahn, hard conditions",
        "Helmholtz",
        "Navier-Stokes, inverse",
        "heat, Neumann",
        "Poisson on a line, 20 points",
    ],
    "pina": ["poisson", "burgers", "heat, inverse", "poisson, few points"],
}


@pytest.mark.parametrize(("library", "package"), [("deepxde", "deepxde"), ("pina", "pina.model")])
def test_smoke_integrations(library: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDE_BACKEND", "pytorch")
    pytest.importorskip(package, reason=f"{library} is not installed: pip install psinn_fast[{library}]")
    torch.set_default_device(None)  # DeepXDE moves it where there is a GPU
    out, threads, dtype = tmp_path / "integrations.json", torch.get_num_threads(), torch.get_default_dtype()
    small = ["--libraries", library, "--rounds", "1", "--steps", "2", "--share", "0.01", "--threads", "1"]
    try:
        assert integrations.main([*small, "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(threads)
    assert torch.get_default_dtype() == dtype
    rows = json.loads(out.read_text())["rows"]
    assert [row["case"] for row in rows] == CASES[library]
    for row in rows:
        assert row["loss_difference"] < 1e-9
        assert row["speedup"]["median"] > 0
        assert [*row["milliseconds"]] == ["theirs", "ours", "without_kernels"]
    assert str(tmp_path) not in out.read_text()
