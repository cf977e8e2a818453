"""Noise of measurements is told from fronts and waves, and is about as large as it is said to be."""

from __future__ import annotations

import numpy as np
import pytest
from small import small_laplace

from psinn_fast import Data, get_problem
from psinn_fast.training.measurement_noise import noise_of, noisy_measurements

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.random((66, 2))
SMOOTH = np.exp(-POINTS[:, 0]) * np.sin(2 * np.pi * POINTS[:, 1])


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_noise_is_found_and_measured(noise: float) -> None:
    values = SMOOTH + noise * SMOOTH.std() * RANDOM.normal(size=len(POINTS))
    for units in (1.0, 1e-9):
        assert 0.6 * noise < noise_of(POINTS * [1.0, 1e6], 300 + units * values) < 1.4 * noise
    assert noise_of(POINTS[:9], values[:9]) == 0


@pytest.mark.parametrize(
    "values",
    [
        SMOOTH,
        -np.tanh(50 * (POINTS[:, 1] - 0.5)) * POINTS[:, 0],
        np.sign(POINTS[:, 1] + POINTS[:, 0] - 1) * (1 - POINTS[:, 1] ** 2),
        np.sin(40 * POINTS[:, 0]) * np.sin(40 * POINTS[:, 1]),
        np.full(66, 3.0),
        np.where(POINTS[:, 0] > 0.5, np.nan, SMOOTH),
    ],
    ids=["smooth", "a front", "a jump", "waves", "constant", "not a number"],
)
def test_what_is_no_noise(values: np.ndarray) -> None:
    assert noise_of(POINTS, values) == 0


def test_points_on_a_line_in_space_and_at_one_place() -> None:
    line = POINTS * [1.0, 0.0]
    assert noise_of(line, np.sin(3 * POINTS[:, 0])) == 0
    assert 0.05 < noise_of(line, np.sin(3 * POINTS[:, 0]) + 0.05 * RANDOM.normal(size=66)) < 0.3  # of 0.35
    assert noise_of(np.zeros((20, 2)), RANDOM.normal(size=20)) == 0


def test_of_a_problem_measurements_alone_count() -> None:
    assert noisy_measurements(get_problem("burgers-inverse")) == {}
    box = small_laplace().domain
    inside = box.low + (box.high - box.low) * POINTS
    noisy = SMOOTH + 0.1 * RANDOM.normal(size=66)
    for values, weight, found in ((noisy, 1.0, ["u"]), (noisy, 0.0, []), (lambda x, y: np.sin(1e6 * x), 1.0, [])):
        conditions = [*small_laplace().conditions, Data(inside, u=values, weight=weight)]
        assert list(noisy_measurements(small_laplace().altered(conditions=tuple(conditions)))) == found
