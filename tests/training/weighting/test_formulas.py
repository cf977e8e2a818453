"""Each weighting's formula against a few lines of plain torch, float64, by autograd of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from helpers import mlp
from torch import Tensor

from psinn_fast import (
    MLP,
    NTK,
    PDE,
    Box,
    Causal,
    Data,
    Dirichlet,
    GradientNorms,
    Problem,
    Residual,
    ResidualAttention,
    SelfAdaptive,
    TraceBalance,
    Weighting,
)
from psinn_fast.kernels import get_backend
from psinn_fast.scaling.natural_scales import natural_scales
from psinn_fast.scaling.natural_units import in_natural_units
from psinn_fast.training.weighting import WeighedTerms

# Of two computations in float64 that sum in other orders.
EQUAL = {"rtol": 1e-9, "atol": 1e-12}
BOX = Box(t=(0, 1), x=(-1, 1))


def heat() -> Problem:
    """u_t = u_xx + u, an initial state, walls, and measurements; weights of several sizes."""
    start, inside = BOX.face("t", "low", 7), [[0.3, 0.1], [0.7, -0.4]]
    return Problem(
        "heat",
        PDE("t x", "u", lambda u: u.t - u.xx - u),
        BOX,
        [
            Residual(BOX.grid(6), weight=2.0),
            Dirichlet(start, weight=3.0, u=lambda t, x: 1 - x**2, name="start"),
            Dirichlet(BOX.face("x", "low", 5), weight=0.5, u=0.0, name="wall"),
            Dirichlet(BOX.face("x", "high", 5), weight=0.0, u=5.0, name="unused"),
            Data(inside, weight=4.0, u=[0.9, 0.6]),
        ],
    )


class Plain:
    """The problem's residuals in torch: per term, as a function of theta."""

    def __init__(self, net: MLP, problem: Problem) -> None:
        self.net, self.problem = net, problem
        self.points = [torch.from_numpy(condition.sites[0].copy()) for condition in problem.conditions]

    def residual(self, index: int, theta: Tensor, points: Tensor | None = None) -> Tensor:
        x = (self.points[index] if points is None else points).clone().requires_grad_()
        u = mlp(self.net.structure, theta, x)
        if index == 0:
            (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(first[:, 1].sum(), x, create_graph=True)
            return first[:, 0] - second[:, 1] - u[:, 0]
        target = {1: 1 - x[:, 1] ** 2, 2: 0.0, 3: 5.0, 4: torch.tensor([0.9, 0.6], dtype=torch.float64)}[index]
        return u[:, 0] - target

    def gradient(self, index: int) -> Tensor:
        """Of the mean square."""
        theta = self.net.theta.detach().clone().requires_grad_()
        return torch.autograd.grad(self.residual(index, theta).square().mean(), theta)[0]

    def trace(self, index: int) -> Tensor:
        """Mean over points of |dr/dtheta|^2."""
        theta = self.net.theta.detach().clone().requires_grad_()
        rows = []
        for points in self.points[index].split(50):  # a row takes as long as there are points
            r = self.residual(index, theta, points)
            rows += torch.autograd.grad(r, theta, torch.eye(len(r)).to(r), is_grads_batched=True)
        return torch.cat(rows).square().sum(1).mean()

    def squares(self, index: int) -> Tensor:
        return self.residual(index, self.net.theta.detach().clone()).detach().square()


@pytest.fixture(params=["reference", "auto"])
def weighed(request: pytest.FixtureRequest) -> Callable[[Weighting], tuple[WeighedTerms, Plain]]:
    def start(weighting: Weighting) -> tuple[WeighedTerms, Plain]:
        problem, net = heat(), MLP([2, 5, 5, 1], seed=3, dtype=torch.float64)
        terms = problem.terms(torch.float64)
        made = WeighedTerms(
            weighting, problem, get_backend(request.param), net.plan, problem.weights(torch.float64), lambda: terms,
            lambda: (net.theta.detach(), torch.empty(0, dtype=torch.float64)),
        )  # fmt: skip
        return made, Plain(net, problem)

    return start


def moved(plain: Plain, by: float) -> None:
    with torch.no_grad():
        plain.net.theta.add_(by * torch.cos(torch.arange(plain.net.theta.numel(), dtype=torch.float64)))


def expect(found: Tensor, expected: Sequence[float | Tensor]) -> None:
    torch.testing.assert_close(found, torch.stack([torch.as_tensor(e, dtype=torch.float64) for e in expected]), **EQUAL)


def test_gradient_norms_are_moving_averages_of_max_over_mean(weighed) -> None:
    made, plain = weighed(GradientNorms(every=5, keep=0.7))
    averages = {1: 1.0, 2: 1.0, 4: 1.0}
    for step in (0, 5):
        largest = (2.0 * plain.gradient(0)).abs().max()
        for i, before in averages.items():
            ratio = largest / (before * plain.gradient(i)).abs().mean()
            averages[i] = 0.7 * before + 0.3 * float(ratio)
        made.update(step)
        expect(made.weights, [2.0, 3.0 * averages[1], 0.5 * averages[2], 0.0, 4.0 * averages[4]])
        moved(plain, 0.1)


def test_gradient_norms_weigh_alike_in_any_units() -> None:
    """Residuals trained as they were given, and in natural units: the parts of the terms have the same ratio."""
    pde = PDE("t x", "u", lambda u: 1e4 * (u.t - u.xx - u))
    problem = Problem("large", pde, BOX, [Residual(BOX.grid(6)), Dirichlet(BOX.face("t", "low", 7), u=1.0)])
    natural = in_natural_units(problem, natural_scales(problem))
    assert natural.loss_units[0] > 1e4
    ratios = []
    for own in (problem, natural):
        net, terms = MLP([2, 5, 1], seed=3, dtype=torch.float64), own.terms(torch.float64)
        made = WeighedTerms(
            GradientNorms(), own, get_backend(), net.plan, own.weights(torch.float64), lambda terms=terms: terms,
            lambda net=net: (net.theta.detach(), torch.empty(0, dtype=torch.float64)),
        )  # fmt: skip
        made.update(0)
        parts = made.weights / torch.tensor(own.loss_units, dtype=torch.float64)
        ratios.append(float(parts[1] / parts[0]))
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-9)


