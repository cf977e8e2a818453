"""Relations of layers from a group: W g = h W, b = h b, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psinn_fast import SignedPermutation, Symmetry, layer_from_group, structure_from_group
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.symbols import SymbolLayer

SWAP = SignedPermutation((1, 0), (1, 1))
FLIP = SignedPermutation.flip(1, 0)


def matrix(g: SignedPermutation, size: int) -> np.ndarray:
    """Of g x, on blocks of a size."""
    columns = np.stack([g(unit) for unit in np.eye(g.size)], axis=1)
    return np.kron(columns, np.eye(size))


@st.composite
def maps(draw: st.DrawFn, size: int) -> SignedPermutation:
    order = draw(st.permutations(range(size)))
    return SignedPermutation(tuple(order), tuple(draw(st.sampled_from([1, -1])) for _ in order))


@given(st.data())
def test_all_layers_that_commute(data: st.DataObject) -> None:
    """As many independent weights as the equations leave free, found by their rank."""
    n_in, n_out = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    pairs = data.draw(st.lists(st.tuples(maps(n_in), maps(n_out)), min_size=1, max_size=3))
    rows, cols = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    layer = layer_from_group(pairs, rows, cols)
    (index, sign), (bias, bias_sign) = layer.weight_map(), layer.bias_map()
    theta = np.random.default_rng(0).standard_normal(layer.n_parameters + 1)
    weight, b = sign * theta[index], bias_sign * theta[np.minimum(bias, layer.n_parameters)]
    equations = []
    for g, h in pairs:
        g_in, g_out = matrix(g, cols), matrix(h, rows)
        np.testing.assert_allclose(weight @ g_in, g_out @ weight, rtol=0, atol=1e-15)
        np.testing.assert_allclose(g_out @ b, b, rtol=0, atol=1e-15)
        equations.append(np.kron(np.eye(n_out), matrix(g, 1).T) - np.kron(matrix(h, 1), np.eye(n_in)))
    free = n_out * n_in - np.linalg.matrix_rank(np.vstack(equations))
    assert layer.n_weights == free * rows * cols
    fixed = np.vstack([matrix(h, 1) - np.eye(n_out) for _, h in pairs])
    assert layer.n_biases == (n_out - np.linalg.matrix_rank(fixed)) * rows


def test_known_layers() -> None:
    assert layer_from_group([(SWAP, SWAP)], 3, 2) == SymbolLayer.of([[1, 2], [2, 1]], [1, 1], [3, 3], [2, 2])
    assert layer_from_group([(FLIP, SWAP)], 3) == SymbolLayer.of([[1], [-1]], [1, 1], [3, 3], [1])
    assert layer_from_group([(SWAP, SWAP)], bias=False).bias == (0, 0)
    identity = SignedPermutation.identity
    assert layer_from_group([(SWAP, identity(2))], [3, 1], 2).rows == (3, 1)
    middle = structure_from_group([Symmetry(FLIP, (1,))], hidden=(3, 4)).layers[1]
    assert layer_from_group([(SWAP, SWAP)], 4, 3) == middle


def test_bad_generators() -> None:
    for generators, message in (
        ([], "at least one pair"),
        ([SWAP], "expected pairs of SignedPermutation"),
        ([(SWAP, SWAP), (FLIP, SWAP)], r"the same \(outputs, inputs\), got \[\(2, 1\), \(2, 2\)\]"),
    ):
        with pytest.raises(InputError, match=f"^generators: .*{message}"):
            layer_from_group(generators)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="blocks of unequal sizes"):
        layer_from_group([(SWAP, SWAP)], [3, 4])
