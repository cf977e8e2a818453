"""What takes the processor long and the GPU hardly: compiling, side by side, into the caches that the timings read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch

from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration, Entry

from .cases import case_of, cases, key_of
from .counters import KERNELS
from .laplace.case import Case
from .laplace.eager import OursStep
from .lines import Row
from .one_case import residual
from .peers import Make, families
from .problems import RUNS, first_steps, problem_and_network
from .settings import Settings, Task
from .tuning import PROGRAMS, configuration, networks, shapes

COMPILED = ("compiled, graph", "compiled, reduce-overhead")
# Points; how many does not matter.
COUNTED = 1_000


def tasks(settings: Settings) -> list[Task]:
    """What is counted, the first case's peers, configurations, the problems, the peers of the other cases."""
    first, *others = [case for case in cases(settings) if case.structure is None]
    # Other numbers of points are no other kernel.
    configurations = _configurations(first.points, settings)
    problems = [
        Task(f"{problem}/{method}", partial(_problem, problem, method, settings), limit=150)
        for problem, method in ([] if settings.quick else RUNS)
    ]
    other = [task for case in others for task in _peers(case, settings, COMPILED[:1])]
    counted = [] if settings.quick else [
        Task(f"counters/{network}/{precision}", partial(_residual, network, precision, settings), limit=150)
        for network, precision in KERNELS
    ]  # fmt: skip
    return [*counted, *_peers(first, settings, COMPILED), *configurations, *problems, *other]


def _residual(network: str, precision: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    """The kernel whose counters are read: of one term, not of five."""
    residual(TritonBackend(precision), case_of(network, COUNTED, settings))
    return {}


def _configurations(points: int, settings: Settings) -> Iterator[Task]:
    for name, precision in networks(settings):
        case = case_of(name, points, settings)
        for shape in shapes(settings):
            chosen = configuration(Entry(*shape, PROGRAMS[0]), precision, settings)
            key = f"{key_of(case)}/{precision}, {shape[0]} points, {shape[1]} warps"
            yield Task(key, partial(_ours, case, chosen), limit=150)


def _ours(case: Case, chosen: Configuration, done: Mapping[str, Row]) -> Row:
    OursStep(case, TritonBackend(chosen.precision, chosen)).steps(2)
    return {}


def _problem(name: str, method: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    first_steps(*problem_and_network(name, method, settings), settings)
    return {}


def _peers(case: Case, settings: Settings, names: tuple[str, ...]) -> list[Task]:
    return [
        Task(f"{key_of(case)}/{peer}/{form}", partial(_peer, make), limit=150)
        for peer, ways in families(case, settings).items()
        if peer in names
        for form, make in ways.items()
    ]


def _peer(make: Make, done: Mapping[str, Row]) -> Row:
    make().steps(2)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return {}
