"""Symmetries of functions and of structures are found, and only those."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psinn_fast.domains import Box
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group
from psinn_fast.networks.structure import Structure
from psinn_fast.symmetries.symmetry_check import find_symmetries, structure_symmetries

FloatArray = npt.NDArray[np.float64]


def cube(coords: str) -> Box:
    return Box(**dict.fromkeys(coords, (-1.0, 1.0)))


SQUARE = cube("xy")


def laplace(p: FloatArray) -> FloatArray:
    return p[:, :1] ** 3 - 3 * p[:, :1] * p[:, 1:] ** 2


def poisson(p: FloatArray) -> FloatArray:
    k = np.arange(1, 5)
    modes = np.sin(np.pi * k * p[:, :1]) * np.sin(np.pi * k * p[:, 1:])
    return np.asarray(modes @ (-1.0) ** k[:, None])


def test_laplace_is_even_in_y_and_odd_in_x() -> None:
    found = {match.text: match.symmetry.character for match in find_symmetries(laplace, SQUARE)}
    assert found == {"y -> -y": (1,), "x -> -x": (-1,), "x -> -x, y -> -y": (-1,)}


def test_poisson_about_its_centre() -> None:
    found = find_symmetries(poisson, Box(x=(0, 1), y=(0, 1)))
    swap, inversion = SignedPermutation((1, 0), (1, 1)), SignedPermutation((0, 1), (-1, -1))
    assert {match.symmetry.map for match in found} == {swap, inversion, swap @ inversion}
    assert all(match.error < 1e-12 for match in found)
    # About another point of the diagonal only the swap is left.
    (match,) = find_symmetries(poisson, Box(x=(0.1, 0.5), y=(0.1, 0.5)))
    assert match.symmetry.map == swap


def test_sign_per_output() -> None:
    found = find_symmetries(lambda p: np.column_stack([np.exp(p[:, 0]) * p[:, 1] ** k for k in (0, 1, 2)]), SQUARE)
    assert [(match.text, match.symmetry.character) for match in found] == [("y -> -y", (1, -1, 1))]


def test_no_symmetry() -> None:
    assert find_symmetries(lambda p: np.exp(p @ np.array([[1.0], [2.0], [3.0]])), cube("xyz")) == []


def test_constant_function_has_every_one() -> None:
    found = find_symmetries(lambda p: np.ones((len(p), 1)), cube("abcd"))
    assert len(found) == 2**4 * 24 - 1


def test_maps_that_leave_the_box_are_not_tried() -> None:
    def round_bump(p: FloatArray) -> FloatArray:
        return np.asarray(np.exp(-(p**2).sum(axis=1, keepdims=True)))

    assert len(find_symmetries(round_bump, SQUARE)) == 7
    assert len(find_symmetries(round_bump, Box(x=(-2, 2), y=(-1, 1)))) == 3


def test_tolerance_and_order() -> None:
    def nearly(p: FloatArray) -> FloatArray:
        return np.cos(p[:, :1]) * np.cos(p[:, 1:]) + 1e-2 * p[:, 1:]

    assert [match.text for match in find_symmetries(nearly, SQUARE)] == ["x -> -x"]
    loose = find_symmetries(nearly, SQUARE, tolerance=0.1)
    assert loose[0].text == "x -> -x"
    assert {"y -> -y", "x -> -x, y -> -y"} < {match.text for match in loose}
    assert [match.error for match in loose] == sorted(match.error for match in loose)


GENERATORS = [
    Symmetry(SignedPermutation((0, 1), (1, -1)), (1,)),
    Symmetry(SignedPermutation((0, 1), (-1, 1)), (-1,)),
    Symmetry(SignedPermutation((1, 0), (1, 1)), (1,)),
    Symmetry(SignedPermutation((1, 0), (1, -1)), (-1,)),
]


@given(generator=st.sampled_from(GENERATORS), hidden=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_structures_built_from_a_symmetry_have_it(generator: Symmetry, hidden: int, seed: int) -> None:
    structure = structure_from_group([generator], (1,) * hidden)
    found = structure_symmetries(structure, ["x", "y"], seed=seed)
    assert generator in [match.symmetry for match in found]


def test_dense_structure_has_none() -> None:
    assert structure_symmetries(Structure.dense([2, 4, 1]), ["x", "y"]) == []


def test_structure_without_biases_is_odd() -> None:
    layers = (SymbolLayer.of([[1, 2]], [0], [1], [1, 1]), SymbolLayer.of([[1]], [0]))
    (match,) = structure_symmetries(Structure(layers), ["t", "x"])
    assert (match.text, match.symmetry.character) == ("t -> -t, x -> -x", (-1,))


def test_bad_options() -> None:
    with pytest.raises(InputError, match="tolerance: expected a finite number > 0"):
        find_symmetries(laplace, SQUARE, tolerance=0.0)


def test_bad_values() -> None:
    with pytest.raises(InputError, match=r"f: expected values of shape \(256, m\), got \(256,\)"):
        find_symmetries(lambda p: p[:, 0], SQUARE)
    with pytest.raises(InputError, match="f: expected finite values"):
        find_symmetries(lambda p: np.full((len(p), 1), np.nan), SQUARE)


def test_structure_with_the_wrong_names() -> None:
    with pytest.raises(InputError, match="coords: expected 2 names, got 1"):
        structure_symmetries(Structure.dense([2, 4, 1]), ["x"])
