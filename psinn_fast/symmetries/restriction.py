"""Structures that keep some of a structure's symmetries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..kernels.errors import InputError, short
from ..kernels.language.activations import activation_of
from ..networks.groups import SignedPermutation, Symmetry, structure_from_group, usual_representation
from ..networks.structure import Structure
from .symmetry_check import structure_symmetries

# Of which every signed permutation is tried.
_MOST_INPUTS = 4


def restricted(structure: Structure, maps: SignedPermutation | Sequence[SignedPermutation]) -> Structure:
    """The structure of all networks with those symmetries of a structure that the given maps generate, and no other.

    What is carried over to another problem, which has some of the symmetries of the first: Laplace's equation gives a
    structure that is even in y and odd in x, a flow along x needs the evenness in y,
    ``restricted(laplace, pf.SignedPermutation.flip(2, 1))``. Signs are the structure's own. Depth, centre and scales
    stay; relations for other reasons, such as blocks that are zero, do not: layers are those that `discover` makes of
    a group, with blocks of size 1 (`Structure.with_width` scales them).

    With an embedding maps are those of its features, with an ansatz symmetries are those of the network within it;
    both stay. `symmetric_structure` takes maps of the coordinates.

    Args:
        structure: up to 4 inputs, or features, and at least one hidden layer.
        maps: one or several, about the structure's centre.

    Raises:
        InputError: no maps, maps of another number of inputs, or one that is no symmetry of all outputs; the error
            says which are.
    """
    if not isinstance(structure, Structure):
        raise InputError(f"structure: expected a Structure, got {short(structure)}")
    wanted = (maps,) if isinstance(maps, SignedPermutation) else tuple(maps) if isinstance(maps, Sequence) else ()
    if not wanted or not all(isinstance(g, SignedPermutation) for g in wanted):
        given = [maps] if isinstance(maps, Symmetry) else wanted
        advice = "; of a symmetry take its .map" if any(isinstance(g, Symmetry) for g in given) else ""
        example = "pf.SignedPermutation.flip(2, 1)"
        raise InputError(f"maps: expected SignedPermutations, e.g. {example}, got {short(maps)}{advice}")
    n, hidden = structure.n_features, len(structure.layers) - 1
    if n > _MOST_INPUTS or not hidden:
        found = f"{n} inputs, {hidden} hidden layers"
        raise InputError(f"structure: expected up to {_MOST_INPUTS} inputs and a hidden layer, got {found}")
    coords = [f"x{i + 1}" for i in range(n)]
    network = replace(structure, embedding=None, ansatz=None)
    own = {match.symmetry.map: match.symmetry for match in structure_symmetries(network, coords)}
    for g in wanted:
        if g not in own:
            text = g.describe(coords) if g.size == n else f"a map of {g.size} inputs"
            there = "; ".join(other.describe(coords) for other in own) or "none"
            raise InputError(f"maps: expected symmetries of {structure.name!r}, which has {there}, got {text}")
    # Neurons with signs of their own need an odd activation.
    is_odd = activation_of(structure.activation).is_odd
    kept = structure_from_group(
        [own[g] for g in wanted],
        (1,) * hidden,
        usual_representation(hidden) if is_odd else "regular",
        f"{structure.name}, restricted",
    )
    return replace(structure, layers=kept.layers, name=kept.name)
