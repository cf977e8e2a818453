"""`train`: Adam step for step, in slices, and what happens on NaN."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sympy as sp
import torch
from adam_case import BOX, NAMES, PLAN, STRUCTURE, poisoned, state, tensors, terms
from cases import some_weights
from helpers import negated, random_points, relative_error
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend, TrainReport
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.problem.conditions import Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

# All points of `adam_case` in one tile.
TILE = 256
SLOW = pytest.mark.without("triton", reason="its interpreter would take many seconds")


@SLOW
@pytest.mark.parametrize("regularizer", [None, Regularizer("l2", 1e-3)])
def test_steps_are_those_of_torch(backend: Backend, regularizer: Regularizer | None) -> None:
    ours, own_terms = state(milestones=(10, 25)), terms()
    theta = ours.theta.clone().requires_grad_()
    nu = ours.coefficients.clone().requires_grad_()
    adam = torch.optim.Adam([theta, nu], lr=1e-2)
    schedule = torch.optim.lr_scheduler.MultiStepLR(adam, [10, 25], gamma=0.1)
    for _ in range(40):
        report = backend.train(PLAN, ours, own_terms, some_weights(own_terms), 1, regularizer)
        result = backend.loss_and_gradient(
            PLAN, theta.detach(), nu.detach(), own_terms, some_weights(own_terms), regularizer
        )
        theta.grad, nu.grad = result.theta.clone(), result.coefficients.clone()
        adam.step()
        schedule.step()
        assert relative_error(report.losses[0], torch.cat([result.losses, result.penalty[None]])) < 1e-12
        assert relative_error(ours.theta, theta) < 1e-12
        assert relative_error(ours.coefficients, nu) < 1e-12
    assert ours.step == 40
    assert ours.learning_rate() == pytest.approx(1e-4)
    assert report.failure is None


@SLOW
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("slices", [(1,) * 20, (0, 7, 13), (19, 1)])
def test_slices_give_the_same_bits(backend: Backend, dtype: torch.dtype, slices: tuple[int, ...]) -> None:
    whole, parts = state(dtype, milestones=(5,)), state(dtype, milestones=(5,))
    once = backend.train(PLAN, whole, terms(dtype), some_weights(terms(dtype)), 20)
    several = [backend.train(PLAN, parts, terms(dtype), some_weights(terms(dtype)), k) for k in slices]
    assert all(torch.equal(a, b) for a, b in zip(tensors(whole), tensors(parts), strict=True))
    assert torch.equal(once.losses, torch.cat([report.losses for report in several]))
    assert once.losses.shape == (20, 3)
    assert once.losses.dtype == dtype
    assert float(once.losses[-1, 1]) < float(once.losses[0, 1])


def test_no_steps_change_nothing(backend: Backend) -> None:
    s = state()
    before = tensors(s)
    report = backend.train(PLAN, s, terms(), some_weights(terms()), 0)
    assert report == TrainReport(report.losses, None)
    assert report.losses.shape == (0, 3)
    assert all(torch.equal(a, b) for a, b in zip(before, tensors(s), strict=True))
    with pytest.raises(InputError, match="steps: expected a number >= 0, got -1"):
        backend.train(PLAN, s, terms(), some_weights(terms()), -1)
    with pytest.raises(InputError, match="terms: expected at least one loss term"):
        backend.train(PLAN, s, [], some_weights([]), 1)


@pytest.mark.parametrize("index", [0, 1])
def test_failure_at_the_first_step_of_all(backend: Backend, index: int) -> None:
    s = state()
    before = tensors(s)
    report = backend.train(PLAN, s, poisoned(index), some_weights(poisoned(index)), 5)
    assert report.failure == index
    assert report.losses.shape == (0, 3)
    assert s.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, tensors(s), strict=True))


@pytest.mark.parametrize("index", [0, 1])
def test_failure_at_the_first_step_of_a_later_call(backend: Backend, index: int) -> None:
    s, shorter = state(), state()
    backend.train(PLAN, s, terms(), some_weights(terms()), 7)
    backend.train(PLAN, shorter, terms(), some_weights(terms()), 6)
    report = backend.train(PLAN, s, poisoned(index), some_weights(poisoned(index)), 3)
    assert report.failure == index
    # The state after step 7 was never seen to be good: the one after step 6 was.
    assert s.step == 6
    assert all(torch.equal(a, b) for a, b in zip(tensors(s), tensors(shorter), strict=True))
    # And training goes on from there.
    assert backend.train(PLAN, s, terms(), some_weights(terms()), 2).failure is None
    backend.train(PLAN, shorter, terms(), some_weights(terms()), 2)
    assert s.step == 8
    assert torch.equal(s.theta, shorter.theta)


def test_a_second_failure_in_a_row_does_not_go_further_back(backend: Backend) -> None:
    s = state()
    backend.train(PLAN, s, terms(), some_weights(terms()), 7)
    for _ in range(2):
        assert backend.train(PLAN, s, poisoned(0), some_weights(poisoned(0)), 3).failure == 0
        assert s.step == 6


def test_divergence_within_a_call(backend: Backend) -> None:
    """A rate so large that the second evaluation overflows float32."""
    s = state(torch.float32, lr=1e30)
    before = tensors(s)
    report = backend.train(PLAN, s, terms(torch.float32), some_weights(terms(torch.float32)), 10)
    assert report.failure == 0
    assert report.losses.shape[0] == 1
    assert torch.isfinite(report.losses).all()
    assert s.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, tensors(s), strict=True))


def test_penalty_and_gradient_have_their_own_numbers(backend: Backend) -> None:
    s = state()
    huge = Regularizer("l2", 1e308)
    s.theta *= 100
    assert backend.train(PLAN, s, terms(), some_weights(terms()), 1, huge).failure == 2
    # d sqrt(u.x)/du.x is infinite where u.x = 0, though the loss is finite.
    problem = Problem("p", PDE("t x", "u", lambda u: sp.sqrt(u)), BOX, [Residual(BOX.grid(3))])
    flat = AdamState(torch.zeros(STRUCTURE.n_parameters, dtype=torch.float64), torch.zeros(0).double(), 1e-2)
    assert (
        backend.train(PLAN, flat, problem.terms(torch.float64), some_weights(problem.terms(torch.float64)), 1).failure
        == 2
    )


def every_second(t: Tensor) -> Tensor:
    return t.repeat_interleave(2)[::2]


def of_a_module(t: Tensor) -> Tensor:
    return t.clone().requires_grad_()


@pytest.mark.parametrize("change", [every_second, negated, of_a_module])
def test_any_layout_is_changed_in_place(backend: Backend, change: Callable[[Tensor], Tensor]) -> None:
    expected, own = state(), state()
    changed = [change(getattr(own, name)) for name in NAMES]
    own.theta, own.coefficients, own.first_moment, own.second_moment = changed
    for s in (expected, own):
        backend.train(PLAN, s, terms(), some_weights(terms()), 2)
        backend.train(PLAN, s, terms(), some_weights(terms()), 3)
    for name, tensor in zip(NAMES, changed, strict=True):
        assert getattr(own, name) is tensor
        assert torch.equal(tensor.detach(), getattr(expected, name))


def test_a_graph_notices_that_its_weights_were_changed(backend: Backend) -> None:
    own = state()
    theta = own.theta.requires_grad_()
    loss = (theta**3).sum()
    backend.train(PLAN, own, terms(), some_weights(terms()), 1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


SIZE = STRUCTURE.n_parameters


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("theta", torch.zeros(SIZE + 1).double(), "theta: expected shape"),
        ("theta", torch.zeros(1).double().expand(SIZE), "state: theta: its entries share one place in memory"),
        ("first_moment", torch.zeros(SIZE).double(), rf"state: first_moment: expected shape \({SIZE + 1}\)"),
        ("first_moment", torch.zeros(1).double().expand(SIZE + 1), "state: first_moment: its entries share one place"),
        ("second_moment", torch.zeros(SIZE + 1), "state: second_moment: expected torch.float64 like theta"),
        ("second_moment", torch.zeros(SIZE + 1).double().to_sparse(), "state: second_moment: expected a dense tensor"),
    ],
)
def test_bad_tensors_of_a_state(backend: Backend, name: str, tensor: Tensor, message: str) -> None:
    own = state()
    setattr(own, name, tensor)
    with pytest.raises(InputError, match=message):
        backend.train(PLAN, own, terms(), some_weights(terms()), 1)


@pytest.mark.parametrize(
    "options", [{"lr": 0.0}, {"lr": -1.0}, {"gamma": 0.0}, {"betas": (1.0, 0.9)}, {"betas": (0.9, -0.1)}, {"eps": 0.0}]
)
def test_bad_state(options: dict[str, object]) -> None:
    theta = random_points(1, 3)[0]
    with pytest.raises(InputError, match=r"lr, gamma and eps must be positive and betas in \[0, 1\), got lr="):
        AdamState(**{"theta": theta, "coefficients": theta[:0], "lr": 1e-3, **options})
