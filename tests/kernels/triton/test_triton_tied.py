"""Tied networks in Triton against the reference backend: published, random, with orbits and with constant neurons."""

from __future__ import annotations

import pytest
import torch
from helpers import random_structure, random_theta
from on_device import OnDevice
from planted import planted_structure
from test_cpu_operations import channel_sets, check_jets, check_losses
from test_cpu_tied import GROUPS, shuffled, tied_terms
from test_lowering import EVEN_Y, ODD_X, constant_chain

from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan, expanded_plan
from psinn_fast.kernels.triton.layout import make_layout
from psinn_fast.networks.groups import structure_from_group
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

NU = torch.tensor([0.4], dtype=torch.float64)


def check_tied(backend: OnDevice, structure: Structure, plan: Plan, seed: int, jacobian: bool = True) -> None:
    """All operations: orders 1 to 4, two sites, all outputs, an unknown coefficient."""
    theta = random_theta(structure, seed)
    check_jets(backend, plan, theta, channel_sets(structure.n_inputs)["laplacian"], 11)
    check_losses(backend, plan, theta, NU, tied_terms(structure.n_inputs, structure.n_outputs), jacobian)


@pytest.mark.parametrize(
    ("name", "width"), [("laplace", 1), ("laplace", 8), ("burgers", 7), ("poisson", 3), ("flow", 3)]
)
def test_published(backend: OnDevice, name: str, width: int) -> None:
    structure = published_structure(name).with_width(width)
    check_tied(backend, structure, lower(structure.layers), width)


@pytest.mark.parametrize("seed", range(6))
def test_random_structures(backend: OnDevice, seed: int) -> None:
    structure = random_structure(seed, 1 + seed % 4, 1 + seed % 3, 2 + seed % 3)
    check_tied(backend, structure, lower(structure.layers), seed)


@pytest.mark.parametrize("seed", [1, 2, 5, 8])
def test_planted_relations(backend: OnDevice, seed: int) -> None:
    structure = planted_structure(seed)
    check_tied(backend, structure, lower(structure.layers), seed)


@pytest.mark.parametrize(
    ("group", "width"), [("pairs", 3), ("odd pairs", 1), ("quadruples", 3), ("quadruples", 9), ("eights", 1)]
)
def test_groups(backend: OnDevice, group: str, width: int) -> None:
    structure = structure_from_group(GROUPS[group], [8, width, 8], "regular")
    check_tied(backend, structure, lower(structure.layers), 5, jacobian=width == 1)


def test_signed_representation(backend: OnDevice) -> None:
    structure = structure_from_group([EVEN_Y, ODD_X], [8, 3, 8], "signed")
    check_tied(backend, structure, lower(structure.layers), 5)


def test_orbits_in_any_order(backend: OnDevice) -> None:
    structure = structure_from_group(GROUPS["quadruples"], [8, 8], "regular")
    check_tied(backend, structure, shuffled(lower(structure.layers)), 6)


def test_constant_neurons(backend: OnDevice) -> None:
    """Biases that are no linear function of theta: torch makes w before the kernel, and the gradient behind it."""
    structure = constant_chain(2)
    plan = lower(structure.layers)
    assert make_layout(plan).reads_w
    check_tied(backend, structure, plan, 2)


def test_plans_that_are_not_lowered(backend: OnDevice) -> None:
    structure = published_structure("laplace").with_width(3)
    check_tied(backend, structure, expanded_plan(structure.layers), 1)


@pytest.mark.parametrize("representation", ["regular", "signed"])
def test_about_a_centre(backend: OnDevice, representation: str) -> None:
    """Rows of E with several entries, and a first bias appended to w."""
    structure = structure_from_group([EVEN_Y, ODD_X], (2, 3), representation, centre=(0.5, -0.25))
    check_tied(backend, structure, structure.plan, 1, jacobian=False)
