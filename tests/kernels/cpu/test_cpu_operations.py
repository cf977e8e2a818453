"""The C++ operations against the reference backend, in double precision; in single precision against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from agreement import channel_sets, check_jets, check_losses
from cases import CASES, make
from helpers import random_theta
from residual_programs import on_network

from psinn_fast.domains import Box
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Data, Periodic, Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

NETWORKS = [
    (1, (), 1), (2, (), 3), (1, (1,), 1), (2, (7,), 1), (2, (8, 8), 2), (3, (16, 1, 33), 3), (4, (31, 7), 1),
    (1, (8, 8, 8), 1), (2, (64, 64), 1), (3, (256,), 2), (2, (256, 7), 1), (3, (5, 4, 3, 2, 6), 2), (4, (3, 33, 64), 2),
]  # fmt: skip


@pytest.mark.parametrize(("d", "hidden", "f"), NETWORKS)
def test_jets(backend: CpuBackend, d: int, hidden: tuple[int, ...], f: int) -> None:
    structure = Structure.dense([d, *hidden, f])
    plan, theta = lower(structure.layers), random_theta(structure, 1)
    for number, channels in enumerate(channel_sets(d).values()):
        check_jets(backend, plan, theta, channels, (17, 31, 64, 15)[(number + len(hidden)) % 4])


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 31, 63, 64, 65, 255, 1023])
def test_numbers_of_points(backend: CpuBackend, n: int) -> None:
    """Panels of 1, 2 and 4 vectors, tiles of several panels, and what is left over."""
    for d, hidden, name in [
        (2, (7, 5), "value"), (2, (6, 4), "first"), (2, (7, 5), "laplacian"), (1, (), "heat"), (3, (9,), "some"),
    ]:  # fmt: skip
        structure = Structure.dense([d, *hidden, 1])
        check_jets(backend, lower(structure.layers), random_theta(structure, 2), channel_sets(d)[name], n)
    for case in ("laplace", "periodic", "burgers with unknown nu") if n else ():
        structure, theta, coefficients, terms, _ = make(case, (7, 3), n)
        check_losses(backend, lower(structure.layers), theta, coefficients, terms, jacobian=n < 100)


def test_many_tiles(backend: CpuBackend) -> None:
    """More tiles than a thread sums up in one go."""
    for case, n in (("laplace", 4609), ("periodic", 3001), ("burgers with unknown nu", 5000)):
        structure, theta, coefficients, terms, _ = make(case, (5, 4), n)
        check_losses(backend, lower(structure.layers), theta, coefficients, terms, jacobian=False)
    check_jets(backend, lower(structure.layers), theta, channel_sets(2)["value"], 20_000)


def test_wide_layers(backend: CpuBackend) -> None:
    """Tiles of one panel, larger than the cache."""
    structure = Structure.dense([2, 700, 300, 1])
    plan, theta = lower(structure.layers), random_theta(structure, 1) / 10
    check_jets(backend, plan, theta, channel_sets(2)["all"], 17)
    terms, coefficients = CASES["laplace"].build(19)[0], torch.zeros(0, dtype=torch.float64)
    check_losses(backend, plan, theta, coefficients, terms, jacobian=False)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("hidden", [(), (1,), (33,), (8, 8), (64, 16, 31), (7, 1, 5, 3, 2)])
def test_losses_and_jacobian(backend: CpuBackend, case: str, hidden: tuple[int, ...]) -> None:
    structure, theta, coefficients, terms, _ = make(case, hidden, 21)
    check_losses(backend, lower(structure.layers), theta, coefficients, terms)


# Residual programs.


@pytest.mark.parametrize("d", [1, 3])
def test_second_derivatives_alone(backend: CpuBackend, d: int) -> None:
    coords = "xyz"[:d]
    box = Box(**dict.fromkeys(coords, (-1, 1)))
    conditions = [
        Residual(box.random(33, seed=1)),
        Periodic(box.random(8, seed=2), box.random(8, seed=3), "u_xx"),
        Data(box.random(9, seed=1), u=lambda first, *others: np.cos(first)),
    ]
    pde = PDE(" ".join(coords), "u", lambda u: u.lap if d == 3 else u.xx)
    for hidden in ((7,), (9, 5, 3)):
        plan, theta, terms = on_network(Problem("p", pde, box, conditions).terms(torch.float64), d, 1, hidden)
        check_losses(backend, plan, theta, torch.zeros(0, dtype=torch.float64), terms)
