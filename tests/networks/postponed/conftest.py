"""However few the points, derivatives wait."""

from __future__ import annotations

import pytest
from postponing import Watched, wait_however_few

from psinn_fast.networks.mlp import MLP, PsiMLP


@pytest.fixture(autouse=True)
def _waits(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_however_few(monkeypatch)


@pytest.fixture
def net() -> PsiMLP:
    return MLP([2, 7, 6, 2], seed=0, dtype="float64")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)
