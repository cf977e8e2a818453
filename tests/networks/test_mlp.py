"""PsiMLP and MLP: drop-in for nn.Sequential, initialisation, conversion, ties that hold in training."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers import nested_autograd, random_points, relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import structures
from torch import Tensor, nn

from psinn_fast import Recipe, derivatives
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import AdamState
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.published import burgers_odd, laplace_even, published_structure
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Dirichlet, Residual
from psinn_fast.problem.problem import Problem
from psinn_fast.problems import get_problem

EPS = {torch.float32: 1e-6, torch.float64: 1e-14}
DTYPES = list(EPS)


def sequential(*sizes: int, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    modules: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        modules += [nn.Linear(n_in, n_out, dtype=dtype), nn.Tanh()]
    return nn.Sequential(*modules[:-1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(2, 1), (1, 7, 1), (3, 63, 5, 2)])
def test_dense_network_is_the_sequential_one(sizes: tuple[int, ...], dtype: torch.dtype) -> None:
    network = sequential(*sizes, dtype=dtype)
    net = MLP.from_sequential(network)
    assert isinstance(net, MLP)
    assert net.theta.dtype == dtype
    for shape in ((31,), (4, 5), (0,), ()):
        x = torch.rand(*shape, sizes[0], dtype=dtype)
        assert net(x).shape == (*shape, sizes[-1])
        torch.testing.assert_close(net(x), network(x), rtol=EPS[dtype], atol=EPS[dtype])
    back = net.to_sequential()
    for ours, theirs in zip(back.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@given(structure=structures, seed=st.integers(0, 99), dtype=st.sampled_from(DTYPES))
@settings(max_examples=40)
def test_round_trips(structure: Structure, seed: int, dtype: torch.dtype) -> None:
    net = PsiMLP(structure, seed=seed, dtype=dtype)
    again = PsiMLP.from_sequential(net.to_sequential(), structure)
    x = random_points(9, structure.n_inputs, seed, dtype)
    torch.testing.assert_close(again.theta, net.theta, rtol=EPS[dtype], atol=EPS[dtype])
    torch.testing.assert_close(again(x), net(x), rtol=EPS[dtype], atol=EPS[dtype])
    torch.testing.assert_close(net.to_sequential()(x), net(x), rtol=EPS[dtype], atol=EPS[dtype])


def test_looking_at_a_network_in_inference_mode_leaves_it_trainable() -> None:
    net, x = PsiMLP(laplace_even(), 2, seed=0), random_points(5, 2, dtype=torch.float32)
    with torch.inference_mode():
        net(x)
    net(x).sum().backward()
    assert net.theta.grad is not None


def test_to_sequential_is_a_copy() -> None:
    net = PsiMLP(laplace_even(), seed=0)
    network = net.to_sequential()
    with torch.no_grad():
        network[0].weight.zero_()
    assert net.theta.abs().min() > 0
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_from_sequential_without_biases() -> None:
    structure = Structure.dense([2, 3, 1])
    network = nn.Sequential(nn.Linear(2, 3, bias=False), nn.Tanh(), nn.Linear(3, 1))
    x = random_points(5, 2, dtype=torch.float32)
    torch.testing.assert_close(PsiMLP.from_sequential(network, structure)(x), network(x))


def test_from_sequential_refuses_weights_off_the_relations() -> None:
    structure = laplace_even().with_width(3)
    network = PsiMLP(structure, seed=0).to_sequential()
    with torch.no_grad():
        network[0].weight[0, 0] += 1e-7
        PsiMLP.from_sequential(network, structure)  # within tolerance
        network[0].weight[0, 0] += 0.5
    with pytest.raises(InputError, match=r"relations of 'laplace \(published\)'.*off by up to 0\.25 \(largest weight"):
        PsiMLP.from_sequential(network, structure)
    with torch.no_grad():
        network[0].weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="do not satisfy the relations"):
        PsiMLP.from_sequential(network, structure)


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), "Linear, ReLU, Linear"),
        (nn.Sequential(nn.Linear(2, 3), nn.Tanh()), "Linear, Tanh"),
        (nn.Sequential(nn.Tanh()), "Tanh"),
        (nn.Sequential(), "Sequential"),
        (nn.Linear(2, 1), "Linear"),
    ],
)
def test_from_sequential_refuses_other_modules(network: nn.Module, found: str) -> None:
    with pytest.raises(InputError, match=rf"expected nn.Sequential\(Linear, Tanh, ..., Linear\), .* got {found}$"):
        PsiMLP.from_sequential(network)


def test_from_sequential_refuses_other_sizes() -> None:
    with pytest.raises(InputError, match=r"structure: it describes layers \(2, 4, 1\), the network has \(2, 3, 1\)"):
        PsiMLP.from_sequential(sequential(2, 3, 1), Structure.dense([2, 4, 1]))
    with pytest.raises(InputError, match="structure: an MLP has no relations"):
        MLP.from_sequential(sequential(2, 2, 2, 2, 1), laplace_even())


def test_nested_autograd_to_order_four_and_double_backward() -> None:
    net = PsiMLP(laplace_even(), 2, seed=0, dtype=torch.float64)
    network = net.to_sequential()
    x = random_points(7, 2).requires_grad_()
    for index in ((1, 0), (1, 1), (0, 3), (2, 2), (4, 0)):
        ours, theirs = (nested_autograd(f(x)[:, 0], x, index) for f in (net, network))
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
        (gradient,) = torch.autograd.grad(ours.square().sum(), net.theta, retain_graph=True)
        given = torch.autograd.grad(theirs.square().sum(), list(network.parameters()), allow_unused=True,
                                    materialize_grads=True)  # fmt: skip
        expected = net.structure.expand_adjoint(list(zip(given[::2], given[1::2], strict=True)))
        assert relative_error(gradient, expected) < 1e-12


def test_module_behaviour() -> None:
    net, other = (PsiMLP(burgers_odd(), 3, seed=seed) for seed in (0, 1))
    x = random_points(5, 2, dtype=torch.float32)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(x), net(x))
    assert [name for name, _ in net.named_parameters()] == ["theta"]
    assert net.theta.numel() == net.structure.n_parameters == net.plan.n_parameters
    assert "W1 = [[a, b], [a, -b]]" in repr(net)
    double = copy.deepcopy(net).double()
    torch.testing.assert_close(double(x.double()).float(), net(x))
    assert net.theta.dtype == torch.float32
    dense = MLP([2, 4, 1])
    assert dense.structure.layer_sizes == (2, 4, 1)
    (dense(x).sum()).backward()
    assert dense.theta.grad is not None
    assert dense.theta.grad.abs().sum() > 0


def bound_of(structure: Structure, layer: int, rule: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Per entry of the expanded matrix, the bound that its row and column counts give."""
    used = (
        torch.tensor(abs(structure.relation_matrix(layer)).sum(axis=1)).view(structure.layers[layer].fan_out, -1) != 0
    )
    return rule(used.sum(1, keepdim=True).double(), used.sum(0, keepdim=True).double()).expand_as(used)


