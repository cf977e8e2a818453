"""What smoke tests of the benchmarks share."""

from __future__ import annotations

import pytest

from psinn_fast.training import trainer
from psinn_fast.training.stability import Allowed


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings end without the errors that their residuals allow, for benchmarks that do not read them."""
    monkeypatch.setattr(trainer, "errors_allowed", lambda *_: Allowed({}, {}))
