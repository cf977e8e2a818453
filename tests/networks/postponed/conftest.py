"""However few the points, derivatives wait."""

from __future__ import annotations

import pytest
import torch
from postponing import Watched

from psinn_fast.kernels import get_backend
from psinn_fast.networks import postponed
from psinn_fast.networks.mlp import PsiMLP, TanhMLP


@pytest.fixture(autouse=True)
def _waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the points, and whatever the backend."""
    monkeypatch.setattr(postponed, "FEWEST", 1)
    monkeypatch.setattr(postponed, "BACKENDS", (get_backend("auto", torch.device("cpu")).name,))


@pytest.fixture
def net() -> PsiMLP:
    return TanhMLP([2, 7, 6, 2], seed=0, dtype="float64")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)
