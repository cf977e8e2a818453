"""Orbits: together they say what ``post`` and ``pre`` say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_structure
from tied import EVEN_Y, ODD_X, PUBLISHED, ROTATION, SWAP

from psinn_fast.kernels.network.linear_map import LinearMap
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.orbits import Orbit, mixing_matrix, orbits
from psinn_fast.kernels.network.plan import Plan, expanded_plan
from psinn_fast.networks.groups import structure_from_group
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure


def matrices(found: list[Orbit], width: int, n_operands: int) -> tuple[np.ndarray, np.ndarray]:
    """post and pre again, from the orbits' formulas."""
    post, pre = np.zeros((width, width)), np.zeros((n_operands, width))
    for orbit in found:
        for k in range(orbit.repeat):
            neurons, slots, operands = (
                np.array(numbers) + k for numbers in (orbit.neurons, orbit.slots, orbit.operands)
            )
            post[np.ix_(neurons, slots)] = mixing_matrix(orbit.size, orbit.mixing)
            pre[np.ix_(operands, neurons)] = orbit.sums or mixing_matrix(orbit.size, orbit.mixing_after)
    return post, pre


def assert_complete(plan: Plan, layer: int, found: list[Orbit]) -> None:
    own, following = plan.layers[layer], plan.layers[layer + 1]
    post, pre = matrices(found, own.fan_out, following.n_operands)
    identity = LinearMap.identity(own.fan_out)
    if layer:
        assert (post == (own.post or identity).dense()).all()
    assert (pre == (following.pre or identity).dense()).all()


def hidden(plan: Plan) -> range:
    return range(len(plan.layers) - 1)


@pytest.mark.parametrize("width", [1, 2, 8])
@pytest.mark.parametrize(
    "group", [[EVEN_Y], [ODD_X], [SWAP], [EVEN_Y, ODD_X], [SWAP, ODD_X], [ROTATION]], ids=lambda g: str(len(g))
)
def test_groups(group: list, width: int) -> None:
    plan = lower(structure_from_group(group, [8, width, 8], "regular").layers)
    for layer in hidden(plan):
        found = orbits(plan.layers, layer)
        if found is not None:
            assert_complete(plan, layer, found)
        else:
            # Quarter turns are not involutions; the symmetry of a square has eight elements.
            assert group in ([ROTATION], [SWAP, ODD_X])


@pytest.mark.parametrize("name", PUBLISHED)
def test_published(name: str) -> None:
    plan = lower(published_structure(name).with_width(5).layers)
    for layer in hidden(plan):
        found = orbits(plan.layers, layer)
        assert found is not None
        assert_complete(plan, layer, found)


@given(seed=st.integers(0, 100_000))
@settings(max_examples=60)
def test_planted_relations(seed: int) -> None:
    plan = lower(planted_structure(seed).layers)
    for layer in hidden(plan):
        found = orbits(plan.layers, layer)
        if found is not None:
            assert_complete(plan, layer, found)


def test_neurons_that_are_not_mixed() -> None:
    plan = expanded_plan(Structure.dense((2, 7, 3, 1)).layers)
    assert orbits(plan.layers, 0) == [Orbit.single(7)]
    assert orbits(plan.layers, 1) == [Orbit.single(3)]


def with_pre(pre: np.ndarray) -> Plan:
    """Three neurons, of which the second layer reads ``pre``."""
    plan = expanded_plan(Structure.dense((2, 3, len(pre), 1)).layers)
    first, second, *others = plan.layers
    changed = object.__new__(Plan)  # only the layers are read
    changed.__dict__["layers"] = (first, replace(second, fan_in=3, pre=LinearMap.from_dense(pre)), *others)
    return changed


@pytest.mark.parametrize(
    "pre",
    [
        np.diag([1.0, 2.0, 1.0]),
        np.diag([1.0, -1.0, 1.0]),
        np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 2.0, 0.0]]),
        np.array([[1.0, 0.5, 0.0], [0.0, 0.0, 1.0]]),
    ],
    ids=["a factor", "a sign", "a pair by any matrix", "one sum"],
)
def test_sums(pre: np.ndarray) -> None:
    plan = with_pre(pre)
    found = orbits(plan.layers, 0)
    assert found is not None
    assert any(orbit.sums for orbit in found)
    assert_complete(plan, 0, found)


@pytest.mark.parametrize(
    "pre",
    [
        np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 1.0], [0.0, 0.0, 1.0]]),
        np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        np.diag([1.0, 1 / 3, 1.0]),
    ],
    ids=["three at once", "three operands of two", "a neuron nobody reads", "a factor that float32 rounds"],
)
def test_other_maps_are_left_alone(pre: np.ndarray) -> None:
    assert orbits(with_pre(pre).layers, 0) is None
