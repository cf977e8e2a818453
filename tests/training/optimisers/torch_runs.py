"""Runs of torch's optimisers, whole and in two pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from small import small_laplace

import psinn_fast as pf
from psinn_fast.kernels.errors import short


def small_network(seed: int = 1) -> pf.MLP:
    return pf.MLP([2, 5, 1], seed=seed, dtype="float64")


def trained(optimizer: Any, net: pf.MLP | None = None, **options: Any) -> pf.FitResult:
    chosen = {key: options.pop(key) for key in ("checkpoint",) if key in options}
    return pf.fit(small_laplace(5), net or small_network(), optimizer, options=pf.Options(**options), **chosen)


def stop_at(step: int) -> Callable[[pf.Progress], bool]:
    return lambda progress: progress.step == step


def in_two(optimizer: Callable[[], Any], at: int, path: Path) -> pf.FitResult:
    """Stopped after step ``at``, and resumed from the file by another network."""
    first = trained(optimizer(), checkpoint=path, callbacks=stop_at(at))
    assert first.ended == "stopped", short(first)
    return trained(optimizer(), small_network(9), checkpoint=path, resume=True)
