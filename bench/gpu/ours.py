"""The Triton backend as the suite runs it: with the configurations that it tuned on this chip before."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from bench.cases import Case
from bench.peers import OursStep
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration

from .cases import key_of
from .settings import Settings


def tuned(settings: Settings) -> dict[str, dict[str, Any]]:
    """By case and precision, see `table_key`."""
    return json.loads(settings.tuned.read_text()) if settings.tuned.exists() else {}


def table_key(case: Case, precision: str) -> str:
    return f"{key_of(case)}/{precision}"


def backend_of(case: Case, precision: str, settings: Settings) -> TritonBackend:
    """Tuned on this very case; or at another number of points; or as the library chooses."""
    table = tuned(settings)
    same = [key for key in table if key.split("@")[0] == case.name and key.endswith(f"/{precision}")]
    key = table_key(case, precision)
    found = table.get(key if key in table else min(same, key=lambda key: _distance(key, case), default=""))
    return TritonBackend(precision, None if found is None else Configuration(precision=precision, **found))


def _distance(key: str, case: Case) -> float:
    points = int(key.partition("@")[2].partition("/")[0])
    return max(points, case.points) / min(points, case.points)


@lru_cache(maxsize=4)
def ours(case: Case, precision: str, settings: Settings) -> OursStep:
    return OursStep(case, backend_of(case, precision, settings))
