"""Learning rates and Adam's bias corrections of many steps at once, as the second kernel reads them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..contract import AdamState

Numbers = npt.NDArray[np.float64]
# Below it 1 - x is 1.
NEGLIGIBLE = 2.0**-54


def step_rates(state: AdamState, steps: int) -> Numbers:
    """(steps, 2): lr / (1 - beta1^t) and 1 / (1 - beta2^t), t = state.step + 1, ...

    The very numbers of `AdamState.advance`, in float64: powers are Python's, since NumPy's differ in the last place.
    """
    (beta1, beta2), first = state.betas, state.step
    passed = np.searchsorted(np.sort(state.milestones), np.arange(first, first + steps), side="right")
    rates = np.zeros(len(state.milestones) + 1)
    for number in np.unique(passed).tolist():
        rates[number] = _rate(state, number)
    table = np.empty((steps, 2))
    table[:, 0] = rates[passed] / _corrections(beta1, first, steps)
    table[:, 1] = 1 / _corrections(beta2, first, steps)
    return table


def _rate(state: AdamState, passed: int) -> float:
    """Behind so many milestones. It may overflow in steps that nobody takes: those are in the table as well."""
    try:
        return state.lr * state.gamma**passed
    except OverflowError:
        return math.inf


def _corrections(beta: float, first: int, steps: int) -> Numbers:
    """1 - beta^t."""
    found = np.ones(steps)
    for k in range(steps):
        power = beta ** (first + k + 1)
        if power < NEGLIGIBLE:
            break
        found[k] -= power
    return found
