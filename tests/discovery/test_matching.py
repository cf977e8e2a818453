"""Neurons of networks that have a symmetry by construction are matched, however they are ordered and signed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from psinn_fast import SignedPermutation, Structure, Symmetry, structure_from_group
from psinn_fast.discovery.matching import match_neurons, tied_copies, tied_structure
from psinn_fast.discovery.student import fitted
from psinn_fast.symmetries.symmetry_check import structure_symmetries

FloatArray = npt.NDArray[np.float64]
EVEN_Y = Symmetry(SignedPermutation.flip(2, 1), (1,))
ODD_X = Symmetry(SignedPermutation.flip(2, 0), (-1,))
TURN = Symmetry(SignedPermutation((1, 0), (1, -1)), (1,))
SWAP_TWO = Symmetry(SignedPermutation((1, 0), (1, 1)), (1, -1))
CASES = [[EVEN_Y], [ODD_X], [EVEN_Y, ODD_X], [TURN], [SWAP_TWO]]


def scrambled_network(symmetries: list[Symmetry], rng: np.random.Generator) -> list[tuple[FloatArray, FloatArray]]:
    """Random weights with the symmetry; hidden neurons in random order, with random signs."""
    structure = structure_from_group(symmetries, (2, 1))
    theta = torch.from_numpy(rng.standard_normal(structure.n_parameters))
    layers = [(w.numpy().copy(), b.numpy().copy()) for w, b in structure.expand(theta)]
    for number in range(len(layers) - 1):
        (weight, bias), (after, after_bias) = layers[number], layers[number + 1]
        order, signs = rng.permutation(len(bias)), rng.choice([-1, 1], len(bias))
        layers[number] = (signs[:, None] * weight[order], signs * bias[order])
        layers[number + 1] = (after[:, order] * signs, after_bias)
    return layers


def ones(layers: list[tuple[FloatArray, FloatArray]]) -> list[FloatArray]:
    return [np.ones(len(bias)) for _, bias in layers[:-1]]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15)
@pytest.mark.parametrize("symmetries", CASES)
def test_matched_and_tied(symmetries: list[Symmetry], seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = scrambled_network(symmetries, rng)
    matches = [match_neurons(layers, ones(layers), symmetry.map) for symmetry in symmetries]
    assert [match.symmetry for match in matches] == symmetries
    assert all(match.mismatch < 1e-20 for match in matches)
    tied = tied_structure(layers, matches)
    assert set(symmetries) <= {found.symmetry for found in structure_symmetries(tied, "xy")}
    # Nothing but orbits is tied, and the weights are those given.
    assert tied.n_parameters < Structure.dense(tied.layer_sizes).n_parameters
    for (w, b), (weight, bias) in zip(tied.expand(fitted(tied, layers)), layers, strict=True):
        np.testing.assert_allclose(w.numpy(), weight, atol=1e-12)
        np.testing.assert_allclose(b.numpy(), bias, atol=1e-12)


def test_noise_changes_no_match_and_shows_as_mismatch() -> None:
    rng = np.random.default_rng(0)
    layers = scrambled_network([EVEN_Y], rng)
    noisy = [(w + 0.01 * rng.standard_normal(w.shape), b) for w, b in layers]
    clean, found = (match_neurons(network, ones(layers), EVEN_Y.map) for network in (layers, noisy))
    for one, other in zip(clean.maps, found.maps, strict=True):
        assert (one.sources == other.sources).all()
        assert (one.signs == other.signs).all()
    assert 1e-6 < found.mismatch < 1e-2


def test_a_map_the_network_does_not_have() -> None:
    layers = scrambled_network([EVEN_Y], np.random.default_rng(3))
    match = match_neurons(layers, ones(layers), SignedPermutation.flip(2, 0))
    assert match.mismatch > 0.01
    # Ties still make a structure that has it: whether that costs anything is for the loss to say.
    tied = tied_structure(layers, [match])
    assert match.symmetry in {found.symmetry for found in structure_symmetries(tied, "xy")}


def test_neurons_of_an_orbit_stand_for_equally_many() -> None:
    layers = scrambled_network([EVEN_Y], np.random.default_rng(4))
    match = match_neurons(layers, ones(layers), EVEN_Y.map)
    copies = [np.arange(1.0, 1 + len(bias)) for _, bias in layers[:-1]]
    for before, after, number in zip(copies, tied_copies(copies, [match]), (1, 2), strict=True):
        sources = match.maps[number].sources
        np.testing.assert_allclose(after, (before + before[sources]) / 2)
