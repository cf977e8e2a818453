"""From a teacher alone to its symmetries: found where they are, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Box,
    DiscoveryError,
    InputError,
    Problem,
    PsiMLP,
    Regularizer,
    Residual,
    SignedPermutation,
    StudentSettings,
    Symmetry,
    structure_from_group,
)
from psinn_fast.discovery import distillation as module
from psinn_fast.discovery.distillation import Distillation, distil
from psinn_fast.discovery.inputs import in_units
from psinn_fast.discovery.matching import Match
from psinn_fast.discovery.minimise import StudentLoss
from psinn_fast.discovery.reading import SymmetryTrial, simplify, symmetrise
from psinn_fast.discovery.student import converge, fitted, imitation, train_student

QUICK = StudentSettings((4, 4), Regularizer("l2", 3e-3), grid=13, starts=3)
EVEN_Y = Symmetry(SignedPermutation.flip(2, 1), (1,))
ODD_X = Symmetry(SignedPermutation.flip(2, 0), (-1,))
SWAP = Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))


def plain_problem(box: Box) -> Problem:
    return Problem("plain", PDE("x y", "u", lambda u: u.x), box, [Residual(box.grid(5))])


def symmetric_teacher(symmetries: list[Symmetry], problem: Problem, seed: int = 0) -> PsiMLP:
    structure = structure_from_group(symmetries, (1, 1), centre=tuple(problem.domain.centre.tolist()))
    teacher = PsiMLP(structure, 2, seed=seed, dtype=torch.float64, init="xavier")
    with torch.no_grad():
        teacher.theta.mul_(1.5)
    return teacher


def found_maps(found: Distillation) -> set[Symmetry]:
    return {match.symmetry for match in found.symmetries}


@pytest.mark.trajectory
@pytest.mark.parametrize("symmetries", [[EVEN_Y], [EVEN_Y, ODD_X], [SWAP]])
def test_symmetries_of_the_teacher_are_found(symmetries: list[Symmetry]) -> None:
    """Also about a centre that is not the origin."""
    problem = plain_problem(Box(x=(0, 2), y=(1, 3)))
    teacher = symmetric_teacher(symmetries, problem)
    found = distil(problem, teacher, settings=QUICK)
    assert found.centre == (1.0, 2.0)
    assert found_maps(found) == {match.symmetry for match in found.teacher_symmetries} >= set(symmetries)
    assert not found.missed
    assert found.tied.loss <= (1 + QUICK.cluster_rise) * found.chosen.student.loss
    assert all(trial.accepted == (trial.ratio <= 1 + QUICK.symmetry_rise) for trial in found.trials)
    assert found.tied.net.structure.n_parameters == found.structure.n_parameters
    report = found.report()
    assert "times the loss, accepted" in report
    assert "W1 = " in report


@pytest.mark.parametrize(("coords", "points"), [("x", 961), ("x y", 31**2), ("t x y", 10**3), ("t x y z", 6**4)])
def test_students_imitate_on_about_as_many_points_whatever_the_inputs(coords: str, points: int) -> None:
    box = Box(**dict.fromkeys(coords.split(), (0, 1)))
    problem = Problem("plain", PDE(coords, "u", lambda u: u.x), box, [Residual(box.grid(2))])
    task, spread = imitation(problem, lambda x: x.sum(1, keepdims=True))
    assert [term.n_points for term in task.terms(torch.float64)] == [points]
    assert spread.shape == (1,)


@pytest.mark.parametrize(
    ("domain", "half_widths"),
    [
        (Box(x=(0, 1), y=(-4, 4)), [0.5, 4]),
        (Box(x=(0, 2e6), y=(-1e6, 1e6)), [1, 1]),
        (Box(x=(0, 2e6), y=(5, 5 + 2e-3)), [1.1, 1]),
        (Box(x=(0, 1), y=(0, 2e3)), [1, 1.1]),
    ],
)
def test_students_see_coordinates_of_order_one(domain: Box, half_widths: list[float]) -> None:
    """About the centre; sides that the problem cannot exchange do not look equal."""
    half = (domain.high - domain.low) / 2
    for sign in (1, -1):
        np.testing.assert_allclose(in_units(sign * half, half), np.multiply(sign, half_widths), rtol=1e-12)


def test_imitation_does_not_depend_on_units() -> None:
    tasks = []
    for size, value in ((1.0, 1.0), (1e6, 1e-20)):
        problem = plain_problem(Box(x=(-size, size), y=(-size, size)))
        task, spread = imitation(problem, lambda x, s=size, v=value: v * (x[:, :1] / s) ** 3, 5)
        tasks.append((task.conditions[0].sites[0], task.conditions[0].columns["u"], spread / value))
    for one, other in zip(*tasks, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12)


@pytest.mark.trajectory
def test_no_symmetry_where_the_teacher_has_none() -> None:
    problem = plain_problem(Box(x=(-1, 1), y=(-1, 1)))
    teacher = MLP([2, 6, 1], seed=3, dtype=torch.float64)
    with torch.no_grad():
        teacher.theta.mul_(2)
    found = distil(problem, teacher, settings=QUICK)
    assert not found.teacher_symmetries
    assert not found.symmetries
    assert not any(trial.accepted for trial in found.trials)
    assert min(trial.ratio for trial in found.trials) > 1.5


@pytest.mark.trajectory
def test_the_median_of_several_teachers_is_imitated() -> None:
    """One of three breaks the symmetry; alone it would be believed."""
    problem = small_laplace()
    symmetric = symmetric_teacher([EVEN_Y], problem)
    outlier = MLP([2, 6, 1], seed=3, dtype=torch.float64)
    with torch.no_grad():
        outlier.theta.mul_(2)
    found = distil(problem, [symmetric, outlier, symmetric], settings=QUICK)
    assert EVEN_Y in found_maps(found)
    assert found.scatter > 0.1
    assert "teachers' scatter" in found.report()
    alone = distil(problem, [outlier], settings=QUICK)
    assert not alone.symmetries
    assert alone.scatter == 0
    with pytest.raises(InputError, match="teacher: expected at least one network"):
        distil(problem, [])


@pytest.mark.trajectory
def test_ties_within_the_teachers_scatter_are_accepted_and_none_that_costs_a_third() -> None:
    flip = SignedPermutation.flip(2, 1)
    for slope, scatters in ((0.03, ((0.0, False), (0.2, True))), (1.0, ((0.0, False), (0.2, False), (1e9, False)))):
        task, _ = imitation(small_laplace(), lambda x, slope=slope: x[:, 1:] ** 2 + slope * x[:, 1:], 13)
        student, _, _ = simplify(task, train_student(task, QUICK, 0), QUICK, 0.05)
        for scatter, accepted in scatters:
            _, (trial,) = symmetrise(task, student, [flip], student.loss, QUICK, "auto", scatter * student.loss)
            assert trial.accepted is accepted, (slope, scatter, trial.ratio)


@pytest.mark.trajectory
def test_a_tie_that_narrowly_fails_is_tried_on_the_other_students(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, int]] = []
    flips = SignedPermutation.flip(2, 0), SignedPermutation.flip(2, 1)

    def answer(task, student, maps, *_):
        """Of two maps one is hopeless, the other is free on the fifth student only."""
        tried.append((student.seed, len(maps)))
        trials = []
        for g in maps:
            ratio = 30.0 if g != flips[0] else 1.0 if len(tried) == 5 else 1.1
            trials.append(SymmetryTrial(Match(Symmetry(g, (1,)), (), 0.1), ratio, ratio < 1.05))
        return student, tuple(trials)

    monkeypatch.setattr(module, "symmetrise", answer)
    found = distil(small_laplace(), symmetric_teacher([EVEN_Y], small_laplace()), settings=replace(QUICK, starts=6))
    # All maps on three students, the plausible one on two more; the sixth is not needed.
    assert [count for _, count in tried] == [7, 7, 7, 1, 1]
    assert len({seed for seed, _ in tried}) == 5
    assert [symmetry.map for symmetry in found.chosen.symmetries] == [flips[0]]


@pytest.mark.trajectory
def test_fixed_threshold_reads_the_student_of_lowest_loss() -> None:
    problem = small_laplace()
    teacher = symmetric_teacher([EVEN_Y], problem)
    found = distil(problem, teacher, settings=replace(QUICK, threshold=0.1))
    assert found.threshold == 0.1
    assert not found.trials
    assert found.chosen.student.loss == min(attempt.student.loss for attempt in found.attempts)


@pytest.mark.trajectory
def test_settings_seed_means_other_students() -> None:
    task, _ = imitation(small_laplace(), lambda points: points[:, :1] ** 2, 9)
    one, same, other = (train_student(task, QUICK, seed).net.theta for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.trajectory
def test_converge_counts_copies() -> None:
    """A neuron that stands for two is the student with the neuron twice, at the same loss."""
    task, _ = imitation(small_laplace(), lambda points: np.tanh(points[:, :1] + points[:, 1:] ** 2), 9)
    one = train_student(task, StudentSettings((3,), QUICK.regularizer, grid=9, starts=1), 0)
    single = converge(task, one.net.structure, one.weights, [np.full(3, 2.0)], QUICK)
    (weight, bias), (out, out_bias) = single.weights
    doubled = [(np.repeat(weight, 2, 0), np.repeat(bias, 2)), (np.repeat(out / 2, 2, 1), out_bias)]
    structure = MLP([2, 6, 1]).structure
    loss = StudentLoss(task, structure, [np.ones(6)], QUICK.regularizer)
    assert loss.value_and_gradient(fitted(structure, doubled))[0] == pytest.approx(single.loss, rel=1e-8)
    assert 0 < single.mean_square < single.loss


def test_bad_input() -> None:
    with pytest.raises(InputError, match="threshold: expected 'auto' or a finite number > 0, got 'best'"):
        StudentSettings(threshold="best")
    with pytest.raises(InputError, match="cluster_rise: expected a finite number > 0"):
        StudentSettings(cluster_rise=0.0)
    with pytest.raises(InputError, match="seed: expected an integer from 0"):
        StudentSettings(seed=-1)


@pytest.mark.trajectory
@pytest.mark.parametrize(
    ("hidden", "strength", "message"),
    [((3,), 10.0, "no student shows a structure .*no neuron is left"), ((1,), 1e-3, "leaves .* of the teacher's")],
)
def test_students_that_imitate_nothing(hidden: tuple[int, ...], strength: float, message: str) -> None:
    problem = plain_problem(Box(x=(-1, 1), y=(-1, 1)))
    teacher = MLP([2, 2, 1], dtype=torch.float64)
    with torch.no_grad():  # tanh(6 x + 3) - tanh(6 x - 3), of which one tanh has little
        teacher.theta.copy_(torch.tensor([6.0, 0, 6, 0, 3, -3, 1, -1, 0]))
    with pytest.raises(DiscoveryError, match=message):
        distil(problem, teacher, settings=StudentSettings(hidden, Regularizer("l2", strength), grid=11, starts=1))
