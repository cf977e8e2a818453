"""Discovery from what was solved elsewhere: networks and functions on a domain, without equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small import small_laplace

import psinn_fast as pf
from psinn_fast.discovery.given import problem_of, values

SQUARE = pf.Box(x=(-1, 1), y=(-1, 1))
QUICK = pf.StudentSettings((4, 4), pf.Regularizer("l2", 1e-2), grid=13, starts=2)
FLIP_X, FLIP_Y = (pf.SignedPermutation.flip(2, axis) for axis in (0, 1))


def solution(error: float, seed: int) -> Callable[[Any], Any]:
    """x^3 - 3 x y^2, odd in x and even in y, but for a smooth error of that size."""
    a, b, c, d = np.random.default_rng(seed).normal(size=4)

    def u(points: Any) -> Any:
        x, y = points[:, :1], points[:, 1:]
        return x**3 - 3 * x * y**2 + error * (a * x + b * y + c * np.cos(x + d) * np.sin(2 * y))

    return u


def test_several_teachers_show_their_symmetries_beyond_their_differences() -> None:
    found = pf.discover(SQUARE, [solution(1e-3, 0), solution(1e-3, 1), solution(1e-3, 2)], tests="teacher")
    group = {match.symmetry.map: match.symmetry.character for match in found.group}
    assert group == {FLIP_X: (-1,), FLIP_Y: (1,), pf.SignedPermutation((0, 1), (-1, -1)): (-1,)}
    assert found.trial is None
    assert found.teachers == ()
    # All networks of the structure have them.
    net = pf.PsiMLP(found.structure, width=3, seed=0, dtype="float64")
    points = torch.rand(30, 2, dtype=torch.float64)
    torch.testing.assert_close(net(points * torch.tensor([1.0, -1.0])), net(points))


def test_an_asymmetry_is_seen() -> None:
    def u(points: Any, error: float) -> Any:
        return points[:, :1] + 0.5 * points[:, :1] ** 2 + error

    found = pf.discover(SQUARE, [lambda p: u(p, 0), lambda p: u(p, 1e-3)], tests="teacher")
    assert {match.symmetry.map for match in found.group} == {FLIP_Y}


@pytest.mark.trajectory
def test_one_torch_network_is_distilled() -> None:
    structure = pf.structure_from_group([pf.Symmetry(FLIP_Y, (1,))], hidden=(1, 1))
    ordinary = pf.PsiMLP(structure, width=4, seed=3, init="xavier").to_sequential()
    found = pf.discover(SQUARE, ordinary, settings=QUICK)
    assert found.distillation is not None
    assert FLIP_Y in {match.symmetry.map for match in found.distillation.teacher_symmetries}
    assert all(row.teacher is None and row.problem is None for row in found.evidence)


def test_modules_are_evaluated_in_their_own_dtype() -> None:
    points = np.random.default_rng(0).uniform(size=(9, 2))
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    expected = net(torch.tensor(points, dtype=torch.float32)).detach().numpy()
    np.testing.assert_array_equal(values(net, points), expected)
    assert problem_of(SQUARE, [net]).pde.fields == ("u1", "u2", "u3")


def test_a_problem_takes_functions_beside_its_own_networks() -> None:
    found = pf.discover(small_laplace(), solution(0.0, 0), tests="student", seeds=1, steps=0, settings=QUICK)
    assert found.distillation is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "teacher: expected trained networks or functions, the solution that the domain alone says nothing of"),
        ({"teacher": "net"}, "teacher: expected a network, or a function .*, got 'net'"),
        ({"teacher": lambda p: p[:, 0]}, r"teacher: expected values \(\d+, F\) at points .*, got \(\d+,\)"),
        ({"teacher": lambda p: p * np.nan}, "teacher: expected finite values in the domain"),
        ({"teacher": [lambda p: p, lambda p: p[:, :1]]}, r"equally many outputs of all, got \[1, 2\]"),
        ({"teacher": lambda p: p, "tests": ("problem", "student")}, "tests: 'problem' is about equations"),
        ({"teacher": lambda p: p, "tests": "teacher"}, "tests: 'teacher' compares teachers"),
        ({"teacher": lambda p: p, "steps": 5}, "steps: has no meaning for a domain and its given teachers"),
        ({"teacher": lambda p: p, "seconds": 5.0}, "seconds: has no meaning for a domain"),
        ({"teacher": lambda p: p, "tests": "none"}, "tests: expected one of"),
    ],
)
def test_bad_input(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        pf.discover(SQUARE, **arguments)
