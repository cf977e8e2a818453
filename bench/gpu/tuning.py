"""Tile, warps and programs of every network, tried on the chip; what follows uses the table, saved after each network.

The table is the library's own (`kernels/triton/configuration.py`): one entry serves a network at any number of points,
so the choice is what costs least over few and many points together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch

from bench.section import reason
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration, Entry, chip_name, save_entry, signature
from psinn_fast.kernels.triton.layout import make_layout

from .cases import WIDER, case_of, key_of, sizes, structures
from .check import compare
from .clock import seconds_of
from .laplace.case import Case
from .laplace.check import expected_of
from .lines import Row
from .settings import Settings, Task
from .training_step import TrainStep

# (points per tile, warps), and programs per processor. The first of each is what the library takes untuned.
SHAPES = ((16, 4), (32, 4), (16, 2), (32, 8), (64, 8))
PROGRAMS = (2, 1, 3, 4, 8)
# Shapes that are tried with every number of programs.
BEST_SHAPES = 2
# Timed: so many blocks of about so long, in multiples of the steps that `train` captures in one graph.
BLOCKS, BLOCK_SECONDS, GRAPH = 3, 0.015, 50
# For one network: what compiles slowly and was not prepared is not waited for to the end.
SECONDS = 45.0
# Networks that are also run with products in three tensor-core passes.
SPLIT_NETWORKS = ("dense-32", "psi-32")


def networks(settings: Settings) -> list[tuple[str, str]]:
    """(name, precision) of what is tuned, what the bars are about first."""
    names = [name for name in structures(settings.quick) if name not in WIDER][: 1 if settings.quick else None]
    return [*((name, "ieee") for name in names), *((name, "tf32x3") for name in SPLIT_NETWORKS if name in names)]


def tasks(settings: Settings) -> list[Task]:
    return [
        Task(f"{name}/{precision}", partial(_tune, name, precision, settings), limit=2 * SECONDS)
        for name, precision in networks(settings)
    ]


def shapes(settings: Settings) -> tuple[tuple[int, int], ...]:
    return ((16, 1),) if settings.quick else SHAPES


def configuration(entry: Entry, precision: str, settings: Settings) -> Configuration:
    if settings.interpret:
        return Configuration(entry.block, entry.warps, entry.per_processor, precision)
    return entry.on(torch.device(settings.device), precision)


def _tune(network: str, precision: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    trials = [Trial(case_of(network, points, settings), precision, settings) for points in sizes(settings)[:2]]
    times: dict[Entry, list[float]] = {}
    failures: dict[str, str] = {}

    ends = time.perf_counter() + SECONDS

    def attempt(entry: Entry) -> None:
        if entry in times or time.perf_counter() > ends:
            return
        try:
            times[entry] = [trial.seconds(entry) for trial in trials]
        except Exception as error:  # too little shared memory, or whatever else a compiler says
            failures[_name(entry)] = reason(error)

    for shape in shapes(settings):
        attempt(Entry(*shape, PROGRAMS[0]))
    if not times:
        raise RuntimeError(f"no configuration works: {failures}")
    for entry in _ranked(times)[:BEST_SHAPES]:
        for per_processor in PROGRAMS[1 : 2 if settings.quick else None]:
            attempt(Entry(entry.block, entry.warps, per_processor))
    ranked = _ranked(times)
    best = ranked[0]
    for trial in trials:  # a fast one whose result is wrong is none
        trial.check(best)
    plan = case_of(network, 1, settings).network().plan
    chip = "interpreter" if settings.interpret else chip_name(torch.device(settings.device))
    save_entry(chip, signature(make_layout(plan), torch.float32, precision), best)
    return {
        "network": network,
        "precision": precision,
        "chosen": _name(best),
        "points": list(sizes(settings)[:2]),
        "microseconds": {_name(entry): [seconds * 1e6 for seconds in times[entry]] for entry in ranked},
        **({"failures": failures} if failures else {}),
    }


def _ranked(times: Mapping[Entry, Sequence[float]]) -> list[Entry]:
    """By the product of the times: what counts is the ratio, at each number of points."""
    return sorted(times, key=lambda entry: float(np.prod(times[entry])))


class Trial:
    """A case with its points on the device, once for all configurations."""

    def __init__(self, case: Case, precision: str, settings: Settings) -> None:
        self._case, self._precision, self._settings = case, precision, settings
        self._net, self._terms = case.network(), case.terms()

    def _step(self, entry: Entry) -> TrainStep:
        backend = TritonBackend(self._precision, configuration(entry, self._precision, self._settings))
        return TrainStep(self._net.plan, self._net.theta, self._terms, backend, self._case.lr)

    def seconds(self, entry: Entry) -> float:
        """Per step; the median of a few short blocks."""
        step, settings = self._step(entry), self._settings
        if settings.quick:
            return seconds_of(step, 1, settings)
        seconds_of(step, GRAPH, settings)  # compiles and captures
        count = max(1, int(BLOCK_SECONDS / seconds_of(step, GRAPH, settings))) * GRAPH
        seconds_of(step, count, settings)
        return float(np.median([seconds_of(step, count, settings) for _ in range(BLOCKS)])) / count

    def check(self, entry: Entry) -> None:
        compare(self._step(entry), expected_of(self._case), key_of(self._case))


def _name(entry: Entry) -> str:
    return f"{entry.block} points, {entry.warps} warps, {entry.per_processor} programs per processor"
