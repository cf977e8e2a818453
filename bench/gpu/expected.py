"""What is known without a chip of the kernels measured here: counts of the emulator, times of the static model."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import torch

from psinn_fast.kernels.triton.configuration import chip_name

from .checkout import ROOT
from .lines import Row
from .settings import Settings

# Networks of cases.py, as bench/static/cases.py calls them.
NAMES = {
    "dense-32": "dense 2-32-32-32-1",
    "psi-32": "psi laplace",
    "two-32": "even and odd, regular",
    "two-32-signed": "even and odd, signed",
    "dense-8-8-16": "dense 2-8-8-16-1",
}


def chip(settings: Settings) -> str:
    """That at hand: "sm_90"."""
    return chip_name(torch.device(settings.device))


def emulated(network: str, precision: str, chip: str) -> Row | None:
    """The row of results/emulated/emulated.json, with its commit."""
    return _row("emulated", network, precision, chip)


def estimated(network: str, precision: str, chip: str, points: int) -> tuple[str, float] | None:
    """For which card of that chip, and microseconds of a step, from results/static/static.json."""
    row = _row("static", network, precision, chip) or {}
    for name, times in row.get("estimates", {}).items():
        gpu, _, count = name.partition(", ")
        if count == f"{points:,} points" and times:
            return gpu, times["microseconds"]
    return None


def _row(kind: str, network: str, precision: str, chip: str) -> Row | None:
    found = _read(kind)
    wanted = NAMES.get(network), "laplace", precision, chip
    for row in found.get("rows", ()):
        if "failure" not in row and tuple(row[key] for key in ("case", "problem", "precision", "chip")) == wanted:
            return {"commit": found["commit"], **row}
    return None


@cache
def _read(kind: str) -> dict[str, Any]:
    path = ROOT / "bench" / "results" / kind / f"{kind}.json"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result
