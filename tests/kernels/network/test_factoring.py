"""Factored matrices of symbols, and the involutions that leave one as it is."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from psinn_fast.kernels.network.lowering.factoring import PER_PRODUCT, factor
from psinn_fast.kernels.network.lowering.forms import Forms
from psinn_fast.kernels.network.lowering.involutions import InvolutionSearch


@given(seed=st.integers(0, 99_999))
@settings(max_examples=60)
def test_factored_matrices(seed: int) -> None:
    """post * leaves * pre is W, as linear forms."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 7, 2)
    n_symbols = int(rng.integers(1, 8))
    weight = rng.integers(-n_symbols, n_symbols + 1, (m, n))
    if rng.random() < 0.5:  # an exchange of halves
        other = rng.integers(-n_symbols, n_symbols + 1, (m, n))
        weight = np.block([[weight, other], [other, weight]])
    rows, cols = (np.full(k, 7) for k in weight.shape)
    forms = Forms(n_symbols)
    factored = factor(forms, weight, rows, cols)
    values = rng.normal(size=n_symbols + 1)

    def evaluate(matrix: np.ndarray) -> np.ndarray:
        table = np.array([sum(c * values[s] for s, c in terms) for terms in forms.terms])
        return np.sign(matrix) * table[np.abs(matrix)]

    middle = np.zeros((factored.post.shape[1], factored.pre.shape[0]))
    for leaf in factored.leaves:
        middle[np.ix_(leaf.slots, leaf.operands)] = evaluate(leaf.weight)
    np.testing.assert_allclose(factored.post @ middle @ factored.pre, evaluate(weight), atol=1e-12)
    assert factored.cost(rows, cols)[0] <= rows.sum() * cols.sum() + PER_PRODUCT
    assert factored.cost(rows, cols)[1] <= rows.sum() * cols.sum()


def test_involutions_of_a_matrix() -> None:
    weight, ones = np.array([[1, 2], [2, 1], [3, -3]]), np.ones(3, dtype=np.int64)
    ((out, into),) = InvolutionSearch(weight, ones, ones[:2]).run()
    assert (out.image.tolist(), out.sign.tolist()) == ([1, 0, 2], [1, 1, -1])
    assert (into.image.tolist(), into.sign.tolist()) == ([1, 0], [1, 1])
    assert not list(InvolutionSearch(np.arange(1, 7).reshape(3, 2), ones, ones[:2]).run())
    # Blocks of different sizes are never exchanged.
    assert not list(InvolutionSearch(np.array([[1, 2], [2, 1]]), np.array([1, 2]), np.array([1, 1])).run())
