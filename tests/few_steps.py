"""Code of users, run in a few steps of training."""

from __future__ import annotations

from typing import Any

import pytest

import psinn_fast as pf
from psinn_fast.training.optimisers import automatic


def train_in_few_steps(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """No optimiser of the library takes more steps than that."""

    def in_few_steps(made: Any) -> Any:
        def init(self: Any, *arguments: Any, **keywords: Any) -> None:
            made(self, *arguments, **keywords)
            object.__setattr__(self, "steps", most if self.steps is None else min(self.steps, most))

        return init

    for kind in (pf.Adam, pf.GaussNewton, pf.LBFGS, pf.SSBroyden, pf.TorchOptimizer):
        monkeypatch.setattr(kind, "__init__", in_few_steps(kind.__init__))
    monkeypatch.setattr(automatic, "_STEPS", most)
    monkeypatch.setattr(automatic, "_FEWEST_STEPS", most)
