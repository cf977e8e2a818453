"""Where a step of training and an iteration of Gauss-Newton spend their time, and what relations spare them."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from ..kernels.contract import AdamState, Backend, Term
from ..kernels.language.program import Jet
from ..kernels.network.plan import Plan
from ..networks.mlp import PsiMLP
from ..problem.problem import Problem
from ..training.fitting import fit
from ..training.optimisers.gauss_newton import GaussNewton
from ..training.options import Options

PYTHON, UNKNOWN = "Python", "not counted"
# Rounds that are watched, and as many that are not, in turn.
ROUNDS = 7
ITERATIONS = 6


@dataclass(frozen=True)
class Parts:
    """``seconds`` of one step by part, together what a step takes. ``overhead``: what watching added, relative.

    ``share_of_peak``: of the multiply-adds that the machine could have done, those of products; None: not known.
    """

    seconds: dict[str, float]
    overhead: float = 0.0
    share_of_peak: float | None = None

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    @property
    def accounted(self) -> float:
        return 1 - self.seconds.get(UNKNOWN, 0.0) / (self.total or 1.0)


@dataclass(frozen=True)
class Spared:
    """Multiplications per point and channel, written out and as computed, and points, all and of one for each orbit."""

    multiplications: tuple[int, int]
    points: tuple[int, int]

    @property
    def factor(self) -> float:
        """How many times fewer multiplications a step takes."""
        (written, computed), (every, folded) = self.multiplications, self.points
        return written * every / max(1, computed * folded)


def multiply_adds(plan: Plan, terms: Sequence[Term]) -> int:
    """Of a step's products: forward, and backward by inputs and by weights. Hidden layers count for every channel, the
    last one for those that residuals read; the first layer, which is dense and small, for nothing."""
    _, *hidden, last = plan.layers
    total = 0
    for term in terms:
        read = sum(isinstance(source, Jet) for source in term.program.inputs)
        products = len(term.program.channels) * sum(layer.multiplications for layer in hidden)
        total += 3 * term.n_points * (products + read * last.multiplications)
    return total


def step_parts(
    engine: Backend, plan: Plan, state: AdamState, terms: Sequence[Term], weights: torch.Tensor, steps: int
) -> Parts | None:
    """Of `train`, in calls of ``steps`` steps; None where the backend does not count."""

    def run() -> float:
        started = time.perf_counter()
        engine.train(plan, state, terms, weights, steps)
        return time.perf_counter() - started

    run()
    plain, watched = [], []
    seconds: dict[str, float] = {}
    done, peak = 0, None
    for _ in range(ROUNDS):
        plain.append(run())
        with engine.watched(state.theta.dtype) as found:
            watched.append(run())
        for name, value in found.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + value
        done, peak = done + found.steps, found.multiply_adds_per_second
    if not done:
        return None
    per_step = {name: value / done for name, value in seconds.items()}
    # Of a call as a whole, what its kernels do not say is that of Python and torch around them.
    per_step[PYTHON] = max(0.0, sum(watched) / done - sum(per_step.values()))
    share = multiply_adds(plan, terms) / (median(plain) / steps) / peak if peak else None
    return Parts(per_step, median(a / b for a, b in zip(watched, plain, strict=True)) - 1, share)


def iteration_parts(problem: Problem, net: PsiMLP, backend: str) -> Parts:
    """Of Gauss-Newton in float64, as `fit` runs it: a few iterations, from this network's weights."""
    own = copy.deepcopy(net).double()
    result = fit(problem, own, GaussNewton(ITERATIONS), options=Options(backend=backend))
    parts: Mapping[str, float] = result.end.seconds_by_part
    done = max(1, result.end.steps)
    return Parts({name: value / done for name, value in parts.items()})
