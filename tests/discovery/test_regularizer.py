"""Penalties against autograd and against their formulas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.regularizer import KINDS, Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.structure import Structure

TIED = (
    SymbolLayer.of([[1, 2], [1, -2]], [1, 1], [3, 3], [1, 1]),
    SymbolLayer.of([[1, 2], [2, 1]], [1, 1], [3, 3], [3, 3]),
    SymbolLayer.of([[1, 1]], [1], [1], [3, 3]),
)


def by_autograd(kind: str, strength: float, plan: Plan, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    free = theta.clone().requires_grad_()
    value = torch.zeros((), dtype=theta.dtype)
    for part, shape in zip(plan.weight_slices, plan.dense_shapes, strict=True):
        if kind == "l2":
            value = value + free[part].norm()
        elif kind == "l1":
            value = value + free[part].abs().sum()
        else:
            assert shape is not None
            norms = free[part].view(shape).norm(dim=0).sort(descending=True).values
            p = len(norms)
            value = value + sum((p - i) / p * norm for i, norm in enumerate(norms))
    value = strength * value
    (gradient,) = torch.autograd.grad(value, free)
    return value.detach(), gradient


def random_theta(plan: Plan, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(plan.n_parameters, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@given(
    kind=st.sampled_from(KINDS),
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    strength=st.floats(0, 10),
    seed=st.integers(0, 999),
)
@settings(max_examples=60)
def test_dense_value_and_gradient_match_autograd(kind: str, sizes: list[int], strength: float, seed: int) -> None:
    plan = Structure.dense(sizes).expanded_plan
    theta = random_theta(plan, seed)
    value, gradient = Regularizer(kind, strength).value_and_gradient(plan, theta)
    expected_value, expected_gradient = by_autograd(kind, strength, plan, theta)
    torch.testing.assert_close(value, expected_value, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", ["l2", "l1"])
def test_tied_layers_are_penalised_by_their_independent_weights(kind: str) -> None:
    plan = lower(TIED)
    theta = random_theta(plan, 0)
    value, gradient = Regularizer(kind, 1e-3).value_and_gradient(plan, theta)
    expected_value, expected_gradient = by_autograd(kind, 1e-3, plan, theta)
    torch.testing.assert_close(value, expected_value, rtol=1e-13, atol=0)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-13, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_biases_are_free(kind: str) -> None:
    plan = Structure.dense([2, 3, 1]).expanded_plan
    theta = random_theta(plan, 1)
    _, gradient = Regularizer(kind, 1.0).value_and_gradient(plan, theta)
    is_weight = torch.zeros_like(theta, dtype=torch.bool)
    for part in plan.weight_slices:
        is_weight[part] = True
    assert (gradient[~is_weight] == 0).all()
    assert (gradient[is_weight] != 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_at_zero_weights_is_zero(kind: str) -> None:
    plan = Structure.dense([2, 3, 1]).expanded_plan
    value, gradient = Regularizer(kind, 1.0).value_and_gradient(plan, torch.zeros(plan.n_parameters))
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_nan_is_not_hidden(kind: str) -> None:
    plan = Structure.dense([2, 3, 1]).expanded_plan
    theta = random_theta(plan, 2)
    theta[0] = torch.nan
    value, _ = Regularizer(kind, 1.0).value_and_gradient(plan, theta)
    assert value.isnan()


def test_growl_weighs_the_largest_column_most() -> None:
    plan = Structure.dense([2, 1]).expanded_plan
    theta = torch.tensor([1.0, -3.0, 5.0], dtype=torch.float64)
    value, gradient = Regularizer("growl", 2.0).value_and_gradient(plan, theta)
    assert value == pytest.approx(2 * (3 * 1.0 + 1 * 0.5))
    assert gradient.tolist() == pytest.approx([1.0, -2.0, 0.0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_dtype_and_needs_no_graph(kind: str, dtype: torch.dtype) -> None:
    plan = Structure.dense([2, 3, 1]).expanded_plan
    theta = random_theta(plan, 3, dtype).requires_grad_()
    value, gradient = Regularizer(kind, 1e-3).value_and_gradient(plan, theta)
    assert value.dtype == gradient.dtype == dtype
    assert value.shape == ()
    assert not value.requires_grad
    assert not gradient.requires_grad


def test_unknown_kind() -> None:
    with pytest.raises(InputError, match=r"kind: expected one of \['l2', 'l1', 'growl'\], got 'l3'"):
        Regularizer("l3", 1.0)


@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf"), True, "1"])
def test_bad_strength(strength: float) -> None:
    with pytest.raises(InputError, match="strength: expected a finite number >= 0"):
        Regularizer("l2", strength)


def test_theta_of_the_wrong_length() -> None:
    with pytest.raises(InputError, match="theta: expected shape"):
        Regularizer("l2", 1.0).value_and_gradient(Structure.dense([2, 1]).expanded_plan, torch.zeros(7))


def test_growl_needs_dense_layers() -> None:
    plan = lower(TIED)
    with pytest.raises(InputError, match="'growl' needs dense layers"):
        Regularizer("growl", 1.0).value_and_gradient(plan, torch.zeros(plan.n_parameters))
