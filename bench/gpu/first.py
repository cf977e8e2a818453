"""The first graph: steps recorded in CUDA graphs and replayed, against the same steps in float64, and once more.

What a chip is asked first: whether a recorded training run is right at all. A step too many or too few is a fiftieth of
the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch

from psinn_fast.kernels.contract import AdamState, Backend
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton.backend import TritonBackend

from .cases import case_of
from .laplace.case import Case
from .lines import Row
from .settings import Settings, Task

# By themselves, in a whole graph of 50 steps, and in graphs of one.
STEPS = 1 + 50 + 3
POINTS = 1_023
# Of the way that the weights have gone; or so many times the error of plain float32, where that is more.
BAR, FACTOR = 1e-3, 4.0
# What compiles fastest first.
NETWORKS = ("dense-8-8-16", "psi-32", "dense-32", "two-32")


def tasks(settings: Settings) -> list[Task]:
    names = ("psi-2",) if settings.quick else NETWORKS
    return [Task(name, partial(_compare, name, settings), limit=90) for name in names]


def _compare(network: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    steps = 3 if settings.quick else STEPS
    case = case_of(network, 15 if settings.quick else POINTS, settings)
    ours, again = moved(TritonBackend(), case, steps, torch.float32, runs=2)
    (expected,) = moved(ReferenceBackend(), case, steps, torch.float64)
    (plain,) = moved(ReferenceBackend(), case, steps, torch.float32)
    off, plainly, repeats = error(ours, expected), error(plain, expected), torch.equal(ours, again)
    bar = max(BAR, FACTOR * plainly)
    return {
        "network": network,
        "steps": steps,
        "error": off,
        "error_of_plain_float32": plainly,
        "repeats_bit_by_bit": repeats,
        "bar": bar,
        "met": off <= bar and repeats,
    }


def moved(backend: Backend, case: Case, steps: int, dtype: torch.dtype, runs: int = 1) -> list[torch.Tensor]:
    """By how much so many steps move the weights, from the same start in each of the runs: the second one replays what
    the first one recorded."""
    net, terms = case.network().to(dtype), case.terms(dtype)
    theta = net.theta.detach()
    found = []
    for _ in range(runs):
        state = AdamState(theta.clone(), theta.new_empty(0), case.lr)
        backend.train(net.plan, state, terms, theta.new_ones(len(terms)), steps)
        found.append(state.theta - theta)
    return found


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative, L2; NaN where one is."""
    return float((found.to(expected) - expected).norm() / expected.norm())
