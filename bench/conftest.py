"""What smoke tests of the benchmarks share."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch

from psinn_fast.training import trainer
from psinn_fast.training.stability import Allowed


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings end without the errors that their residuals allow, for benchmarks that do not read them."""
    monkeypatch.setattr(trainer, "errors_allowed", lambda *_: Allowed({}, {}))


@pytest.fixture
def deepxde_as_before() -> Iterator[None]:
    """Its settings are of the process, and those of torch with them."""
    yield
    if (dde := sys.modules.get("deepxde")) is not None:
        dde.config.set_default_float("float32")
        dde.config.set_default_autodiff("reverse")
        torch.set_default_device(None)
