"""The weights of a loss's terms: an argument that may change from call to call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from cases import make
from helpers import negated, relative_error
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend, total_loss
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.lowering.lowering import lower

# Sums of the same numbers in another order, some hundred operations long.
ROUNDING = 1e-12
CASE = "burgers with unknown nu"


def test_the_gradient_is_the_weighted_sum_of_single_ones(backend: Backend) -> None:
    structure, theta, coefficients, terms, _ = make(CASE, (7, 3), 11)
    plan = lower(structure.layers)
    losses, gradients = backend.term_gradients(plan, theta, coefficients, terms)
    for numbers in ([1.0, 1.0, 1.0], [3.0, 0.0, 1e-3], [0.0, 0.0, 0.0], [-1.0, 1e8, 0.5]):
        weights = torch.tensor(numbers, dtype=torch.float64)
        found = backend.loss_and_gradient(plan, theta, coefficients, terms, weights)
        assert relative_error(found.losses, losses) < ROUNDING
        assert relative_error(torch.cat([found.theta, found.coefficients]), weights @ gradients) < ROUNDING


def test_training_with_weights_that_change(backend: Backend) -> None:
    """As a loop of gradients and Adam's formula."""
    structure, theta, coefficients, terms, _ = make(CASE, (4,), 7)
    plan = lower(structure.layers)
    ours, theirs = (AdamState(theta.clone(), coefficients.clone(), 1e-2) for _ in range(2))
    for numbers in ([1.0, 2.0, 0.5], [0.0, 1.0, 10.0], [1e4, 1e-4, 1.0]):
        weights = torch.tensor(numbers, dtype=torch.float64)
        report = backend.train(plan, ours, terms, weights, 2)
        for losses in report.losses:
            found = backend.loss_and_gradient(plan, theirs.theta, theirs.coefficients, terms, weights)
            assert relative_error(losses[:-1], found.losses) < ROUNDING
            theirs.advance(torch.cat([found.theta, found.coefficients]))
    assert relative_error(ours.theta, theirs.theta) < ROUNDING
    assert relative_error(ours.coefficients, theirs.coefficients) < ROUNDING


@pytest.mark.parametrize(
    "change",
    [negated, lambda t: t.flip(0).contiguous().flip(0), lambda t: t.repeat_interleave(2)[::2],
     lambda t: t.clone().requires_grad_()],
)  # fmt: skip
def test_any_layout(backend: Backend, change: Callable[[Tensor], Tensor]) -> None:
    structure, theta, coefficients, terms, _ = make(CASE, (4,), 7)
    plan, weights = lower(structure.layers), torch.tensor([0.3, 5.0, 2.0], dtype=torch.float64)
    wanted = backend.loss_and_gradient(plan, theta, coefficients, terms, weights)
    found = backend.loss_and_gradient(plan, theta, coefficients, terms, change(weights))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert not found.theta.requires_grad


def test_a_weight_that_is_not_a_number_reaches_the_gradient(backend: Backend) -> None:
    structure, theta, coefficients, terms, _ = make(CASE, (4,), 7)
    plan, weights = lower(structure.layers), torch.tensor([1.0, torch.nan, 1.0], dtype=torch.float64)
    found = backend.loss_and_gradient(plan, theta, coefficients, terms, weights)
    assert bool(found.losses.isfinite().all())
    assert bool(found.theta.isnan().all())
    state = AdamState(theta.clone(), coefficients.clone(), 1e-2)
    assert backend.train(plan, state, terms, weights, 3).failure == len(terms) + 1
    assert torch.equal(state.theta, theta)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(2).double(), r"weights: expected shape \(3\), got \(2,\)"),
        (torch.ones(3, 1).double(), r"weights: expected shape \(3\), got \(3, 1\)"),
        (torch.ones(3), "weights: expected torch.float64 like theta, got torch.float32"),
        (torch.ones(3, device="meta").double(), "weights: expected device cpu like theta, got meta"),
        ([1.0, 1.0, 1.0], "weights: expected a torch.Tensor, got list"),
        (None, "weights: expected a torch.Tensor, got NoneType"),
    ],
)
def test_bad_weights(backend: Backend, weights: Tensor, message: str) -> None:
    structure, theta, coefficients, terms, _ = make(CASE, (4,), 3)
    plan, state = lower(structure.layers), AdamState(theta.clone(), coefficients.clone(), 1e-2)
    with pytest.raises(InputError, match=message):
        backend.loss_and_gradient(plan, theta, coefficients, terms, weights)
    with pytest.raises(InputError, match=message):
        backend.train(plan, state, terms, weights, 1)
    assert state.step == 0
    assert torch.equal(state.theta, theta)


def test_the_total_leaves_out_what_weighs_nothing() -> None:
    assert total_loss([1.0, float("nan"), 3.0], [2.0, 0.0, 0.5]) == 3.5
    with pytest.raises(ValueError, match="longer"):
        total_loss([1.0], [1.0, 2.0])
