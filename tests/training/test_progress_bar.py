"""The bar shows where a run is, from its start."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import network, small_laplace

import psinn_fast as pf
from psinn_fast.training import trainer


def test_a_finished_run_that_is_resumed_shows_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = list[int]()
    monkeypatch.setattr(trainer.TrainingProgress, "update", lambda self, step, note: shown.append(step))
    for resume, first in ((False, 1), (True, 8)):
        shown.clear()
        pf.fit(
            small_laplace(5), network(), pf.Adam(8), checkpoint=tmp_path / "c.safetensors",
            options=pf.Options(resume=resume),
        )  # fmt: skip
        assert (shown[0], shown[-1]) == (first, 8)
