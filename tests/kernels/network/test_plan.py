"""Plans: the linear maps they are made of, the plain lowering, and rewritten plans built by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import some_weights
from helpers import mlp, random_points, random_theta, relative_error, unit_normal
from hypothesis import given, settings
from hypothesis import strategies as st
from plans_by_hand import even_in_y, opposite_rows, zero_blocks
from strategies import structures

from psinn_fast.domains import Box
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.network.linear_map import LinearMap
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan, expanded_plan
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Neumann, Periodic, Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

BACKEND = ReferenceBackend()


@st.composite
def linear_maps(draw: st.DrawFn) -> LinearMap:
    n_out, n_in = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    entries = st.tuples(st.integers(0, n_out - 1), st.integers(0, n_in - 1), st.floats(-2, 2))
    row, col, coefficient = np.array(draw(st.lists(entries, max_size=12))).reshape(-1, 3).T
    return LinearMap((n_out, n_in), row, col, coefficient)


@given(part=linear_maps(), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_linear_map_is_its_matrix(part: LinearMap, seed: int) -> None:
    n_out, n_in = part.shape
    x, y, rows = random_points(1, n_in, seed)[0], random_points(1, n_out, seed)[0], random_points(3, n_out, seed)
    dense = np.zeros(part.shape)
    for i, j, c in zip(part.row, part.col, part.coefficient, strict=True):
        dense[i, j] += c
    matrix = torch.from_numpy(dense)
    np.testing.assert_allclose(part.dense(), dense, atol=1e-14)
    np.testing.assert_allclose(part.sparse().toarray(), dense, atol=1e-14)
    torch.testing.assert_close(part.apply(x), matrix @ x)
    torch.testing.assert_close(part.transpose(y), matrix.T @ y)
    torch.testing.assert_close(part.transpose_rows(rows), rows @ matrix)
    assert part.apply(x.float()).dtype == torch.float32


@given(parts=st.lists(linear_maps(), min_size=1, max_size=3))
@settings(max_examples=20)
def test_stack_is_block_diagonal(parts: list[LinearMap]) -> None:
    dense = torch.block_diag(*(torch.from_numpy(part.dense()) for part in parts))
    np.testing.assert_array_equal(LinearMap.stack(parts).dense(), dense.numpy())


def test_identity_and_gather() -> None:
    identity, x = LinearMap.identity(4), torch.arange(4.0)
    assert identity.is_identity
    assert (identity.dense() == np.eye(4)).all()
    assert (identity.apply(x) == x).all()
    assert (identity.transpose(x) == x).all()
    assert (identity.transpose_rows(x[None]) == x).all()
    assert LinearMap.stack([identity, identity]).is_identity
    gather = LinearMap((3, 2), [0, 1, 2], [1, 0, 1], [1, -1, -1])
    assert not gather.is_identity
    assert gather.apply(torch.tensor([2.0, 3.0])).tolist() == [3, -2, -3]
    assert gather.transpose(torch.tensor([1.0, 10.0, 100.0])).tolist() == [-10, -99]
    assert not LinearMap((2, 2), [0, 1], [0, 1], [1, -1]).is_identity
    assert not LinearMap((2, 3), [0, 1], [0, 1], [1, 1]).is_identity


def test_of_blocks() -> None:
    part = LinearMap.of_blocks(np.array([[1.0, 0, -1], [0, 2, 0], [0, 0, 0]]), [2, 3, 1], [2, 3, 2])
    expected = np.zeros((6, 7))
    expected[:2, :2], expected[:2, 5:], expected[2:5, 2:5] = np.eye(2), -np.eye(2), 2 * np.eye(3)
    np.testing.assert_array_equal(part.dense(), expected)


def test_from_dense_and_autograd() -> None:
    dense = np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
    part = LinearMap.from_dense(dense)
    assert part.coefficient.tolist() == [1, -2]
    x = random_points(1, 3)[0].requires_grad_()
    assert torch.autograd.gradcheck(part.apply, x)
    assert torch.autograd.gradgradcheck(part.apply, x)


@pytest.mark.parametrize(
    ("row", "col", "coefficient", "message"),
    [
        ([0, 1], [0], [1.0], r"row, col, coefficient: expected three vectors of one length, got shapes \(2,\), \(1,\)"),
        ([[0]], [[0]], [[1.0]], "expected three vectors of one length"),
        ([2], [0], [1.0], r"row: indices must lie in 0\.\.1, got 2\.\.2"),
        ([0], [-1], [1.0], r"col: indices must lie in 0\.\.2, got -1\.\.-1"),
    ],
)
def test_bad_linear_map(row: list[int], col: list[int], coefficient: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LinearMap((2, 3), row, col, coefficient)


@given(structure=structures, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_expanded_plan_gives_the_expanded_weights(structure: Structure, seed: int) -> None:
    plan, theta = expanded_plan(structure.layers), random_theta(structure, seed)
    assert (plan.n_parameters, plan.d_in, plan.d_out) == (theta.numel(), structure.n_inputs, structure.n_outputs)
    w, start = plan.expansion.apply(theta), 0
    for number, (spec, layer) in enumerate(zip(structure.layers, plan.layers, strict=True)):
        own = theta[start : start + spec.n_parameters]
        assert plan.weight_slices[number] == slice(start, start + spec.n_weights)
        start += spec.n_parameters
        (product,) = layer.products
        index, sign = spec.weight_map()
        expected = own[torch.from_numpy(index)] * torch.from_numpy(sign) if own.numel() else torch.zeros(index.shape)
        assert torch.equal(w[product.weight].view(product.shape), expected.double())
        index, sign = spec.bias_map()
        if any(spec.bias):
            assert torch.equal(w[layer.bias], own[torch.from_numpy(index)] * torch.from_numpy(sign))
        else:
            assert layer.bias is None
        assert layer.multiplications == plan.expanded_multiplications[number] == spec.fan_in * spec.fan_out
    x = random_points(5, structure.n_inputs, seed)
    (value,) = BACKEND.jets(plan, theta, x, ChannelSet.closure(structure.n_inputs, [])).unbind(1)
    assert relative_error(value, mlp(structure, theta, x), floor=0.1) < 1e-14


def test_bad_plans() -> None:
    with pytest.raises(InputError, match="layers: a network needs at least one layer"):
        expanded_plan([])
    layers = [SymbolLayer.of([[1]], [1], [3], [2]), SymbolLayer.of([[1]], [1], [1], [4])]
    with pytest.raises(InputError, match="layers: layer 1 gives 3 values, layer 2 takes 4"):
        expanded_plan(layers)


# Rewritten plans, by hand. Rows of a block map stand for whole blocks: kron with the identity makes them entries.


def terms_for(structure: Structure) -> list[Term]:
    """A nonlinear PDE with a coefficient, a Neumann and a periodic condition, on all outputs."""
    coords, fields = "xyz"[: structure.n_inputs], "uvw"[: structure.n_outputs]
    box = Box(**dict.fromkeys(coords, (-1, 1)))

    def residual(u, nu):
        return [u.x * u - nu * u.xx + u.yy, u.xxy + nu]

    conditions = [
        Residual(box.random(17, seed=1), weight=0.5),
        Neumann(box.random(7, seed=2), unit_normal(len(coords)), **dict.fromkeys(fields, 0.3)),
        Periodic(box.random(5, seed=3), box.random(5, seed=4), [f"{fields[0]}_y", fields[-1]]),
    ]
    problem = Problem("test", PDE(" ".join(coords), " ".join(fields), residual, unknown={"nu": 0.4}), box, conditions)
    return problem.terms(torch.float64)


def assert_composed(plan: Plan, theta: torch.Tensor) -> None:
    """One dense product per layer, with the matrix post blockdiag(W_p) pre; the gradient by autograd."""
    composed, free = plan.composed, theta.clone().requires_grad_()
    w, own = plan.expand(free), composed.expand(free)
    w_bar = random_points(1, own.numel(), 1)[0]
    expected = torch.zeros(())
    for layer, whole in zip(plan.layers, composed.layers, strict=True):
        middle = torch.zeros(layer.n_slots, layer.n_operands, dtype=torch.float64)
        for product in layer.products:
            middle[product.outputs, product.inputs] += w[product.weight].view(product.shape)
        if layer.pre is not None:
            middle = middle @ torch.from_numpy(layer.pre.dense())
        if layer.post is not None:
            middle = torch.from_numpy(layer.post.dense()) @ middle
        (product,) = whole.products
        assert whole.is_dense
        assert product.shape == (layer.fan_out, layer.fan_in)
        torch.testing.assert_close(own[product.weight].view(product.shape), middle)
        expected = expected + (middle.flatten() * w_bar[product.weight]).sum()
        assert (whole.bias is None) == (layer.bias is None)
        if layer.bias is not None:
            assert torch.equal(own[whole.bias], w[layer.bias])
            expected = expected + (w[layer.bias] * w_bar[whole.bias]).sum()
    (gradient,) = torch.autograd.grad(expected, free)
    torch.testing.assert_close(composed.pull_back(own.detach(), w_bar), gradient)


def test_composed_plans() -> None:
    """Halves cancel back: each weight of the even plan is one entry of theta. Dense plans are composed as they are."""
    _, plan = even_in_y(3, 2)
    assert plan.composed is plan.composed
    assert plan.composed.composed is plan.composed
    assert set(plan.composed.expansion.coefficient.tolist()) == {1.0, -1.0}
    dense = expanded_plan(Structure.dense([2, 3, 1]).layers)
    assert dense.composed is dense


@pytest.mark.parametrize("make", [even_in_y, zero_blocks, opposite_rows])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 2), (7, 5)])
def test_rewritten_plans_give_the_same(make, n: int, m: int) -> None:
    structure, plan = make(n, m)
    plain, theta = expanded_plan(structure.layers), random_theta(structure, n)
    assert plan.n_parameters == structure.n_parameters
    assert sum(layer.multiplications for layer in plan.layers) < sum(plain.expanded_multiplications)
    assert len(plan.describe().splitlines()) == len(plan.layers) + 2
    assert_composed(plan, theta)
    d, f = structure.n_inputs, structure.n_outputs

    x = random_points(11, d)
    for wanted in ([], [Laplacian(tuple(range(d)))], [(2, 2, 0)[:d], (3, *(0, 1)[: d - 1])]):
        channels = ChannelSet.closure(d, wanted)
        assert relative_error(BACKEND.jets(plan, theta, x, channels), BACKEND.jets(plain, theta, x, channels)) < 1e-12
        grad = random_points(11 * len(channels), f).view(11, len(channels), f)
        ours = BACKEND.jets_backward(plan, theta, x, channels, grad, need_x=True)
        theirs = BACKEND.jets_backward(plain, theta, x, channels, grad, need_x=True)
        assert all(relative_error(a, b) < 1e-12 for a, b in zip(ours, theirs, strict=True))

    terms, nu = terms_for(structure), torch.tensor([0.4], dtype=torch.float64)
    ours, theirs = (BACKEND.loss_and_gradient(p, theta, nu, terms, some_weights(terms)) for p in (plan, plain))
    assert all(relative_error(a, b) < 1e-12 for a, b in zip(ours, theirs, strict=True))
    for term in terms:
        ours, theirs = (BACKEND.residual_jacobian(p, theta, nu, term) for p in (plan, plain))
        assert all(relative_error(a, b) < 1e-12 for a, b in zip(ours, theirs, strict=True))


def test_scales_of_what_is_mixed() -> None:
    """x + y, x - y and x are operands, and two outputs are sums and differences of slots: s N(x / h) by rows of E."""
    n = 20
    layers = (
        SymbolLayer.of([[1, 1], [2, -2], [3, 0]], [1, 2, 3], [n] * 3, [1, 1]),
        SymbolLayer.of([[1, 2, 0], [1, -2, 3]], [1, 2], [1, 1], [n] * 3),
    )
    plan = lower(layers)
    assert plan.layers[0].n_operands == 3
    assert plan.layers[1].post is not None
    theta, x = random_theta(Structure(layers), 0), random_points(7, 2)
    values = ChannelSet.closure(2, [])
    found = BACKEND.jets(plan.scaled((2.0, 2.0), (5.0, 5.0)), theta, x, values)
    assert relative_error(found, 5 * BACKEND.jets(plan, theta, x / 2, values)) < 1e-14
    for scales, message in (
        (((1.0, 2.0), (1.0, 1.0)), r"inputs: relations that mix them need equal scales, got \[1.0, 2.0\]"),
        (((1.0, 1.0), (1.0, 2.0)), r"outputs: relations that mix them need equal scales, got \[1.0, 2.0\]"),
    ):
        with pytest.raises(InputError, match=message):
            plan.scaled(*scales)
