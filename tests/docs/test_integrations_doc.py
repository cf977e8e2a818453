"""What docs/integrations.md says: its code runs."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import psinn_fast as pf

TEXT = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")


@pytest.mark.trajectory
def test_deepxde(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDE_BACKEND", "pytorch")
    pytest.importorskip("deepxde", reason="DeepXDE is not installed: pip install psinn_fast[deepxde]")
    from deepxde.optimizers.config import LBFGS_options

    # Whatever ``maxiter``, which is 300 there: DeepXDE asks torch for 1,000 iterations at a time.
    monkeypatch.setitem(LBFGS_options, "iter_per_step", 300)
    (section,) = re.findall(r"## DeepXDE\n(.*?)(?=\n## |\Z)", TEXT, re.DOTALL)
    names: dict[str, object] = {"__name__": __name__}
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(code, names)
    torch.set_default_device(None)  # DeepXDE moves it where there is a GPU
    found = names["found"]
    assert isinstance(found, pf.Discovery)
    assert {match.text for match in found.group} == {"x -> -x", "y -> -y", "x -> -x, y -> -y"}
    assert "'train' took" in capsys.readouterr().out


def test_pina(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pina.model", reason="PINA is not installed: pip install psinn_fast[pina]")
    monkeypatch.chdir(tmp_path)  # Lightning's logs
    (section,) = re.findall(r"## PINA\n(.*?)(?=\n## |\Z)", TEXT, re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    found: dict[str, Any] = {"__name__": __name__}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's
        exec(code, found)
    points = found["problem"].discretised_domains["inside"].tensor
    net, mirrored = found["model"], points * torch.tensor([1.0, -1.0])
    assert torch.allclose(net(points), net(mirrored), rtol=0, atol=1e-6)
    assert float(found["solver"].trainer.callback_metrics["train_loss"]) < 0.1
