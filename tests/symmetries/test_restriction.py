"""Structures that keep some of another's symmetries: those, and no others."""

from __future__ import annotations

from typing import Any

import pytest

import psinn_fast as pf
from psinn_fast.kernels.errors import InputError
from psinn_fast.networks.groups import close_group
from psinn_fast.symmetries.symmetry_check import structure_symmetries

X, Y = (pf.SignedPermutation.flip(2, axis) for axis in (0, 1))
SWAP = pf.SignedPermutation((1, 0), (1, 1))
GROUP = [pf.Symmetry(X, (-1, 1)), pf.Symmetry(Y, (1, -1))]


def symmetries(structure: pf.Structure) -> dict[pf.SignedPermutation, tuple[int, ...]]:
    return {found.symmetry.map: found.symmetry.character for found in structure_symmetries(structure, "xy")}


@pytest.mark.parametrize("representation", ["regular", "pooled", "average"])
@pytest.mark.parametrize("kept", [X, [Y], (X @ Y,), [X, Y], [Y, Y]])
def test_what_is_kept(representation: str, kept: Any) -> None:
    whole = pf.structure_from_group(GROUP, (1, 2, 1), representation, "whole", (1.0, 0.0))
    found = pf.restricted(whole, kept)
    maps = [kept] if isinstance(kept, pf.SignedPermutation) else kept
    signs = close_group(GROUP)
    wanted = close_group([pf.Symmetry(g, signs[g]) for g in maps])
    assert symmetries(found) == {g: own for g, own in wanted.items() if g != pf.SignedPermutation.identity(2)}
    assert (found.name, found.centre, len(found.layers)) == ("whole, restricted", (1.0, 0.0), 4)


def test_of_what_was_found_and_what_is_published() -> None:
    found = pf.discover("laplace", tests="problem").structure
    even = pf.restricted(found, Y)
    same = pf.structure_from_group([pf.Symmetry(Y, (1,))], (1, 1, 1), "pooled")
    assert even.layers == same.layers
    assert pf.restricted(pf.published_structure("laplace"), Y).layers == same.layers
    scaled = pf.Structure(found.layers, "scaled", (), (2.0, 3.0), (5.0,))
    assert (pf.restricted(scaled, Y).input_scale, pf.restricted(scaled, Y).output_scale) == ((2.0, 3.0), (5.0,))


@pytest.mark.parametrize("activation", ["sin", "silu", "softplus"])
@pytest.mark.parametrize("kept", [X, Y, X @ Y])
def test_with_another_activation(activation: str, kept: Any) -> None:
    """Which stays, and with it the symmetry: three layers would be pooled with an odd one."""
    whole = pf.structure_from_group(GROUP, (1, 1, 1)).with_activation(activation)
    found = pf.restricted(whole, kept)
    assert found.activation == activation
    assert symmetries(found) == {kept: symmetries(whole)[kept]}


@pytest.mark.parametrize(
    ("structure", "maps", "message"),
    [
        ("laplace", Y, "structure: expected a Structure, got 'laplace'"),
        (pf.published_structure("laplace"), [], r"maps: expected SignedPermutations, .*, got \[\]"),
        (pf.published_structure("laplace"), "y -> -y", "maps: expected SignedPermutations"),
        (pf.published_structure("laplace"), [Y, "x"], "maps: expected SignedPermutations"),
        (pf.published_structure("laplace"), pf.Symmetry(Y, (1,)), "maps: .*; of a symmetry take its .map"),
        (
            pf.published_structure("laplace"), X,
            r"maps: expected symmetries of 'laplace \(published\)', which has x2 -> -x2, got x1 -> -x1",
        ),
        (pf.published_structure("laplace"), pf.SignedPermutation.flip(3, 1), "got a map of 3 inputs"),
        (pf.Structure.dense([2, 4, 1]), Y, "'dense', which has none"),
        (pf.Structure.dense([2, 1]), Y, "expected up to 4 inputs and a hidden layer, got 2 inputs, 0 hidden"),
        (pf.Structure.dense([5, 4, 1]), pf.SignedPermutation.flip(5, 1), "got 5 inputs, 1 hidden layers"),
    ],
)  # fmt: skip
def test_refused(structure: Any, maps: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pf.restricted(structure, maps)


def test_symmetries_of_single_fields() -> None:
    odd = pf.structure_from_group([pf.Symmetry(X, (-1,))], (1, 1))
    even = pf.structure_from_group([pf.Symmetry(Y, (1,)), pf.Symmetry(X, (-1,))], (1, 1))
    found = pf.field_symmetries(pf.direct_sum({"u": even, "v": odd}, "v u"), "x y", ["v", "u"])
    own = {field: {match.text: match.symmetry.character for match in matches} for field, matches in found.items()}
    assert own == {"v": {"x -> -x": (-1,)}, "u": {"x -> -x": (-1,), "y -> -y": (1,), "x -> -x, y -> -y": (-1,)}}


@pytest.mark.parametrize(
    ("structure", "coords", "fields", "message"),
    [
        ("laplace", "x y", "u", "structure: expected a Structure"),
        (pf.published_structure("flow"), "x y", "u v", r"fields: expected 3 names, got \['u', 'v'\]"),
        (pf.published_structure("flow"), "x", "u v p", "coords: expected 2 names, got 1"),
        (pf.published_structure("flow"), "x x", "u v p", "coords: expected at least one name and no name twice"),
    ],
)
def test_names_that_do_not_fit(structure: Any, coords: str, fields: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pf.field_symmetries(structure, coords, fields)
