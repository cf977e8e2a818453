"""Clusters of magnitudes: known cases, edges, and recovery of well separated values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psinn_fast.discovery.clustering import cluster_magnitudes
from psinn_fast.kernels.errors import InputError


def test_signs_are_put_back_and_labels_follow_the_centres() -> None:
    found = cluster_magnitudes([[0.75, -0.51], [-0.76, 0.001], [0.5, 2.0]])
    assert found.symbols.tolist() == [[2, -1], [-2, 0], [1, 3]]
    assert found.labels.tolist() == [[2, 1], [2, 0], [1, 3]]
    assert found.centres.tolist() == pytest.approx([0.505, 0.755, 2.0])
    assert found.tied.ravel().tolist() == pytest.approx([0.755, -0.505, -0.755, 0.0, 0.505, 2.0])


def test_a_lone_weight_is_zero_up_to_the_threshold() -> None:
    assert cluster_magnitudes([0.0999], 0.1).symbols.tolist() == [0]
    assert cluster_magnitudes([-0.1001], 0.1).symbols.tolist() == [-1]


def test_many_equal_small_weights_are_not_zero() -> None:
    assert (cluster_magnitudes(np.full(8, 0.09), 0.1).symbols == 1).all()


@pytest.mark.parametrize("shape", [(1,), (3, 4)])
def test_all_zero(shape: tuple[int, ...]) -> None:
    found = cluster_magnitudes(np.zeros(shape))
    assert found.symbols.shape == shape
    assert not found.symbols.any()
    assert found.centres.size == 0
    assert not found.tied.any()


@given(
    labels=st.lists(st.integers(-5, 5), min_size=1, max_size=40),
    seed=st.integers(0, 999),
)
@settings(max_examples=80)
def test_separated_values_are_recovered_from_noise(labels: list[int], seed: int) -> None:
    truth = np.array(labels)
    noise = 1e-3 * np.random.default_rng(seed).uniform(-1, 1, truth.shape)
    found = cluster_magnitudes(0.4 * truth + noise, 0.1)
    kinds = sorted({abs(k) for k in labels} - {0})
    expected = [np.sign(k) * (kinds.index(abs(k)) + 1) if k else 0 for k in labels]
    assert found.symbols.tolist() == expected
    np.testing.assert_allclose(found.tied, 0.4 * truth, atol=1e-3)


@given(seed=st.integers(0, 999), threshold=st.floats(1e-3, 1.0))
@settings(max_examples=40)
def test_signs_do_not_matter(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((3, 5))
    flips = rng.choice([-1, 1], (3, 5))
    one, other = cluster_magnitudes(values, threshold), cluster_magnitudes(flips * values, threshold)
    assert (one.labels == other.labels).all()
    assert (one.symbols == flips * other.symbols).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad: float) -> None:
    with pytest.raises(InputError, match="values: expected finite weights, got 1 NaN or infinite of 2"):
        cluster_magnitudes([1.0, bad])


def test_no_entries() -> None:
    with pytest.raises(InputError, match="values: expected at least one weight"):
        cluster_magnitudes([])


@pytest.mark.parametrize("threshold", [0.0, -0.1, np.nan, np.inf])
def test_bad_threshold(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold: expected a finite number > 0"):
        cluster_magnitudes([1.0], threshold)
