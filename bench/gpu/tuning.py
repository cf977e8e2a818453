"""Tile, warps and programs of every case, tried on the chip; what follows uses the table, saved after each case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from bench.cases import Case
from bench.check import compare, expected_of
from bench.peers import OursStep
from bench.section import reason
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration

from .cases import MAIN, MOST, case_of, cases, key_of
from .clock import seconds_of, time_blocks
from .lines import Row
from .ours import table_key, tuned
from .settings import Settings, Task

# (points per tile, warps), and programs per processor. The first pair is the library's choice for small networks.
SHAPES = ((32, 4), (16, 2), (16, 4), (32, 8), (64, 4), (64, 8))
PROGRAMS = (2, 1, 3, 4, 6, 8)
# Shapes that are tried with every number of programs.
BEST_SHAPES = 2
# Networks that are also run with products in three tensor-core passes.
SPLIT_NETWORKS = ("dense-32", "psi-32")


def tuned_cases(settings: Settings) -> list[tuple[Case, str]]:
    """With their precisions: those that the bars are about first. Other sizes use what was found for the nearest."""
    if settings.quick:
        return [(cases(settings)[0], "ieee")]
    found = [(case, "ieee") for case in cases(settings) if case.points in (MAIN, MOST)]
    return found + [(case_of(name, MAIN, settings), "tf32x3") for name in SPLIT_NETWORKS]


def tasks(settings: Settings) -> list[Task]:
    return [
        Task(table_key(case, precision), partial(_tune, case, precision, settings))
        for case, precision in tuned_cases(settings)
    ]


def shapes(settings: Settings) -> tuple[tuple[int, int], ...]:
    return ((16, 1),) if settings.quick else SHAPES


def configuration(shape: tuple[int, int], per_processor: int, precision: str, settings: Settings) -> Configuration:
    processors = 1 if settings.interpret else torch.cuda.get_device_properties(0).multi_processor_count
    return Configuration(*shape, per_processor * processors, precision)


def _tune(case: Case, precision: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    times: dict[Configuration, float] = {}
    failures: dict[str, str] = {}

    def attempt(candidate: Configuration) -> None:
        if candidate in times:
            return
        try:
            times[candidate] = _seconds(case, candidate, settings)
        except (RuntimeError, ValueError, AssertionError) as error:  # too little shared memory, or a wrong result
            failures[_name(candidate)] = reason(error)

    for shape in shapes(settings):
        attempt(configuration(shape, PROGRAMS[0], precision, settings))
    if not times:
        raise RuntimeError(f"no configuration works: {failures}")
    for candidate in sorted(times, key=lambda candidate: times[candidate])[:BEST_SHAPES]:
        for per_processor in PROGRAMS[1 : 2 if settings.quick else None]:
            attempt(configuration((candidate.block, candidate.warps), per_processor, precision, settings))
    ranked = sorted(times, key=lambda candidate: times[candidate])
    best = ranked[0]
    table = tuned(settings)
    table[table_key(case, precision)] = {"block": best.block, "warps": best.warps, "programs": best.programs}
    settings.tuned.write_text(json.dumps(table, indent=1) + "\n")
    return {
        "network": case.name,
        "points": case.points,
        "precision": precision,
        "chosen": _name(best),
        "microseconds": {_name(candidate): times[candidate] * 1e6 for candidate in ranked},
        **({"failures": failures} if failures else {}),
    }


def _seconds(case: Case, candidate: Configuration, settings: Settings) -> float:
    """Per step; the median of a few short blocks. A configuration whose result is wrong is none."""
    step = OursStep(case, TritonBackend(candidate.precision, candidate))
    if settings.quick:
        return seconds_of(step, 1, settings)
    compare(step, expected_of(case), key_of(case))
    times = time_blocks({"": step}, settings)[""]
    return float(np.median(times))


def _name(candidate: Configuration) -> str:
    return f"{candidate.block} points, {candidate.warps} warps, {candidate.programs} programs"
