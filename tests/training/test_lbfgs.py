"""L-BFGS on the fused loss."""

from __future__ import annotations

import math

import pytest
import torch
from small import small_laplace

from psinn_fast import PDE, Box, InputError, Problem, Regularizer, Residual, TanhMLP
from psinn_fast.conditions import Data
from psinn_fast.training.lbfgs import polish
from psinn_fast.training.metrics import error_metrics


@pytest.mark.trajectory
def test_loss_falls_far_below_adam_and_dtype_is_kept() -> None:
    net = TanhMLP([2, 8, 8, 1], seed=1)
    found = polish(small_laplace(), net, 1000)
    assert found.loss < 1e-3
    assert not found.interrupted
    assert net.theta.dtype == torch.float32
    error = error_metrics(net, small_laplace())["relative_l2"]
    assert isinstance(error, float)
    assert error < 0.05


@pytest.mark.trajectory
def test_it_converges_to_a_small_gradient() -> None:
    net = TanhMLP([2, 3, 1], seed=0, dtype=torch.float64)
    found = polish(small_laplace(), net, 5000, tolerance=1e-6, regularizer=Regularizer("l2", 1e-2))
    assert found.gradient <= 1e-6


@pytest.mark.trajectory
def test_unknown_coefficients_are_found_along() -> None:
    box = Box(t=(0, 1))
    t = box.grid(21)
    pde = PDE("t", "u", lambda u, k: u.t + k * u, unknown={"k": 0.5})
    problem = Problem("decay", pde, box, [Residual(t), Data(t, u=lambda t: 2 ** (-t))])
    net = TanhMLP([1, 8, 1], seed=0, dtype=torch.float64)
    assert polish(problem, net, 500, coefficients={"k": math.log(2)}).loss < 1e-7


@pytest.mark.parametrize("iterations", [-1, 1.5, True])
def test_bad_input(iterations: object) -> None:
    with pytest.raises(InputError, match="iterations: expected an integer >= 0"):
        polish(small_laplace(), TanhMLP([2, 3, 1]), iterations)


def test_no_iterations_change_nothing() -> None:
    net = TanhMLP([2, 3, 1], seed=0)
    before = net.theta.detach().clone()
    polish(small_laplace(), net, 0)
    assert torch.equal(net.theta, before)
