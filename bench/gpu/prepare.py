"""What takes the processor long and the GPU hardly: compiling, side by side, into the caches that the timings read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch

from bench.cases import Case
from bench.peers import OursStep
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration

from .cases import cases, key_of
from .lines import Row
from .peers import Make, families
from .settings import Settings, Task
from .tuning import PROGRAMS, configuration, shapes, tuned_cases

COMPILED = ("compiled, graph", "compiled, reduce-overhead")


def tasks(settings: Settings) -> list[Task]:
    """The first case's peers, then configurations, then the peers of the other cases."""
    first, *others = [case for case in cases(settings) if case.structure is None]
    found = _peers(first, settings, COMPILED)
    main = [(case, precision) for case, precision in tuned_cases(settings) if case.points == first.points]
    for case, precision in main:
        for shape in shapes(settings):
            chosen = configuration(shape, PROGRAMS[0], precision, settings)
            key = f"{key_of(case)}/{precision}, {shape[0]} points, {shape[1]} warps"
            found.append(Task(key, partial(_ours, case, chosen), limit=90))
    for case in others:
        found += _peers(case, settings, COMPILED[:1])
    return found


def _ours(case: Case, chosen: Configuration, done: Mapping[str, Row]) -> Row:
    OursStep(case, TritonBackend(chosen.precision, chosen)).steps(2)
    return {}


def _peers(case: Case, settings: Settings, names: tuple[str, ...]) -> list[Task]:
    return [
        Task(f"{key_of(case)}/{peer}/{form}", partial(_peer, make), limit=120)
        for peer, ways in families(case, settings).items()
        if peer in names
        for form, make in ways.items()
    ]


def _peer(make: Make, done: Mapping[str, Row]) -> Row:
    make().steps(2)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return {}