def default(fan_in: Tensor, fan_out: Tensor) -> Tensor:
    return 1 / fan_in.sqrt()


def xavier(fan_in: Tensor, fan_out: Tensor) -> Tensor:
    return (6 / (fan_in + fan_out)).sqrt()


@pytest.mark.parametrize("name", ["laplace", "burgers", "poisson", "flow"])
@pytest.mark.parametrize("rule", [default, xavier])
def test_initialisation_respects_the_expanded_fans(name: str, rule: Callable[[Tensor, Tensor], Tensor]) -> None:
    structure = published_structure(name).with_width(8)
    net = PsiMLP(structure, init=rule.__name__, seed=0, dtype=torch.float64)
    for layer, (weight, bias) in enumerate(structure.expand(net.theta.detach())):
        bound = bound_of(structure, layer, rule)
        share = (weight.abs() / bound).flatten()
        assert share.max() <= 1 + 1e-12
        assert share.max() > 0.7  # the bound is used, not merely kept
        if rule is xavier:
            assert not bias.any()
        else:
            assert (bias.abs() <= bound.amax(1) + 1e-12).all()


def test_initialisation_of_ties_with_unequal_fans() -> None:
    """A block used in rows of 1 and of 4 entries takes the tighter bound of 4."""
    structure = Structure((SymbolLayer.of([[1, 0], [1, 2]], [1, 1], [50, 50], [1, 3]),))
    weight, bias = structure.expand(PsiMLP(structure, seed=0).theta.detach())[0]
    assert 0.4 < float(weight.abs().max()) <= 0.5
    assert 0.4 < float(bias.abs().max()) <= 0.5


def test_default_initialisation_is_that_of_linear() -> None:
    net = MLP([4, 200, 100, 1], seed=0)
    torch.manual_seed(0)
    for weight, bias in net.structure.expand(net.theta.detach()):
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        if weight.numel() > 500:
            assert float(weight.std()) == pytest.approx(linear.weight.std().item(), rel=0.05)
            assert float(bias.std()) == pytest.approx(linear.bias.std().item(), rel=0.2)


