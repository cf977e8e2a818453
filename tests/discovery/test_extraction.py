"""Structures are recovered from the weights of networks built to have them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from psinn_fast.discovery.extraction import DiscoveryError, Layer, extract_structure
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.symbols import SymbolLayer, renumber
from psinn_fast.networks.structure import Structure
from psinn_fast.symmetries.symmetry_check import structure_symmetries

FloatArray = npt.NDArray[np.float64]
EVEN = Structure(
    (
        SymbolLayer.of([[1, 2], [1, -2]], [1, 1]),
        SymbolLayer.of([[1, 2], [2, 1]], [1, 1]),
        SymbolLayer.of([[1, 1]], [1]),
    ),
    "even",
)
ODD = Structure(
    (
        SymbolLayer.of([[1, 2], [1, -2]], [1, 1]),
        SymbolLayer.of([[1, 2], [2, 1]], [1, 1]),
        SymbolLayer.of([[1, -1]], [0]),
    ),
    "odd",
)


def evaluate(layers: tuple[Layer, ...] | list[Layer], points: FloatArray) -> FloatArray:
    h = points
    for weight, bias in layers[:-1]:
        h = np.tanh(h @ weight.T + bias)
    return np.asarray(h @ layers[-1][0].T + layers[-1][1])


def separated_weights(structure: Structure, rng: np.random.Generator) -> list[Layer]:
    """Weights of the structure; the parameters of a tensor differ by at least 0.3 in magnitude."""
    parts = []
    for layer in structure.layers:
        for count in (layer.n_weights, layer.n_biases):
            parts.append(rng.choice([-1, 1], count) * (0.5 + 0.3 * rng.permutation(count)))
    expanded = structure.expand(torch.from_numpy(np.concatenate(parts)))
    return [(weight.numpy().copy(), bias.numpy().copy()) for weight, bias in expanded]


def random_structure(rng: np.random.Generator) -> Structure:
    """Random symbols such that no neuron is dead, constant or a copy."""
    sizes = [2, *rng.integers(2, 5, rng.integers(1, 4)), int(rng.integers(1, 3))]
    layers: list[SymbolLayer] = []
    for n_in, n_out in pairwise(sizes):
        while True:
            weight = rng.integers(-4, 5, (n_out, n_in))
            bias = rng.integers(-3, 4, n_out)
            rows = np.column_stack([weight, bias])
            distinct = {tuple(max(row, [-s for s in row])) for row in rows.tolist()}
            if weight.any(axis=0).all() and weight.any(axis=1).all() and len(distinct) == n_out:
                break
        layers.append(SymbolLayer.of(renumber(weight.tolist()), renumber([bias.tolist()])[0]))
    return Structure(tuple(layers), "random")


def add_copy(layers: list[Layer], number: int, rng: np.random.Generator) -> None:
    """A second copy of a neuron, with a random sign, that takes over a share of its outgoing weights."""
    (weight, bias), (after, after_bias) = layers[number], layers[number + 1]
    i, sign, share = rng.integers(len(bias)), rng.choice([-1, 1]), rng.uniform(0.2, 0.8)
    layers[number] = (np.vstack([weight, sign * weight[i]]), np.append(bias, sign * bias[i]))
    after = np.column_stack([after, sign * share * after[:, i]])
    after[:, i] *= 1 - share
    layers[number + 1] = (after, after_bias)


def add_dead(layers: list[Layer], number: int, rng: np.random.Generator) -> None:
    (weight, bias), (after, after_bias) = layers[number], layers[number + 1]
    layers[number] = (np.vstack([weight, rng.uniform(5, 6, weight.shape[1])]), np.append(bias, rng.uniform(5, 6)))
    layers[number + 1] = (np.column_stack([after, np.zeros(len(after))]), after_bias)


def add_constant(layers: list[Layer], number: int, rng: np.random.Generator) -> None:
    (weight, bias), (after, after_bias) = layers[number], layers[number + 1]
    value, share = rng.uniform(0.5, 2), rng.uniform(0.5, 2)
    layers[number] = (np.vstack([weight, np.zeros(weight.shape[1])]), np.append(bias, value))
    layers[number + 1] = (
        np.column_stack([after, np.full(len(after), share)]),
        after_bias - share * np.tanh(value),
    )


def scrambled(layers: list[Layer], rng: np.random.Generator) -> list[Layer]:
    """The same function with hidden neurons in another order and with other signs."""
    layers = list(layers)
    for number in range(len(layers) - 1):
        (weight, bias), (after, after_bias) = layers[number], layers[number + 1]
        order, signs = rng.permutation(len(bias)), rng.choice([-1, 1], len(bias))
        layers[number] = (signs[:, None] * weight[order], signs * bias[order])
        layers[number + 1] = (after[:, order] * signs, after_bias)
    return layers


@given(seed=st.integers(0, 10**6))
@settings(max_examples=150)
def test_random_structure_is_recovered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng)
    clean = separated_weights(structure, rng)
    plain = extract_structure(clean)
    assert [layer.n_weights for layer in plain.structure.layers] == [layer.n_weights for layer in structure.layers]
    assert plain.structure.n_parameters == structure.n_parameters
    assert plain.structure.layer_sizes == structure.layer_sizes

    student = list(clean)
    additions = [add_copy, add_dead, add_constant]
    n_added = int(rng.integers(1, 7))
    for kind in rng.integers(0, 3, n_added):
        additions[kind](student, int(rng.integers(len(student) - 1)), rng)
    student = [(w + 1e-4 * rng.uniform(-1, 1, w.shape), b + 1e-4 * rng.uniform(-1, 1, b.shape)) for w, b in student]
    found = extract_structure(student)

    assert found.structure == plain.structure
    assert found.relations == plain.relations
    # A constant may count as a copy: two of them, fed by another constant, are equal.
    assert found.n_merged + found.n_dead + found.n_constant == n_added
    points = rng.uniform(-1, 1, (50, 2))
    np.testing.assert_allclose(evaluate(found.weights, points), evaluate(clean, points), atol=0.05)
    np.testing.assert_allclose(evaluate(found.simplified, points), evaluate(student, points), atol=0.05)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40)
def test_theta_expands_to_the_tied_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = extract_structure(separated_weights(random_structure(rng), rng))
    for (weight, bias), (w, b) in zip(found.structure.expand(found.theta), found.weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), w, rtol=1e-14)
        np.testing.assert_allclose(bias.numpy(), b, rtol=1e-14)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30)
@pytest.mark.parametrize(("structure", "character"), [(EVEN, 1), (ODD, -1)])
def test_symmetry_survives_order_signs_copies_and_scaling(structure: Structure, character: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    student = separated_weights(structure, rng)
    add_copy(student, 0, rng)
    add_dead(student, 1, rng)
    found = extract_structure(scrambled(student, rng))
    assert found.structure.n_parameters == structure.n_parameters
    (symmetry,) = structure_symmetries(found.structure, ["x", "y"])
    assert (symmetry.text, symmetry.symmetry.character) == ("y -> -y", (character,))


def test_relations_of_the_even_network() -> None:
    found = extract_structure(separated_weights(EVEN, np.random.default_rng(0)), name="found")
    assert found.relations == (
        "layer 1, rows 1 and 2: sign-flipped",
        "layer 2, rows 1 and 2: permuted",
        "layer 3, columns 1 and 2: shared",
    )
    assert str(found.structure).splitlines()[1:] == [
        "  W1 = [[a, b], [a, -b]]   b1 = [c, c]",
        "  W2 = [[A, B], [B, A]]   b2 = [d, d]",
        "  W3 = [[C, C]]   b3 = [e]",
    ]
    assert found.structure.name == "found"


def test_small_shares_of_many_copies_are_added_before_anything_is_called_zero() -> None:
    weight, bias = np.tile([[1.0, 2.0]], (10, 1)), np.full(10, 0.5)
    found = extract_structure([(weight, bias), (np.full((1, 10), 0.05), np.zeros(1))])
    assert found.structure.layer_sizes == (2, 1, 1)
    assert found.n_merged == 9
    assert found.weights[1][0].item() == pytest.approx(0.5)


def test_copies_with_opposite_shares_are_dead() -> None:
    weight = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 0.0]])
    found = extract_structure([(weight, np.ones(3)), (np.array([[1.0, -1.0, 2.0]]), np.zeros(1))])
    assert (found.n_merged, found.n_dead) == (1, 1)
    assert found.structure.layer_sizes == (2, 1, 1)


def test_larger_threshold_ties_more() -> None:
    rng = np.random.default_rng(3)
    student = [(rng.standard_normal((8, 2)), rng.standard_normal(8)), (rng.standard_normal((1, 8)), np.zeros(1))]
    counts = [extract_structure(student, threshold).structure.n_parameters for threshold in (0.01, 0.05, 0.1, 0.3)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


def test_one_linear_layer() -> None:
    found = extract_structure([(np.array([[1.0, -1.0]]), np.zeros(1))])
    assert found.structure.layers[0].weight == ((1, -1),)
    assert found.relations == ("layer 1, columns 1 and 2: sign-flipped",)


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ([(np.zeros((3, 2)), np.ones(3)), (np.ones((1, 3)), np.zeros(1))], "nothing feeds them"),
        ([(np.ones((3, 2)), np.ones(3)), (np.zeros((1, 3)), np.zeros(1))], "they feed nothing"),
    ],
)
def test_collapsed_student(weights: list[Layer], why: str) -> None:
    with pytest.raises(DiscoveryError, match=f"hidden layer 1: no neuron is left.*{why}.*less regularisation"):
        extract_structure(weights)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "weights: expected at least one"),
        ([(np.ones(3), np.ones(3))], r"weights\[0\]: expected W"),
        ([(np.ones((3, 2)), np.ones(2))], r"weights\[0\]: expected W"),
        ([(np.ones((3, 2)), np.ones(3)), (np.ones((1, 4)), np.ones(1))], r"weights\[1\]: takes 4 values"),
        ([(np.full((3, 2), np.nan), np.ones(3))], "finite"),
    ],
)
def test_bad_weights(weights: list[Layer], message: str) -> None:
    with pytest.raises(InputError, match=message):
        extract_structure(weights)


def test_bad_threshold() -> None:
    with pytest.raises(InputError, match="threshold: expected a finite number > 0, got 0"):
        extract_structure([(np.ones((1, 2)), np.ones(1))], 0)


def test_copies_add_up_and_weigh_the_mean() -> None:
    layers = [(np.array([[1.0], [1.03]]), np.array([0.5, 0.5])), (np.array([[0.7, 0.4]]), np.array([0.2]))]
    found = extract_structure(layers, copies=[[1, 2]])
    assert [count.tolist() for count in found.copies] == [[3.0]]
    assert found.simplified[0][0].ravel() == pytest.approx([1.02])
    assert found.simplified[1][0].ravel() == pytest.approx([1.1])
    with pytest.raises(InputError, match=r"copies: expected positive counts of shapes \[\(2,\)\]"):
        extract_structure(layers, copies=[[1, 0]])
    with pytest.raises(InputError, match="copies: expected positive counts"):
        extract_structure(layers, copies=[[1]])
