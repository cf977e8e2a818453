"""Is a peer right? Checked before anything is timed, against float64."""

from __future__ import annotations

from functools import cache

import torch

from ..check import Expected, compare
from ..training_step import Step, TrainStep
from .case import Case
from .eager import NestedAutogradStep

# With more, nested autograd would take tens of GB in float64; the reference backend works in chunks.
MOST_NESTED_POINTS = 200_000


@cache
def expected_of(case: Case) -> Expected:
    """In float64, by nested autograd or, with very many points, by the reference backend."""
    if case.points <= MOST_NESTED_POINTS:
        return Expected.of(NestedAutogradStep(case, torch.float64))
    net = case.network().double()
    return Expected.of(TrainStep(net.plan, net.theta, case.terms(torch.float64), lr=case.lr))


def check(step: Step, case: Case) -> float:
    """Relative error (L2) of a fresh peer's gradient; afterwards the peer has made ten steps.

    Raises:
        WrongPeer: loss, gradient, or the parameters after ten steps are off.
    """
    return compare(step, expected_of(case), case.name)
