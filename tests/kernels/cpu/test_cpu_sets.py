"""The channel sets with code of their own: their tables, and results against the reference backend."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from agreement import agree, check_jets
from helpers import random_points, random_theta
from tied import GROUPS

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.groups import structure_from_group
from psinn_fast.networks.structure import Structure

SOURCES = Path(__file__).parents[3] / "kernels" / "cpu" / "src"


def make_sets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sets", SOURCES / "make_sets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SETS = make_sets().SETS


def test_the_tables_are_those_of_the_language(capsys: pytest.CaptureFixture[str]) -> None:
    make_sets().main()
    assert capsys.readouterr().out == (SOURCES / "sets.h").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SETS)
def test_dense(backend: CpuBackend, name: str) -> None:
    d, wanted = SETS[name]
    channels = ChannelSet.closure(d, wanted)
    structure = Structure.dense([d, 9, 5, 2])
    check_jets(backend, lower(structure.layers), random_theta(structure, 1), channels, 37)


@pytest.mark.parametrize("name", [name for name, (d, _) in SETS.items() if d < 4])
def test_among_more_inputs(backend: CpuBackend, name: str) -> None:
    """Derivatives by the last d of d + 1 inputs: the same set."""
    d, wanted = SETS[name]
    moved = [
        Laplacian(tuple(axis + 1 for axis in own.axes)) if isinstance(own, Laplacian) else (0, *own) for own in wanted
    ]
    structure = Structure.dense([d + 1, 4, 3, 1])
    channels = ChannelSet.closure(d + 1, moved)
    check_jets(backend, lower(structure.layers), random_theta(structure, 2), channels, 17)


@cache
def of_group(name: str) -> tuple[Structure, Plan]:
    structure = structure_from_group(GROUPS[name], [8, 8, 8], "regular")
    return structure, lower(structure.layers)


@pytest.mark.parametrize("name", [name for name, (d, _) in SETS.items() if 2 <= d <= 3])
def test_tied(backend: CpuBackend, name: str) -> None:
    """Pairs and quadruples; with very many channels they go by the recurrence, and single neurons do not."""
    d, wanted = SETS[name]
    channels = ChannelSet.closure(d, wanted)
    for group in ("pairs", "quadruples") if d == 2 else ("eights",):
        structure, plan = of_group(group)
        check_jets(backend, plan, random_theta(structure, 3), channels, 19)


@pytest.mark.parametrize("name", SETS)
def test_cotangents_from_some_channel_on(backend: CpuBackend, name: str) -> None:
    """The last hidden layer may leave out the channels before."""
    d, wanted = SETS[name]
    channels = ChannelSet.closure(d, wanted)
    n = len(channels)
    structure = Structure.dense([d, 6, 5, 1])
    plan, theta, x = lower(structure.layers), random_theta(structure, 4), random_points(21, d)
    for first in {min(1, n - 1), n // 2, n - 1}:
        grad = random_points(21 * n, 1, 1).view(21, n, 1)
        grad[:, :first] = 0
        agree(
            *(own.jets_backward(plan, theta, x, channels, grad, need_x=True) for own in (backend, ReferenceBackend()))
        )


def test_no_table_is_wasted() -> None:
    """No two sets have the same rules."""
    rules = [
        (channels.chain_rule, channels.units)
        for channels in (ChannelSet.closure(d, wanted) for d, wanted in SETS.values())
    ]
    assert all(own not in rules[:number] for number, own in enumerate(rules))
