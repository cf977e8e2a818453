"""The strong Wolfe conditions, looked at from outside."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from psinn_fast.training.optimisers.line_search import CURVATURE, DECREASE, MOST, Trial, strong_wolfe

Function = Callable[[float], tuple[float, float]]


def search(function: Function, first: float, most: int = MOST) -> tuple[Trial[None] | None, list[float]]:
    """What is found, and the steps that were tried."""
    tried = list[float]()

    def along(step: float) -> Trial[None]:
        tried.append(step)
        return Trial(step, *function(step), None)

    return strong_wolfe(along, Trial(0.0, *function(0.0), None), first, most), tried


def check_conditions(function: Function, step: float) -> None:
    (value, slope), (before, steepest) = function(step), function(0.0)
    assert value <= before + DECREASE * step * steepest
    assert abs(slope) <= CURVATURE * abs(steepest)


@pytest.mark.parametrize("first", [1e-9, 1e-3, 1.0, 40.0, 1e6])
@pytest.mark.parametrize("seed", range(20))
def test_conditions_hold_on_functions_with_many_minima(seed: int, first: float) -> None:
    rng = np.random.default_rng(seed)
    amplitude, frequency, phase = rng.uniform(0.1, 2), rng.uniform(1, 30), rng.uniform(0, 6)

    def function(a: float) -> tuple[float, float]:
        angle = frequency * a + phase
        value = 0.5 * (a - 3) ** 2 - 40 * amplitude * a + amplitude * math.sin(angle)
        return value, a - 3 - 40 * amplitude + amplitude * frequency * math.cos(angle)

    found, tried = search(function, first)
    assert found is not None
    assert len(tried) <= MOST
    check_conditions(function, found.step)


def test_a_parabola_takes_one_interpolation() -> None:
    """The cubic through values and slopes of a parabola is the parabola."""
    found, tried = search(lambda a: (0.5 * (a - 1) ** 2, a - 1), 3.0)
    assert found is not None
    assert len(tried) == 2
    assert found.step == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("beyond", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("first", [1.0, 1e4])
def test_a_step_to_where_there_is_no_value_is_too_long(beyond: float, first: float) -> None:
    def function(a: float) -> tuple[float, float]:
        return (-math.log(0.5 - a) - 10 * a, 1 / (0.5 - a) - 10) if a < 0.5 else (beyond, beyond)

    found, tried = search(function, first)
    assert found is not None
    assert max(tried) >= first
    check_conditions(function, found.step)


def test_nothing_is_found_where_nothing_is_lower() -> None:
    found, tried = search(lambda a: (abs(a), -1.0), 1.0)
    assert found is None
    assert len(tried) == MOST


def test_without_a_flat_place_the_lowest_point_is_taken() -> None:
    """A kink: the slope is -1 before and 1 after it, nowhere below 0.9."""
    found, tried = search(lambda a: (abs(a - 1 / 3), -1.0 if a < 1 / 3 else 1.0), 1.0)
    assert found is not None
    assert found.value == min(abs(step - 1 / 3) for step in tried if step < 1 / 3) < 1e-3


def test_without_an_end_the_last_point_is_taken() -> None:
    found, tried = search(lambda a: (-a, -1.0), 1.0, most=5)
    assert found is not None
    assert found.step == max(tried) == 4.0**4


@pytest.mark.parametrize("seed", range(10))
def test_a_loss_at_the_resolution_of_float32_ends_the_search(seed: int) -> None:
    """Values that are all the same number, or neighbours of it: what is returned is lower, or nothing."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-9, -5)

    def function(a: float) -> tuple[float, float]:
        return float(np.float32(1 + scale * (0.5 * a * a - a))), float(np.float32(scale * (a - 1)))

    found, tried = search(function, float(10 ** rng.uniform(-2, 2)))
    assert len(tried) <= MOST
    if found is not None:
        check_conditions(function, found.step)