@pytest.mark.parametrize("init", ["default", "xavier"])
def test_seeds(init: str) -> None:
    def make(seed: int | None, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return PsiMLP(laplace_even(), 4, init=init, seed=seed, dtype=dtype).theta

    assert torch.equal(make(3), make(3))
    assert not torch.equal(make(3), make(4))
    assert torch.equal(make(3).float(), make(3, torch.float32))
    torch.manual_seed(5)
    first = make(None)
    torch.manual_seed(5)
    assert torch.equal(first, make(None))
    assert not torch.equal(first, make(None))
    before = torch.random.get_rng_state()
    make(7)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_are_drawn_anew_as_they_were_made(dtype: torch.dtype) -> None:
    structure = laplace_even()
    net = PsiMLP(structure, 4, init="xavier", start=[0.5], seed=3, dtype=dtype)
    theta, made = net.theta, net.theta.detach().clone()
    net.reset_parameters(seed=3)
    assert net.theta is theta
    assert torch.equal(net.theta, made)
    net.reset_parameters(4)
    assert torch.equal(net.theta, PsiMLP(structure, 4, init="xavier", start=[0.5], seed=4, dtype=dtype).theta)
    torch.manual_seed(5)
    expected = PsiMLP(structure, 4, init="xavier", start=[0.5], dtype=dtype).theta
    torch.manual_seed(5)
    copy.deepcopy(net).apply(lambda module: module.reset_parameters())
    assert not torch.equal(net.theta, expected)
    torch.manual_seed(5)
    net.apply(lambda module: module.reset_parameters())
    assert torch.equal(net.theta, expected)
    with pytest.raises(InputError, match="seed: expected an integer from 0"):
        net.reset_parameters(seed=-1)


def test_bad_input() -> None:
    structure = laplace_even()
    with pytest.raises(InputError, match="structure: expected a Structure, got list"):
        PsiMLP([2, 3, 1])
    with pytest.raises(InputError, match=r"dtype: expected one of \['float32', 'float64'\], got torch\.float16"):
        PsiMLP(structure, dtype=torch.float16)
    with pytest.raises(InputError, match=r"init: expected one of \['default', 'xavier'\], got 'zeros'"):
        PsiMLP(structure, init="zeros")
    with pytest.raises(InputError, match="width: expected an integer >= 1, got 0"):
        PsiMLP(structure, 0)
    with pytest.raises(InputError, match="layers: expected at least two positive integers"):
        MLP([2])
    for shape in ((5, 3), (2, 1), ()):
        with pytest.raises(InputError, match=r"x: expected shape \(\.\.\., 2\), got"):
            PsiMLP(structure)(torch.zeros(shape))


def small_problem(name: str) -> Problem:
    """The built-in problem's equation and solution on a 15 x 15 grid."""
    full = get_problem(name)
    box = full.domain
    edges = box.boundary(15)
    assert full.exact is not None
    conditions = [Residual(box.grid(15)), Dirichlet(edges, u=np.ascontiguousarray(full.exact(edges)[:, 0]))]
    return Problem(
        name,
        full.pde,
        box,
        conditions,
        symmetries=full.symmetries,
        recipe=Recipe(structure=full.recipe.structure, width=full.recipe.width),
    )


@pytest.mark.trajectory
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("name", ["laplace", "burgers", "poisson"])
def test_symmetry_after_a_thousand_steps(name: str, dtype: torch.dtype, tolerance: float) -> None:
    problem = small_problem(name)
    assert problem.recipe.structure is not None
    net = PsiMLP(problem.recipe.structure, problem.recipe.width, seed=0, dtype=dtype)
    state = AdamState(net.theta.data, problem.initial_coefficients(dtype), problem.recipe.lr)
    report = get_backend().train(net.plan, state, problem.terms(dtype), problem.weights(dtype), 1000)
    assert report.failure is None
    assert report.losses[-1].sum() < report.losses[0].sum()
    (generator,) = problem.symmetries
    x = random_points(500, 2, dtype=dtype)
    if name == "poisson":
        x = (x + 1) / 2
    image = x[:, list(generator.map.permutation)] * torch.tensor(generator.map.signs, dtype=dtype)
    with torch.no_grad():
        error = float((net(image) - generator.character[0] * net(x)).abs().max())
        size = float(net(x).abs().max())
    assert error <= tolerance, f"max|u| = {size:.3g}"
    assert math.isfinite(size)
    assert size > 1e-3


# torch's own: it imports its decompositions with the transform.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_first_used_within_torchs_function_transforms() -> None:
    """What a transform computes on the way is not kept: the second call would find tensors of the first."""
    net, x = PsiMLP(laplace_even(), 2, seed=0, dtype=torch.float64), torch.rand(4, 2, dtype=torch.float64)
    hessians = torch.func.vmap(torch.func.hessian(lambda point: net(point)[0]))
    first, second = hessians(x), hessians(x)
    assert torch.equal(first, second)
    trace = derivatives(net, x, "u_lap", coords="x y", fields="u").u_lap
    torch.testing.assert_close(first.diagonal(dim1=1, dim2=2).sum(1), trace, rtol=1e-12, atol=1e-13)


def test_a_network_without_parameters_is_zero() -> None:
    nothing = Structure((SymbolLayer.of([[0]], [0], [1], [1]),), "nothing")
    net = PsiMLP(nothing, seed=0)
    assert net.theta.numel() == 0
    assert net(torch.ones(2, 1)).tolist() == [[0.0], [0.0]]
