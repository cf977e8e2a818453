"""Lowering: rewritten plans give what the expanded ones give, with the expected number of multiplications."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import some_weights
from helpers import random_points, random_theta, relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import entrywise, planted_structure
from strategies import structures
from tied import EVEN_Y, ODD_X, PUBLISHED, ROTATION, SWAP, chain, constant_chain, tied_terms

from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.network.lowering.lowering import lower, side_by_side
from psinn_fast.kernels.network.plan import Folds, Plan, expanded_plan
from psinn_fast.kernels.network.symbols import SymbolLayer, renumber
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

BACKEND = ReferenceBackend()


def assert_same(structure: Structure, seed: int, all_operations: bool = True) -> Plan:
    """The lowered plan against the expanded one, all operations; gives the plan."""
    plan, plain, theta = lower(structure.layers), expanded_plan(structure.layers), random_theta(structure, seed)
    assert (plan.n_parameters, plan.d_in, plan.d_out) == (plain.n_parameters, plain.d_in, plain.d_out)
    assert plan.expanded_multiplications == plain.expanded_multiplications
    assert (plan.weight_slices, plan.dense_shapes) == (plain.weight_slices, plain.dense_shapes)
    for layer, expanded in zip(plan.layers, plain.layers, strict=True):
        assert layer.multiplications <= expanded.multiplications
        assert layer.fan_out <= expanded.fan_out
    assert len(plan.describe().splitlines()) == len(plan.layers) + 2
    assert_all_of_w_is_read(plan)

    def agree(ours, theirs) -> None:
        for a, b in zip(ours, theirs, strict=True):
            assert relative_error(a, b, floor=1e-2) < 1e-12

    d, f = structure.n_inputs, structure.n_outputs
    x = random_points(11, d, seed)
    for wanted in ([], [Laplacian(tuple(range(d)))], [(2, 2, 0, 0)[:d], (3, *(0, 1, 0)[: d - 1])]):
        channels = ChannelSet.closure(d, wanted)
        agree([BACKEND.jets(plan, theta, x, channels)], [BACKEND.jets(plain, theta, x, channels)])
        grad = random_points(11 * len(channels), f).view(11, len(channels), f)
        agree(*(BACKEND.jets_backward(p, theta, x, channels, grad, need_x=True) for p in (plan, plain)))
    if all_operations:
        nu = torch.tensor([0.4], dtype=torch.float64)
        terms = tied_terms(structure.n_inputs, structure.n_outputs)
        agree(*(BACKEND.loss_and_gradient(p, theta, nu, terms, some_weights(terms)) for p in (plan, plain)))
        for term in terms:
            agree(*(BACKEND.residual_jacobian(p, theta, nu, term) for p in (plan, plain)))
    return plan


def assert_all_of_w_is_read(plan: Plan) -> None:
    """Every entry of w by a product, as a bias, or by a fold; none by two products."""
    by_products = [product.weight for layer in plan.layers for product in layer.products]
    biases = [layer.bias for layer in plan.layers if layer.bias is not None]
    reads = np.zeros(plan.expansion.shape[0], dtype=np.int64)
    for part in by_products:
        reads[part] += 1
    assert reads.max(initial=0) <= 1
    for part in (*biases, plan.folds.weight, plan.folds.constant):
        reads[part] += 1
    assert (reads > 0).all()


def multiplications(plan: Plan) -> list[int]:
    return [layer.multiplications for layer in plan.layers]


@given(structure=structures, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_random_structures(structure: Structure, seed: int) -> None:
    assert_same(structure, seed, all_operations=False)


@given(seed=st.integers(0, 100_000))
@settings(max_examples=60)
def test_planted_relations(seed: int) -> None:
    structure = planted_structure(seed)
    assert_same(structure, seed, all_operations=seed % 4 == 0)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_published(name: str, width: int) -> None:
    assert_same(published_structure(name).with_width(width), width)


@pytest.mark.parametrize("representation", ["regular", "average", "signed", "pooled"])
@pytest.mark.parametrize("generators", [[EVEN_Y], [SWAP], [EVEN_Y, ODD_X], [ROTATION], [ROTATION, SWAP]])
def test_groups(generators: list[Symmetry], representation: str) -> None:
    if representation == "signed":
        if ROTATION in generators or generators == [SWAP]:
            generators = [Symmetry(generators[0].map, (-1,)), EVEN_Y] if generators == [SWAP] else [EVEN_Y, ODD_X]
        inversion = Symmetry(SignedPermutation.flip(2, 0, 1), (-1,))
        generators = [inversion, generators[0]] if generators[0] == EVEN_Y else [inversion]
    for width in (1, 4):
        assert_same(structure_from_group(generators, (1, 2), representation).with_width(width), width)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("laplace", lambda n: [4 * n, 2 * n * n, 2 * n * n, 2 * n]),
        ("burgers", lambda n: [4 * n, 3 * n * n, 4 * n * n, 2 * n]),
        ("poisson", lambda n: [4 * n, 4 * n * n, n * n, n]),
        ("flow", lambda n: [8 * n, 5 * n * n, 3 * n * n, 3 * n]),
    ],
)
@pytest.mark.parametrize("n", [8, 13])
def test_published_counts(name: str, expected, n: int) -> None:
    structure = published_structure(name).with_width(n)
    assert multiplications(lower(structure.layers)) == expected(n)
    assert multiplications(PsiMLP(published_structure(name), n).plan) == expected(n)


@pytest.mark.parametrize(
    ("generators", "order", "left"),
    [([EVEN_Y], 2, 2), ([EVEN_Y, ODD_X], 4, 4), ([ROTATION], 4, 6)],
)
def test_groups_block_diagonalise(generators: list[Symmetry], order: int, left: int) -> None:
    n = 16
    plan = lower(structure_from_group(generators, (1, 1)).with_width(n).layers)
    assert plan.expanded_multiplications[1] == (order * n) ** 2
    # Z4 has one involution, and a second one only in the half where rotation by 90 degrees is one: 1 + 1 + 4 blocks.
    assert plan.layers[1].multiplications == left * n * n
    assert plan.layers[-1].multiplications == n


def test_average_runs_each_copy_once() -> None:
    n = 8
    plan = lower(structure_from_group([EVEN_Y], (1, 1), "average").with_width(n).layers)
    assert multiplications(plan) == [4 * n, 2 * n * n, n]
    assert [(layer.pre, layer.post) for layer in plan.layers[1:2]] == [(None, None)]


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("seed", [0, 1])
def test_relations_are_found_again_among_single_neurons(name: str, seed: int) -> None:
    structure = published_structure(name).with_width(5)
    scalar = entrywise(structure, seed)
    assert multiplications(assert_same(scalar, seed)) == multiplications(lower(structure.layers))


@pytest.mark.parametrize("generators", [[EVEN_Y], [EVEN_Y, ODD_X], [ROTATION]])
def test_groups_are_found_again_among_single_neurons(generators: list[Symmetry]) -> None:
    structure = structure_from_group(generators, (1, 1)).with_width(8)
    scalar = entrywise(structure, 3)
    assert multiplications(assert_same(scalar, 3, all_operations=False)) == multiplications(lower(structure.layers))


def test_equal_and_opposite_neurons_merge() -> None:
    n, m = 8, 9
    structure = chain(
        SymbolLayer.of([[1], [-1], [2], [1]], [1, -1, 2, 1], [n] * 4, [2]),
        SymbolLayer.of([[1, 2, 3, 4], [2, 2, 5, 0]], [1, 2], [m, m], [n] * 4),
        SymbolLayer.of([[1, 2]], [1], [1], [m, m]),
    )
    plan = assert_same(structure, 0)
    # The second row's Theta_2 - Theta_2 cancels; the first has Theta_1 - Theta_2 + Theta_4.
    assert multiplications(plan) == [2 * n * 2, 3 * m * n, 2 * m]
    assert plan.layers[0].fan_out == 2 * n
    assert plan.layers[0].note == "16 equal neurons merged"
    assert plan.layers[1].note == "1 of 4 blocks zero"


def test_merging_goes_on_in_the_next_layer() -> None:
    structure = chain(
        SymbolLayer.of([[1], [1]], [1, 1], [2, 2], [2]),
        SymbolLayer.of([[1, 2], [2, 1], [3, -3]], [1, 1, 2], [3, 3, 3], [2, 2]),
        SymbolLayer.of([[1, 2, 3]], [1], [1], [3, 3, 3]),
    )
    plan = assert_same(structure, 1)
    # (A + B) h twice: one neuron. C - C: a constant.
    assert [layer.fan_out for layer in plan.layers] == [2, 3, 1]
    assert multiplications(plan) == [4, 6, 3]
    assert len(plan.folds) == 3


def test_shared_products() -> None:
    n = 8
    structure = chain(
        SymbolLayer.of([[1], [2]], [1, 2], [n, n], [2]),
        SymbolLayer.of([[1, 2], [1, 3], [-1, 4]], [1, 2, 3], [n] * 3, [n, n]),
        SymbolLayer.of([[1, 2, 1], [3, -2, 3]], [0, 1], [n, n], [n] * 3),
        SymbolLayer.of([[1, 2]], [0], [1], [n, n]),
    )
    plan = assert_same(structure, 2)
    # Layer 2: A once, B, C, D. Layer 3: three blocks on the sum of operands 1 and 3, and on operand 2.
    assert multiplications(plan)[1:3] == [4 * n * n, 3 * n * n]
    assert "shared" in plan.layers[1].note


def test_permutations_are_spared() -> None:
    """Zero blocks: hidden neurons change places, products are cut at gaps; no transform."""
    n = 12
    structure = chain(
        SymbolLayer.of([[1, 0], [0, 2], [3, 0]], [1, 2, 3], [n] * 3, [1, 1]),
        SymbolLayer.of([[1, 0, 2], [0, 3, 0]], [1, 2], [n, n], [n] * 3),
        SymbolLayer.of([[0, 1], [2, 0], [0, 3]], [1, 0, 2], [1] * 3, [n, n]),
    )
    plan = assert_same(structure, 3)
    assert multiplications(plan) == [3 * n, 3 * n * n, 3 * n]
    assert all(layer.pre is None and layer.post is None for layer in plan.layers)
    assert [len(layer.products) for layer in plan.layers] == [2, 2, 3]


def test_operands_overlap_where_they_can() -> None:
    """Each list side by side in the sequence, which repeats nothing that its end has already."""
    sequence, places = side_by_side([[0, 1, 2], [4, 2, 1], [4], [2, 0], [1, 2, 0], [0, 4, 2]])
    assert sequence == [0, 1, 2, 4, 2, 0]
    assert [place.tolist() for place in places] == [[0, 1, 2], [3, 2, 1], [3], [4, 5], [1, 2, 0], [5, 3, 4]]


@given(wanted=st.lists(st.lists(st.integers(0, 5), min_size=1, unique=True), min_size=1, max_size=6))
def test_side_by_side(wanted: list[list[int]]) -> None:
    sequence, places = side_by_side(wanted)
    for items, place in zip(wanted, places, strict=True):
        assert [sequence[k] for k in place] == items
        assert place.max() - place.min() == len(items) - 1


@pytest.mark.parametrize("kind", ["ties", "diagonal"])
def test_tiny_products_do_not_pay(kind: str) -> None:
    """A few accidental ties and zeros, or a small diagonal: one product costs less than many."""
    n = 3 if kind == "diagonal" else 16
    rng = np.random.default_rng(0)
    weight = np.diag([1, 2, 3]) if kind == "diagonal" else rng.integers(-60, 61, (n, n))
    structure = chain(
        SymbolLayer.of([[k + 1] for k in range(n)], list(range(1, n + 1)), [1] * n, [2]),
        SymbolLayer.of(renumber(weight.tolist()), list(range(1, n + 1))),
        SymbolLayer.of([list(range(1, n + 1))], [1]),
    )
    plan = assert_same(structure, 0)
    assert [len(layer.products) for layer in plan.layers] == [1, 1, 1]
    assert multiplications(plan)[1] == n * n


@pytest.mark.parametrize("n", [1, 3])
def test_constants_fold_into_biases(n: int) -> None:
    plan = assert_same(constant_chain(n), n)
    assert [layer.fan_out for layer in plan.layers] == [n, 2 * n, n, 2]
    assert multiplications(plan) == [2 * n, 2 * n * n, 2 * n * n, n]
    assert all(layer.bias is not None for layer in plan.layers)
    assert len(plan.folds.levels) == 3


def test_folds_by_hand() -> None:
    structure = chain(SymbolLayer.of([[0], [1]], [1, 2]), SymbolLayer.of([[1, 2]], [0]))
    plan = lower(structure.layers)
    theta = torch.tensor([1.0, 0.3, 0.2, 0.7, 0.5], dtype=torch.float64)  # a, constant, bias, Theta_1, Theta_2
    w = plan.expand(theta)
    assert plan.layers[1].bias is not None
    assert w[plan.layers[1].bias].item() == pytest.approx(0.7 * np.tanh(0.3), rel=1e-15)
    w_bar = torch.zeros_like(w)
    w_bar[plan.layers[1].bias] = 2.0
    t = np.tanh(0.3)
    expected = torch.tensor([0, 2 * 0.7 * (1 - t * t), 0, 2 * t, 0], dtype=torch.float64)
    torch.testing.assert_close(plan.pull_back(w, w_bar), expected, rtol=1e-14, atol=0)
    rows = plan.pull_back_rows(w, torch.stack([w_bar, 3 * w_bar]))
    torch.testing.assert_close(rows, torch.stack([expected, 3 * expected]), rtol=1e-14, atol=0)


@given(seed=st.integers(0, 9999))
@settings(max_examples=30)
def test_pull_back_is_the_adjoint_of_expand(seed: int) -> None:
    structure = constant_chain(2) if seed % 2 else planted_structure(seed)
    plan, theta = lower(structure.layers), random_theta(structure, seed).requires_grad_()
    w = plan.expand(theta)
    w_bar = random_points(1, w.numel(), seed)[0]
    if theta.numel():
        (expected,) = torch.autograd.grad(w, theta, w_bar, allow_unused=True, materialize_grads=True)
        torch.testing.assert_close(plan.pull_back(w.detach(), w_bar), expected)


def test_fold_levels() -> None:
    folds = Folds(np.array([1, 2, 3, 9]), np.array([5, 6, 7, 8]), np.array([0, 1, 1, 3]))
    assert folds.levels == (slice(0, 1), slice(1, 3), slice(3, 4))
    assert Folds(*np.empty((3, 0), dtype=np.int64)).levels == ()


@pytest.mark.parametrize(
    "layers",
    [
        [SymbolLayer.of([[0, 0]], [0])],
        [SymbolLayer.of([[0, 0]], [1])],
        [SymbolLayer.of([[0, 0], [1, 2]], [0, 1]), SymbolLayer.of([[1, 0]], [1])],
        [SymbolLayer.of([[1, 2], [1, 2]], [1, 1]), SymbolLayer.of([[1, -1]], [0])],
        [
            SymbolLayer.of([[0, 0]], [1], [3]),
            SymbolLayer.of([[1]], [0], [2], [3]),
            SymbolLayer.of([[1]], [1], [1], [2]),
        ],
        [SymbolLayer.of([[1, 2]], [1]), SymbolLayer.of([[0]], [0]), SymbolLayer.of([[1], [2]], [0, 1])],
    ],
)
def test_constant_networks(layers: list[SymbolLayer]) -> None:
    plan = assert_same(Structure(tuple(layers)), 5)
    assert sum(multiplications(plan)) == 0
    assert all(layer.fan_out >= 1 for layer in plan.layers)


def test_dead_neurons_go_from_the_output_back() -> None:
    n = 3
    structure = chain(
        SymbolLayer.of([[1], [2]], [1, 2], [n, n], [2]),
        SymbolLayer.of([[1, 0], [2, 3]], [1, 2], [n, n], [n, n]),
        SymbolLayer.of([[1, 0]], [1], [1], [n, n]),
    )
    plan = assert_same(structure, 6)
    assert multiplications(plan) == [2 * n, n * n, n]
    theta_bar, _ = BACKEND.jets_backward(
        plan, random_theta(structure, 0), random_points(3, 2), ChannelSet.closure(2, []), torch.ones(3, 1, 1).double()
    )
    second = slice(2 * n, 4 * n)  # the weights of the neurons that feed only what feeds nothing
    assert (theta_bar[second] == 0).all()


def test_dense_stays_as_it_is() -> None:
    structure = Structure.dense([2, 8, 8, 1])
    plan, plain = lower(structure.layers), expanded_plan(structure.layers)
    assert plan.expansion.is_identity
    assert plan.layers == plain.layers
    assert len(plan.folds) == 0
    theta = random_theta(structure, 0)
    assert plan.expand(theta) is theta


def test_dense_layers_beside_tied_ones() -> None:
    n = 4
    structure = chain(
        SymbolLayer.of([[1, 2], [1, -2]], [1, 1], [n, n], [1, 1]),
        SymbolLayer.of([[1, 2]], [1], [n], [n, n]),
        SymbolLayer.of([[1]], [1], [n], [n]),
        SymbolLayer.of([[1]], [1], [1], [n]),
    )
    plan = assert_same(structure, 7)
    assert [(layer.pre, layer.post, len(layer.products), layer.note) for layer in plan.layers[1:]] == [
        (None, None, 1, "dense")
    ] * 3


def test_describe() -> None:
    text = lower(published_structure("laplace").with_width(16).layers).describe()
    assert text.splitlines() == [
        "layer   neurons  multiplications  what was done",
        "    1  32 -> 32         64 -> 64  dense",
        "    2  32 -> 32      1024 -> 512  Z2 block-diagonal",
        "    3  32 -> 32      1024 -> 512  1 product shared",
        "    4    1 -> 1         32 -> 32  dense",
        "  all               2144 -> 1120  1.91 times fewer",
    ]
