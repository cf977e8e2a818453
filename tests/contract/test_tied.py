"""Tied networks on every backend against the reference: published, random, with orbits and with constant neurons."""

from __future__ import annotations

import pytest
import torch
from agreement import channel_sets, check_jets, check_losses
from helpers import random_structure, random_theta
from planted import planted_structure
from tied import EVEN_Y, GROUPS, ODD_X, constant_chain, shuffled, tied_terms

from psinn_fast.kernels.contract import Backend
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan, expanded_plan
from psinn_fast.networks.groups import structure_from_group
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

pytestmark = [
    pytest.mark.without("reference", reason="it is what the others are compared with"),
    pytest.mark.without("toy", reason="it runs the expanded network, as all other tests of the contract do"),
]
NU = torch.tensor([0.4], dtype=torch.float64)


def check_tied(backend: Backend, structure: Structure, plan: Plan, seed: int, jacobian: bool = True) -> None:
    """All operations: orders 1 to 4, two sites, all outputs, an unknown coefficient."""
    theta = random_theta(structure, seed)
    check_jets(backend, plan, theta, channel_sets(structure.n_inputs)["laplacian"], 11)
    check_losses(backend, plan, theta, NU, tied_terms(structure.n_inputs, structure.n_outputs), jacobian)


@pytest.mark.parametrize(
    ("name", "width"), [("laplace", 1), ("laplace", 8), ("burgers", 7), ("poisson", 3), ("flow", 3)]
)
def test_published(backend: Backend, name: str, width: int) -> None:
    structure = published_structure(name).with_width(width)
    check_tied(backend, structure, lower(structure.layers), width)


@pytest.mark.parametrize("seed", range(6))
def test_random_structures(backend: Backend, seed: int) -> None:
    structure = random_structure(seed, 1 + seed % 4, 1 + seed % 3, 2 + seed % 3)
    check_tied(backend, structure, lower(structure.layers), seed)


@pytest.mark.parametrize("seed", [1, 2, 5, 8])
def test_planted_relations(backend: Backend, seed: int) -> None:
    structure = planted_structure(seed)
    check_tied(backend, structure, lower(structure.layers), seed)


@pytest.mark.parametrize(
    ("group", "width"), [("pairs", 3), ("odd pairs", 1), ("quadruples", 3), ("quadruples", 9), ("eights", 1)]
)
def test_groups(backend: Backend, group: str, width: int) -> None:
    structure = structure_from_group(GROUPS[group], [8, width, 8], "regular")
    check_tied(backend, structure, lower(structure.layers), 5, jacobian=width == 1)


def test_signed_representation(backend: Backend) -> None:
    structure = structure_from_group([EVEN_Y, ODD_X], [8, 3, 8], "signed")
    check_tied(backend, structure, lower(structure.layers), 5)


def test_orbits_in_any_order(backend: Backend) -> None:
    """Neurons shuffled: the orbits are scattered, and each is on its own."""
    structure = structure_from_group(GROUPS["quadruples"], [8, 8], "regular")
    check_tied(backend, structure, shuffled(lower(structure.layers)), 6)


def test_constant_neurons(backend: Backend) -> None:
    """Biases that are no linear function of theta."""
    structure = constant_chain(2)
    check_tied(backend, structure, lower(structure.layers), 2)


def test_plans_that_are_not_lowered(backend: Backend) -> None:
    structure = published_structure("laplace").with_width(3)
    check_tied(backend, structure, expanded_plan(structure.layers), 1)


@pytest.mark.parametrize("representation", ["regular", "signed"])
def test_about_a_centre(backend: Backend, representation: str) -> None:
    """Rows of E with several entries, and a first bias appended to w."""
    structure = structure_from_group([EVEN_Y, ODD_X], (2, 3), representation, centre=(0.5, -0.25))
    check_tied(backend, structure, structure.plan, 1, jacobian=False)
