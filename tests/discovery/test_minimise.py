"""Second-order minimisation of the student's loss, against autograd and on cases with known ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import mlp, random_structure, random_theta

from psinn_fast import PDE, Box, Data, Problem, PsiMLP, Regularizer, Structure
from psinn_fast.discovery.minimise import StudentLoss, gauss_newton, newton
from psinn_fast.discovery.student import StudentSettings, train_student
from psinn_fast.training.optimisers.lbfgs import LBFGS
from psinn_fast.training.optimisers.quasi_newton import minimised

BOX = Box(x=(-1, 1), y=(-1, 1))


def task(n: int = 7) -> Problem:
    target = Data(BOX.grid(n), u=lambda x, y: x**2 + np.sin(2 * y) * x)
    return Problem("imitate", PDE("x y", "u", lambda u: u.x), BOX, [target])


def ones(structure: Structure) -> list[np.ndarray]:
    return [np.ones(n) for n in structure.layer_sizes[1:-1]]


def test_value_gradient_and_hessian_against_autograd() -> None:
    structure, problem = random_structure(5), task()
    theta = random_theta(structure, 0)
    loss = StudentLoss(problem, structure, ones(structure), Regularizer("l2", 0.01))
    x = torch.tensor(problem.conditions[0].sites[0])
    u = torch.tensor(problem.conditions[0].columns["u"])

    def plain(parameters: torch.Tensor) -> torch.Tensor:
        square = (mlp(structure, parameters, x)[:, 0] - u).square().mean()
        return square + 0.01 * sum(weight.norm() for weight, _ in structure.expand(parameters))

    value, gradient = loss.value_and_gradient(theta)
    free = theta.clone().requires_grad_()
    expected = plain(free)
    assert value == pytest.approx(float(expected.detach()), rel=1e-6)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, free)[0], rtol=1e-6, atol=1e-9)
    exact = torch.autograd.functional.hessian(plain, theta)
    torch.testing.assert_close(loss.hessian(theta), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.trajectory
def test_gauss_newton_then_newton_reach_a_minimum() -> None:
    net = PsiMLP(Structure.dense((2, 4, 1)), seed=1, dtype=torch.float64)
    loss = StudentLoss(task(), net.structure, ones(net.structure), Regularizer("l2", 3e-3))
    rough = gauss_newton(loss, net.theta.detach(), 200, 1e-10)
    fine = newton(loss, rough.theta, 30, 1e-10)
    assert fine.loss <= rough.loss < loss.value_and_gradient(net.theta.detach())[0]
    assert fine.gradient <= 1e-10
    # Neurons that feed nothing leave flat directions, but none goes down.
    assert float(torch.linalg.eigvalsh(loss.hessian(fine.theta))[0]) > -1e-6


@pytest.mark.trajectory
def test_newton_leaves_a_saddle() -> None:
    """All weights zero: the gradient is nearly zero by symmetry, and the loss falls in some direction."""
    structure = Structure.dense((2, 3, 1))
    target = Data(BOX.grid(7), u=lambda x, y: x + y**3)
    problem = Problem("saddle", PDE("x y", "u", lambda u: u.x), BOX, [target])
    loss = StudentLoss(problem, structure, ones(structure), Regularizer("l2", 1e-8))
    theta = torch.zeros(structure.n_parameters, dtype=torch.float64)
    assert float(loss.value_and_gradient(theta)[1].abs().max()) < 1e-9
    found = newton(loss, theta, 60, 1e-9)
    assert found.loss < 0.9 * loss.value_and_gradient(theta)[0]


@pytest.mark.trajectory
@pytest.mark.parametrize("kind", ["l1", "growl"])
def test_other_penalties_leave_nothing_for_lbfgs(kind: str) -> None:
    """They do not end at a small gradient: both have kinks where they are least."""
    settings = StudentSettings((4,), Regularizer(kind, 3e-3))
    student = train_student(task(), settings, 1)
    assert student.mean_square < student.loss < 0.1
    again = minimised(task(), student.net, LBFGS(500), settings.regularizer)
    assert student.loss < 1.01 * sum(again.final_losses())


def test_no_steps_change_nothing() -> None:
    net = PsiMLP(Structure.dense((2, 3, 1)), seed=0, dtype=torch.float64)
    loss = StudentLoss(task(), net.structure, ones(net.structure), Regularizer("l2", 1e-3))
    for method in (gauss_newton, newton):
        found = method(loss, net.theta.detach(), 0, 1e-9)
        assert found.steps == 0
        assert torch.equal(found.theta, net.theta)
