"""Other starts: a run that ended up in a poor minimum is given up for one that did not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...kernels.contract import Backend
from ...networks.mlp import PsiMLP
from ...problem.problem import Problem
from ..first_weights import start_where_finite
from ..protocol import Failure
from .marquardt import Marquardt

# By then a start that finds no way has a loss some thousand times that of the others (docs/gauss-newton.md). Starts
# that do find theirs differ by up to about 30, and the one ahead is not always the one that ends better.
COMPARED_AFTER = 75
CLEARLY_WORSE = 100.0
# Reasons to end that another start may not meet.
DEAD_ENDS = ("no descent", "step")
# Where nothing that moves is left at this part of the first loss or more, the neurons are saturated: a network with
# the sign of an odd output is then zero, and so are all of its derivatives.
STUCK = 1e-2


def wants_another_start(run: Marquardt, reason: str | None, first_loss: float, compare_at: int | None) -> bool:
    """``reason``: why there is no step to take; ``compare_at``: the step for a comparison though it goes well."""
    if reason == "gradient":
        return run.loss >= STUCK * first_loss
    return compare_at is not None and (reason in DEAD_ENDS or (reason is None and run.step >= compare_at))


def better_start(
    run: Marquardt, others: Sequence[Callable[[], Marquardt]], steps: int, halted: Callable[[], bool]
) -> Marquardt | None:
    """``run``, unless its loss is clearly above the lowest of the others after ``steps``: then that other one.

    None where ``halted()`` turned true meanwhile. Each of ``others`` makes a run at its start; a diverging one is out.
    """
    best = run
    for make in others:
        other = make()
        try:
            while other.step < steps:
                if halted():
                    return None
                if other.advance(other.linearise()) is not None:
                    break
        except Failure:
            continue
        if other.step and other.loss < best.loss:
            best = other
    return best if run.loss > CLEARLY_WORSE * best.loss else run


def redrawn(net: PsiMLP, problem: Problem, seed: int, number: int, engine: Backend) -> PsiMLP:
    """The same network with other initial weights, where the residuals of the ``problem`` trained are finite."""
    seed = int(np.random.default_rng((seed, number)).integers(2**31))
    other = PsiMLP(net.structure, seed=seed, start=net.start, dtype=net.theta.dtype, device=net.theta.device)
    start_where_finite(other, problem, guessed=True, engine=engine)
    return other
