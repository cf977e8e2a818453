"""Signed permutations, the groups they generate, and structures built from groups."""

from __future__ import annotations

from itertools import permutations, product

import pytest
import torch
from helpers import mlp, random_points, random_theta
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from psinn_fast.kernels.errors import InputError
from psinn_fast.networks.groups import SignedPermutation, Symmetry, close_group, structure_from_group
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

flip = SignedPermutation.flip


def maps(size: int) -> st.SearchStrategy[SignedPermutation]:
    signs = st.lists(st.sampled_from([1, -1]), min_size=size, max_size=size)
    return st.builds(SignedPermutation, st.permutations(range(size)), signs)


def image(g: SignedPermutation, x: Tensor) -> Tensor:
    return x[:, list(g.permutation)] * torch.tensor(g.signs, dtype=x.dtype)


def symmetry_error(structure: Structure, generator: Symmetry, seed: int = 0) -> float:
    theta, x = random_theta(structure, seed), random_points(40, structure.n_inputs, seed)
    character = torch.tensor(generator.character, dtype=x.dtype)
    return float((mlp(structure, theta, image(generator.map, x)) - character * mlp(structure, theta, x)).abs().max())


@given(st.integers(1, 4).flatmap(lambda size: st.tuples(maps(size), maps(size), maps(size))))
def test_group_axioms(three: tuple[SignedPermutation, ...]) -> None:
    g, h, k = three
    identity = SignedPermutation.identity(g.size)
    assert (g @ h) @ k == g @ (h @ k)
    assert g @ identity == identity @ g == g
    assert g @ g.inverse() == g.inverse() @ g == identity
    assert (g @ h).inverse() == h.inverse() @ g.inverse()
    x = random_points(3, g.size)
    assert torch.equal(image(g @ h, x), image(g, image(h, x)))


def test_description() -> None:
    assert flip(2, 1).describe("xy") == "y -> -y"
    assert SignedPermutation((1, 0), (1, -1)).describe("xy") == "x -> y, y -> -x"
    assert SignedPermutation.identity(3).describe("xyz") == "identity"


