"""Tied networks in C++ against the reference backend: published, random, and with orbits of every kind."""

from __future__ import annotations

import pytest
import torch
from agreement import channel_sets, check_jets, check_losses
from helpers import random_theta
from hypothesis import given, settings
from hypothesis import strategies as st
from plans_by_hand import even_in_y, opposite_rows, zero_blocks
from planted import planted_structure
from strategies import structures
from tied import EVEN_Y, GROUPS, ODD_X, constant_chain, laplace_terms, shuffled, tied_terms

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.orbits import orbits
from psinn_fast.kernels.network.plan import Plan, expanded_plan
from psinn_fast.networks.groups import structure_from_group
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure


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
@settings(max_examples=8)
def test_random_structures(isa: str, structure: Structure, seed: int) -> None:
    backend = CpuBackend(isa)
    check_tied(backend, structure, lower(structure.layers), seed)
    theta, channels = random_theta(structure, seed), channel_sets(structure.n_inputs)["laplacian"]
    check_jets(backend, expanded_plan(structure.layers), theta, channels, 7)


@pytest.mark.parametrize("isa", instruction_sets())
@given(seed=st.integers(0, 100_000))
@settings(max_examples=12)
def test_planted_relations(isa: str, seed: int) -> None:
    structure = planted_structure(seed)
    check_tied(CpuBackend(isa), structure, lower(structure.layers), seed)


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
            for orbit in orbits(plan.layers, layer) or ():
                kinds.add((orbit.size, orbit.mixing, orbit.mixing_after, bool(orbit.sums)))
            if orbits(plan.layers, layer) is None:
                kinds.add("transforms")
    assert {"transforms", (2, 2, 1, True), (2, 2, 2, False), (4, 2, 1, True), (4, 4, 4, False)} <= kinds


@pytest.mark.parametrize("group", ["odd pairs", "quadruples"])
def test_orbits_in_any_order(backend: CpuBackend, group: str) -> None:
    """Neurons shuffled: the orbits are scattered, and each is on its own."""
    structure = structure_from_group(GROUPS[group], [8, 8], "regular")
    plan = shuffled(lower(structure.layers))
    found = orbits(plan.layers, 1)
    assert found is not None
    assert len(found) > 1
    check_tied(backend, structure, plan, 6)