def test_tangent_kernel_weights_are_the_sum_of_traces_over_each(weighed) -> None:
    made, plain = weighed(NTK(every=5))
    made.update(0)
    t = [plain.trace(i) for i in (0, 1, 2)]
    total = sum(t)
    expect(made.weights, [2 * total / t[0], 3 * total / t[1], 0.5 * total / t[2], 0.0, 4.0])


def test_traces_of_some_points_are_near_those_of_all(weighed) -> None:
    made, plain = weighed(NTK())
    objective = made._objective
    grid = BOX.grid(40)
    term = heat().term_at(0, (grid,), heat().conditions[0].columns_at((grid,)), torch.float64)
    objective._terms = lambda: [term, *heat().terms(torch.float64)[1:]]
    plain.points[0] = torch.from_numpy(np.array(grid))
    exact = float(plain.trace(0))
    found = [float(objective.traces(step)[0]) for step in range(8)]
    assert len(set(found)) == 8
    assert found == pytest.approx([exact] * 8, rel=0.1)
    assert float(np.mean(found)) == pytest.approx(exact, rel=0.02)
    assert float(objective.traces(3)[0]) == found[3]


def test_balance_gives_boundary_terms_the_trace_of_the_equation(weighed) -> None:
    made, plain = weighed(TraceBalance())
    made.update(0)
    inside = torch.maximum(plain.trace(0), plain.trace(4))
    expect(made.weights, [2.0, 3 * inside / plain.trace(1), 0.5 * inside / plain.trace(2), 0.0, 4.0])


def test_attention_accumulates_relative_residuals(weighed) -> None:
    made, plain = weighed(ResidualAttention(every=1, rate=0.1, decay=0.9))
    factor = torch.zeros(36, dtype=torch.float64)
    for step in (0, 1, 2):
        size = plain.squares(0).sqrt()
        factor = 0.9 * factor + 0.1 * size / size.max()
        made.update(step)
        moved(plain, 0.1)
    torch.testing.assert_close(made.terms[0].columns[:, -1], factor, **EQUAL)
    expect(made.weights, [2.0, 3.0, 0.5, 0.0, 4.0])


