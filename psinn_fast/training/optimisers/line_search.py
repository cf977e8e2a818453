"""A step along a line that satisfies the strong Wolfe conditions (Nocedal & Wright 2006, algorithms 3.5 and 3.6)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

# c_1 of the sufficient decrease and c_2 of the curvature condition, as usual for quasi-Newton directions.
DECREASE, CURVATURE = 1e-4, 0.9
# Evaluations of a search, at most.
MOST = 25
# A step may become so many times longer between two trials, before a minimum is bracketed.
_LONGER = 4.0
# A trial keeps this part of the bracket's width from its ends; two trials shrink it to this part at least.
_MARGIN, _SHRINK = 0.1, 2 / 3

Place = TypeVar("Place")


@dataclass(frozen=True)
class Trial(Generic[Place]):
    """phi(a) = f(x + a d) on a line.

    Attributes:
        step: a, in units of the direction d.
        value: phi(a); NaN or infinite where f has no value.
        slope: phi'(a) = d . grad f.
        place: what the caller wants to know of this point.
    """

    step: float
    value: float
    slope: float
    place: Place

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.value) and math.isfinite(self.slope)


def strong_wolfe(
    along: Callable[[float], Trial[Place]], start: Trial[Place], first: float, most: int = MOST
) -> Trial[Place] | None:
    """A step a > 0 with phi(a) <= phi(0) + c_1 a phi'(0) and |phi'(a)| <= c_2 |phi'(0)|.

    Where ``most`` evaluations find none, the lowest point with the first of the two properties; None: there is none
    either. A trial that is not finite counts as too long a step.

    Args:
        along: evaluates phi and its derivative.
        start: phi(0), falling: its slope is negative.
        first: the step that is tried first.
    """
    before, step = start, first
    for done in range(1, most + 1):
        trial = along(step)
        if not _decreases(trial, start) or trial.value >= before.value:
            return _zoom(along, start, before, trial, most - done)
        if _is_flat(trial, start):
            return trial
        if trial.slope >= 0:
            return _zoom(along, start, trial, before, most - done)
        # The least of the cubic lies ahead if it has one; further than the last trial by a tenth of the last move.
        least = step + _MARGIN * (step - before.step)
        step, before = min(max(_cubic_minimum(before, trial), least), _LONGER * step), trial
    return before


def _zoom(
    along: Callable[[float], Trial[Place]], start: Trial[Place], low: Trial[Place], high: Trial[Place], most: int
) -> Trial[Place] | None:
    """Within a bracket: ``low`` is the lowest point so far with sufficient decrease, or the start; phi falls from it
    towards ``high``."""
    width = math.inf  # two trials ago
    for _ in range(most):
        a, b = sorted((low.step, high.step))
        last, width = width, b - a
        step = 0.5 * (a + b)
        if high.is_finite and width <= _SHRINK * last:
            step = min(max(_cubic_minimum(low, high), a + _MARGIN * width), b - _MARGIN * width)
        if not a < step < b:
            break  # neighbouring numbers
        trial = along(step)
        if not _decreases(trial, start) or trial.value >= low.value:
            high = trial
            continue
        if _is_flat(trial, start):
            return trial
        if trial.slope * (high.step - low.step) >= 0:
            high = low
        low = trial
    return low if low.step > 0 else None


def _decreases(trial: Trial[Place], start: Trial[Place]) -> bool:
    return trial.is_finite and trial.value <= start.value + DECREASE * trial.step * start.slope


def _is_flat(trial: Trial[Place], start: Trial[Place]) -> bool:
    return abs(trial.slope) <= CURVATURE * abs(start.slope)


def _cubic_minimum(a: Trial[Place], b: Trial[Place]) -> float:
    """Of the cubic with the values and slopes of both (formula 3.59); infinite where it has none between or beyond."""
    chord = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = chord * chord - a.slope * b.slope
    if not square >= 0:
        return math.inf
    root = math.copysign(math.sqrt(square), b.step - a.step)
    divisor = b.slope - a.slope + 2 * root
    return b.step - (b.step - a.step) * (b.slope + root - chord) / divisor if divisor else math.inf
