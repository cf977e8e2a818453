"""Tied networks in C++ against the reference backend: published, random, and with orbits of every kind."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from helpers import random_theta, unit_normal
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_structure
from strategies import structures
from test_cpu_operations import channel_sets, check_jets, check_losses
from test_lowering import EVEN_Y, ODD_X, constant_chain
from test_plan import even_in_y, opposite_rows, zero_blocks

from psinn_fast.domains import Box
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.orbits import orbits
from psinn_fast.kernels.network.plan import Plan, expanded_plan
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Data, Neumann, Periodic, Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem


@cache
def tied_terms(n_inputs: int, n_outputs: int) -> list[Term]:
    """Orders 1 to 4, two sites, all outputs, an unknown coefficient."""
    coords, fields = "xyzt"[:n_inputs], "uvw"[:n_outputs]
    box = Box(**dict.fromkeys(coords, (-1, 1)))
    conditions = [
        Residual(box.random(9, seed=1)),
        Neumann(box.random(7, seed=2), unit_normal(len(coords)), **dict.fromkeys(fields, 0.3)),
        Periodic(box.random(5, seed=3), box.random(5, seed=4), [f"{fields[0]}_x", fields[-1]]),
    ]
    pde = PDE(" ".join(coords), " ".join(fields), lambda u, nu: [u.x * u - nu * u.xx, u.xxxx + nu], unknown={"nu": 0.4})
    return Problem("tied", pde, box, conditions).terms(torch.float64)


@cache
def laplace_terms(n_inputs: int, n_outputs: int) -> list[Term]:
    """Residuals that read the Laplacian alone: the last layers leave out the other channels."""
    coords, fields = "xyzt"[:n_inputs], "uvw"[:n_outputs]
    box = Box(**dict.fromkeys(coords, (-1, 1)))
    pde = PDE(" ".join(coords), " ".join(fields), lambda u: u.lap, time=None)
    others = Data(box.random(2, seed=2), **dict.fromkeys(fields, 0.0))
    return Problem("laplace", pde, box, [Residual(box.random(13, seed=1)), others]).terms(torch.float64)[:1]


def check_tied(backend: CpuBackend, structure: Structure, plan: Plan, seed: int) -> None:
    theta, nu = random_theta(structure, seed), torch.tensor([0.4], dtype=torch.float64)
    sets = channel_sets(structure.n_inputs)
    for name in ("value", "laplacian", "some"):
        check_jets(backend, plan, theta, sets[name], 11)
    check_losses(backend, plan, theta, nu, tied_terms(structure.n_inputs, structure.n_outputs))
    check_losses(backend, plan, theta, nu[:0], laplace_terms(structure.n_inputs, structure.n_outputs))


@pytest.mark.parametrize("name", ["laplace", "burgers", "poisson", "flow"])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_published(backend: CpuBackend, name: str, width: int) -> None:
    structure = published_structure(name).with_width(width)
    check_tied(backend, structure, lower(structure.layers), width)


@pytest.mark.parametrize("make_plan", [even_in_y, zero_blocks, opposite_rows])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 5)])
def test_plans_by_hand(backend: CpuBackend, make_plan, n: int, m: int) -> None:
    structure, plan = make_plan(n, m)
    check_tied(backend, structure, plan, n)


@pytest.mark.parametrize("n", [1, 3])
def test_constant_neurons(backend: CpuBackend, n: int) -> None:
    structure = constant_chain(n)
    plan = lower(structure.layers)
    assert len(plan.folds.levels) == 3
    check_tied(backend, structure, plan, n)


@pytest.mark.parametrize("isa", instruction_sets())
@given(structure=structures, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=8)
def test_random_structures(isa: str, structure: Structure, seed: int) -> None:
    backend = CpuBackend(isa)
    check_tied(backend, structure, lower(structure.layers), seed)
    theta, channels = random_theta(structure, seed), channel_sets(structure.n_inputs)["laplacian"]
    check_jets(backend, expanded_plan(structure.layers), theta, channels, 7)


@pytest.mark.parametrize("isa", instruction_sets())
@given(seed=st.integers(0, 100_000))
@settings(deadline=None, max_examples=12)
def test_planted_relations(isa: str, seed: int) -> None:
    structure = planted_structure(seed)
    check_tied(CpuBackend(isa), structure, lower(structure.layers), seed)


def flips(d: int, *axes: int) -> list[Symmetry]:
    """Reflections of d inputs; the solution is odd under the last one."""
    return [Symmetry(SignedPermutation.flip(d, axis), (-1 if axis == axes[-1] else 1,)) for axis in axes]


GROUPS = {"pairs": flips(2, 1), "odd pairs": flips(2, 0), "quadruples": flips(2, 1, 0), "eights": flips(3, 0, 1, 2)}


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("group", GROUPS)
def test_groups(backend: CpuBackend, group: str, width: int) -> None:
    """Widths at which layers are diagonalised by the whole group, by a part of it, or not at all."""
    structure = structure_from_group(GROUPS[group], [8, width, 8], "regular")
    check_tied(backend, structure, lower(structure.layers), 5)


def test_signed_representation(backend: CpuBackend) -> None:
    structure = structure_from_group([EVEN_Y, ODD_X], [8, 3, 8], "signed")
    check_tied(backend, structure, lower(structure.layers), 5)


def test_both_ways_of_mixing_are_run() -> None:
    """In orbits, and, where eight neurons mix, by transforms on their own."""
    kinds = set()
    for group in GROUPS.values():
        plan = lower(structure_from_group(group, [8, 3, 8], "regular").layers)
        for layer in range(3):
            for orbit in orbits(plan, layer) or ():
                kinds.add((orbit.size, orbit.mixing, orbit.mixing_after, bool(orbit.sums)))
            if orbits(plan, layer) is None:
                kinds.add("transforms")
    assert {"transforms", (2, 2, 1, True), (2, 2, 2, False), (4, 2, 1, True), (4, 4, 4, False)} <= kinds


@pytest.mark.parametrize("group", ["odd pairs", "quadruples"])
def test_orbits_in_any_order(backend: CpuBackend, group: str) -> None:
    """Neurons shuffled: the orbits are scattered, and each is on its own."""
    structure = structure_from_group(GROUPS[group], [8, 8], "regular")
    plan = shuffled(lower(structure.layers))
    found = orbits(plan, 1)
    assert found is not None
    assert len(found) > 1
    check_tied(backend, structure, plan, 6)


def shuffled(plan: Plan) -> Plan:
    """The same function with the second layer's neurons in another order."""
    first, second, third = plan.layers
    assert second.post is not None
    assert second.bias is not None
    assert third.pre is not None
    order = np.random.default_rng(0).permutation(second.fan_out)
    place = order.argsort()
    post, pre = second.post, third.pre
    # The bias moves with the neurons: its rows of E are exchanged.
    rows = np.arange(plan.expansion.shape[0])
    rows[second.bias] = second.bias.start + place
    expansion = type(post)(
        plan.expansion.shape, rows[plan.expansion.row], plan.expansion.col, plan.expansion.coefficient
    )
    return replace(
        plan,
        expansion=expansion,
        layers=(
            first,
            replace(second, post=type(post)(post.shape, place[post.row], post.col, post.coefficient)),
            replace(third, pre=type(pre)(pre.shape, pre.row, place[pre.col], pre.coefficient)),
        ),
    )
