"""Names of generated kernels: what they say, and that they make no kernel another one."""

from __future__ import annotations

import re

import on_device  # noqa: F401  (skips this file where there is no Triton)
import pytest
import torch

from psinn_fast.kernels.language.channels import MAX_INPUTS, ChannelSet
from psinn_fast.kernels.language.program import Program
from psinn_fast.kernels.triton.emission import Mode
from psinn_fast.kernels.triton.layout import Layout, make_layout
from psinn_fast.kernels.triton.naming import LONGEST, LOSS, kernel_name
from psinn_fast.kernels.triton.point_kernel import kernel_source
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure
from psinn_fast.problems import get_problem

Groups = list[tuple[ChannelSet, Program | None]]


def layout_of(structure: Structure) -> Layout:
    return make_layout(PsiMLP(structure, seed=0).plan)


def groups_of(problem: str) -> Groups:
    terms = get_problem(problem).terms(torch.float32)
    return list(dict.fromkeys((term.program.channels, term.program) for term in terms))


@pytest.mark.parametrize(
    ("structure", "problem", "name"),
    [
        (Structure.dense((2, 32, 32, 32, 1)), "laplace", "psinn_loss_2_32_32_32_1_lap"),
        (Structure.dense((2, 9, 12, 1)), "burgers", "psinn_loss_2_16_16_1_d0_d1_d11"),
        (published_structure("laplace").with_width(8), "laplace", "psinn_loss_2_2x8_2x8_16_1_lap"),
    ],
)
def test_names_say_network_and_pde(structure: Structure, problem: str, name: str) -> None:
    layout, groups = layout_of(structure), groups_of(problem)
    assert kernel_name(layout, groups, Mode.LOSS) == name
    assert name.startswith(LOSS)
    assert f"\ndef {name}(" in kernel_source(layout, groups, Mode.LOSS, 0, 1)


def test_names_of_derivatives() -> None:
    layout = layout_of(Structure.dense((3, 8, 1)))
    channels = ChannelSet.closure(3, [(2, 0, 1), *ChannelSet.closure(3, []).channels])
    assert kernel_name(layout, [(channels, None)], Mode.JETS) == "psinn_jets_3_8_1_d0_d2_d00_d02_d002"
    many = ChannelSet.closure(3, [(4, 0, 0), (0, 4, 0), (0, 0, 4), (1, 1, 1)])
    assert kernel_name(layout, [(many, None)], Mode.JETS_BACKWARD) == "psinn_jets_backward_3_8_1_order4"


def test_names_are_identifiers_of_sane_length() -> None:
    layout = layout_of(Structure.dense((MAX_INPUTS, *[100] * 8, 4)))
    deep = kernel_name(layout, [(ChannelSet.closure(4, [(2, 1, 0, 0)]), None)], Mode.JETS_BACKWARD)
    assert len(deep) <= LONGEST
    assert re.fullmatch(r"psinn_[a-z0-9_]*[a-z0-9]", deep)


def test_what_shares_a_kernel_shares_its_name() -> None:
    """Triton keeps compiled kernels by their text: a name that said more would have them compiled again."""
    groups = groups_of("laplace")
    texts = {kernel_source(layout_of(Structure.dense((2, n, n, 1))), groups, Mode.LOSS, 0, 1) for n in (9, 12, 16)}
    assert len(texts) == 1