@pytest.mark.parametrize(
    ("permutation", "signs", "message"),
    [
        ((0, 0), (1, 1), r"permutation: expected an ordering of 0\.\.1, got \(0, 0\)"),
        ((1, 2), (1, 1), r"permutation: expected an ordering of 0\.\.1, got \(1, 2\)"),
        ((0, 1), (1,), r"signs: expected 2 entries of \+1 or -1, got \(1,\)"),
        ((0, 1), (1, 2), r"signs: expected 2 entries of \+1 or -1, got \(1, 2\)"),
    ],
)
def test_bad_maps(permutation: tuple[int, ...], signs: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SignedPermutation(permutation, signs)


@pytest.mark.parametrize("character", [(), (1, 0), (2,)])
def test_bad_characters(character: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"character: expected one \+1 or -1 per output"):
        Symmetry(flip(2, 0), character)


@pytest.mark.parametrize(
    ("generators", "size"),
    [
        ([(flip(1, 0), -1)], 2),
        ([(SignedPermutation.identity(3), 1)], 1),
        ([(flip(2, 0), -1), (flip(2, 1), 1)], 4),
        ([(SignedPermutation((1, 2, 0), (1, 1, 1)), 1)], 3),
        ([(SignedPermutation((1, 0), (1, -1)), -1)], 4),
        ([(SignedPermutation((1, 0), (1, 1)), 1), (flip(2, 0), 1)], 8),
        ([(SignedPermutation((1, 2, 3, 0), (1,) * 4), 1), (SignedPermutation((1, 0, 2, 3), (1,) * 4), 1)], 24),
    ],
)
def test_group_sizes(generators: list[tuple[SignedPermutation, int]], size: int) -> None:
    group = close_group([Symmetry(g, (sign,)) for g, sign in generators])
    assert len(group) == size
    assert next(iter(group)) == SignedPermutation.identity(generators[0][0].size)
    for g, h in product(group, repeat=2):  # closed, and the characters multiply
        assert group[g @ h] == (group[g][0] * group[h][0],)


def test_bad_groups() -> None:
    with pytest.raises(InputError, match="generators: expected at least one Symmetry"):
        close_group([])
    with pytest.raises(InputError, match=r"generators: all must act on the same inputs and outputs, got .*\(2, 1\)"):
        close_group([Symmetry(flip(2, 0), (1,)), Symmetry(flip(3, 0), (1,))])
    with pytest.raises(InputError, match="same inputs and outputs"):
        close_group([Symmetry(flip(2, 0), (1,)), Symmetry(flip(2, 0), (1, 1))])
    # A quarter turn to the fourth is the identity; an odd third of a turn contradicts itself.
    with pytest.raises(InputError, match="generators: the signs contradict each other: one map gets both"):
        close_group([Symmetry(SignedPermutation((1, 2, 0), (1, 1, 1)), (-1,))])
    with pytest.raises(InputError, match="contradict"):
        close_group([Symmetry(flip(2, 0), (1,)), Symmetry(flip(2, 0), (-1,))])


@st.composite
def generator_sets(draw: st.DrawFn) -> list[Symmetry]:
    """One or two generators of a small group in 1-4 inputs, 1-2 outputs, whose signs agree."""
    size, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    characters = st.tuples(*[st.sampled_from([1, -1])] * outputs)
    generators = draw(st.lists(st.builds(Symmetry, maps(size), characters), min_size=1, max_size=2))
    try:
        group = close_group(generators)
    except InputError:
        assume(False)
    assume(len(group) <= 16)
    return generators


@given(
    generators=generator_sets(),
    representation=st.sampled_from(["regular", "pooled", "average"]),
    hidden=st.lists(st.integers(1, 2), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_networks_have_the_symmetry(
    generators: list[Symmetry], representation: str, hidden: list[int], seed: int
) -> None:
    group, pooled = close_group(generators), representation == "pooled"
    assume(len(hidden) > 1 or not pooled)
    structure = structure_from_group(generators, hidden, representation)
    sizes = [len(group) * n for n in hidden]
    if pooled:
        sizes[-1] = len({tuple(signs[f] for signs in group.values()) for f in range(structure.n_outputs)}) * hidden[-1]
    assert structure.layer_sizes[1:-1] == tuple(sizes)
    assert structure.name == representation
    assert all(symmetry_error(structure, generator, seed) <= 1e-13 for generator in generators)


SIGNED = [
    [Symmetry(flip(1, 0), (-1,))],
    [Symmetry(flip(2, 0), (-1,)), Symmetry(flip(2, 1), (1,))],
    [Symmetry(flip(2, 0), (-1, 1)), Symmetry(flip(2, 1), (1, -1))],
    [Symmetry(SignedPermutation((1, 0), (1, 1)), (1,)), Symmetry(flip(2, 0, 1), (-1,))],
    [Symmetry(flip(3, 0, 1, 2), (-1,)), Symmetry(SignedPermutation((1, 2, 0), (1, 1, 1)), (1,))],
    [Symmetry(flip(4, 0, 1, 2, 3), (-1, -1)), Symmetry(SignedPermutation((1, 0, 3, 2), (1, 1, -1, -1)), (1, -1))],
]


@pytest.mark.parametrize("generators", SIGNED)
@pytest.mark.parametrize("hidden", [(1,), (2, 3), (1, 2, 1)])
def test_signed_halves_the_neurons(generators: list[Symmetry], hidden: tuple[int, ...]) -> None:
    signed = structure_from_group(generators, hidden, "signed", name="half")
    regular = structure_from_group(generators, hidden)
    assert [2 * n for n in signed.layer_sizes[1:-1]] == list(regular.layer_sizes[1:-1])
    assert signed.name == "half"
    assert not any(any(layer.bias) for layer in signed.layers)
    assert all(symmetry_error(signed, generator) <= 1e-13 for generator in generators)


def test_the_symmetry_is_not_trivial() -> None:
    """The networks are not zero, and do not have symmetries that were not asked for."""
    for generators in SIGNED[:2]:
        for representation in ("regular", "signed", "pooled", "average"):
            structure = structure_from_group(generators, (2, 2), representation)
            values = mlp(structure, random_theta(structure, 1), random_points(20, structure.n_inputs))
            assert float(values.abs().max()) > 1e-2
    structure = structure_from_group([Symmetry(flip(2, 1), (1,))], (2, 2))
    assert symmetry_error(structure, Symmetry(flip(2, 0), (1,))) > 1e-3
    assert symmetry_error(structure, Symmetry(flip(2, 1), (-1,))) > 1e-3


def test_regular_even_structure_is_the_papers() -> None:
    structure = structure_from_group([Symmetry(flip(2, 1), (1,))], (1, 1))
    assert [layer.weight for layer in structure.layers] == [((1, 2), (1, -2)), ((1, 2), (2, 1)), ((1, 1),)]
    assert [layer.bias for layer in structure.layers] == [(1, 1), (1, 1), (1,)]
    odd = structure_from_group([Symmetry(flip(2, 1), (-1,))], (1, 1))
    assert (odd.layers[-1].weight, odd.layers[-1].bias) == (((1, -1),), (0,))


def test_pooled_structures_are_the_papers() -> None:
    even = structure_from_group([Symmetry(flip(2, 1), (1,))], (1, 1, 2), "pooled")
    assert even.layers == published_structure("laplace").layers
    swap = structure_from_group([Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))], (2, 1, 1), "pooled")
    theirs = published_structure("poisson")
    assert [layer.weight for layer in swap.layers[1:]] == [layer.weight for layer in theirs.layers[1:]]
    # A field that is even, one that is odd: a block of neurons for each.
    both = structure_from_group([Symmetry(flip(2, 1), (1, -1))], (1, 1, 1), "pooled")
    assert (both.layers[2].weight, both.layers[2].bias) == (((1, 1), (2, -2)), (1, 0))
    assert (both.layers[3].weight, both.layers[3].bias) == (((1, 0), (0, 2)), (1, 0))


def test_output_biases_belong_to_even_outputs() -> None:
    generators = [Symmetry(flip(2, 1), (-1, 1, 1))]
    assert structure_from_group(generators).layers[-1].bias == (0, 1, 2)


def test_average_keeps_one_network() -> None:
    structure = structure_from_group([Symmetry(flip(2, 1), (1,))], (3, 3), "average")
    assert structure.layers[1].weight == ((1, 0), (0, 1))
    assert structure.n_parameters == Structure.dense([2, 3, 3, 1]).n_parameters


@pytest.mark.parametrize(
    ("generators", "options", "message"),
    [
        (
            SIGNED[0],
            {"representation": "dense"},
            "representation: expected 'regular', 'signed', 'pooled' or 'average', got 'dense'",
        ),
        (SIGNED[0], {"hidden": ()}, "hidden: expected at least one hidden layer"),
        ([], {}, "generators: expected at least one Symmetry"),
        (
            [Symmetry(flip(2, 1), (1,))],
            {"hidden": [2], "representation": "pooled"},
            "hidden: expected at least two hidden layers",
        ),
        ([Symmetry(flip(2, 1), (1,))], {"representation": "signed"}, "'signed' needs the inversion of all inputs"),
        ([Symmetry(flip(2, 0, 1), (1,))], {"representation": "signed"}, "'signed' needs the inversion of all inputs"),
        ([Symmetry(flip(1, 0), (-1, 1))], {"representation": "signed"}, "with every output odd under it"),
        (SIGNED[0], {"hidden": (0,)}, r"hidden\[0\]: expected an integer >= 1, got 0"),
    ],
)
def test_bad_input(generators: list[Symmetry], options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        structure_from_group(generators, **options)


def test_all_maps_of_the_square() -> None:
    every = {SignedPermutation(p, s) for p in permutations(range(2)) for s in product([1, -1], repeat=2)}
    group = close_group([Symmetry(SignedPermutation((1, 0), (1, 1)), (1,)), Symmetry(flip(2, 0), (1,))])
    assert set(group) == every