def test_attention_every_few_steps_is_attention_in_each_with_the_same_residuals(weighed) -> None:
    rarely, _ = weighed(ResidualAttention(every=4, rate=0.1, decay=0.9))
    always, _ = weighed(ResidualAttention(every=1, rate=0.1, decay=0.9))
    rarely.update(0)
    for step in range(4):
        always.update(step)
    torch.testing.assert_close(rarely.terms[0].columns, always.terms[0].columns, **EQUAL)


def test_self_adaptive_weights_ascend_by_adam(weighed) -> None:
    made, plain = weighed(SelfAdaptive(every=1, rate=0.05))
    factors = [torch.ones(len(plain.points[i]), dtype=torch.float64, requires_grad=True) for i in (0, 1, 2)]
    ascent = torch.optim.Adam(factors, lr=0.05, maximize=True)
    for step in (0, 1, 2):
        ascent.zero_grad()
        sum((own.square() * plain.squares(i)).sum() for i, own in enumerate(factors)).backward()
        ascent.step()
        made.update(step)
        moved(plain, 0.1)
    for own, term in zip(factors, made.terms, strict=False):
        torch.testing.assert_close(term.columns[:, -1], own.detach(), **EQUAL)
    assert [term.columns.shape[1] for term in made.terms[3:]] == [term.columns.shape[1] for term in made._plain()[3:]]


def test_causal_weights_fall_with_what_is_left_before(weighed) -> None:
    made, plain = weighed(Causal(every=1, slabs=3, epsilon=(1e-9, 0.3, 9.0)))
    made.update(0)  # the first epsilon leaves all weights at 1, so the second is taken
    t, squares = plain.points[0][:, 0], plain.squares(0)
    slab = (t * 3).long().clamp(max=2)
    losses = [2.0 * squares[slab == k].mean() for k in range(3)]
    first = 3.0 * plain.squares(1).mean()
    weights = torch.stack([torch.exp(-0.3 * (first + sum(losses[:k]))) for k in range(3)])
    torch.testing.assert_close(made.terms[0].columns[:, -1].square(), weights[slab], **EQUAL)


def test_weights_of_points_weigh_the_loss(weighed) -> None:
    """What the backend minimises is the mean of lambda^2 r^2."""
    made, plain = weighed(ResidualAttention(every=1, rate=0.1, decay=0.9))
    made.update(0)
    engine, theta = made._objective._engine, plain.net.theta.detach()
    found = engine.loss_and_gradient(
        plain.net.plan, theta, torch.empty(0, dtype=torch.float64), made.terms, made.weights
    )
    own = theta.clone().requires_grad_()
    size = plain.squares(0).sqrt()
    losses = [
        ((0.1 * size / size.max() if i == 0 else 1.0) ** 2 * plain.residual(i, own).square()).mean() for i in range(5)
    ]
    total = sum(weight * loss for weight, loss in zip((2.0, 3.0, 0.5, 0.0, 4.0), losses, strict=True))
    torch.testing.assert_close(found.theta, torch.autograd.grad(total, own)[0], **EQUAL)
    assert made.plain_losses() == {0: pytest.approx(float(plain.squares(0).mean()), rel=1e-9)}


@pytest.mark.parametrize("weighting", [GradientNorms(), NTK(), ResidualAttention(), SelfAdaptive(), Causal()])
def test_updates_leave_tensors_where_they_are(weighed, weighting: Weighting) -> None:
    made, plain = weighed(weighting)
    before = [made.weights.data_ptr(), *(term.columns.data_ptr() for term in made.terms)]
    made.update(0)
    moved(plain, 0.1)
    made.update(weighting.every)
    assert before == [made.weights.data_ptr(), *(term.columns.data_ptr() for term in made.terms)]


@pytest.mark.parametrize("weighting", [GradientNorms(), NTK(), ResidualAttention(), SelfAdaptive(), Causal()])
def test_what_is_not_finite_changes_nothing(weighed, weighting: Weighting) -> None:
    made, plain = weighed(weighting)
    made.update(0)
    kept = {name: tensor.clone() for name, tensor in made.saved().tensors.items()}
    with torch.no_grad():
        plain.net.theta.fill_(math.nan)
    made.update(weighting.every)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in made.saved().tensors.items())
