"""Readable relations among the rows of a structure's layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ..networks.structure import Structure


def describe_relations(structure: Structure) -> tuple[str, ...]:
    """Lines such as ``layer 1, rows 2 and 3: sign-flipped``, for every related pair.

    Rows are the incoming weights of a neuron; of the last layer the columns are compared instead, which say how the
    output reads the neurons of the last hidden layer. The relations are those of Liu et al. 2025
    (doi 10.1038/s41467-025-64624-3):

    - shared: equal symbols, or all of them opposite;
    - sign-flipped: the same magnitudes, some signs opposite;
    - permuted: one is a signed permutation of the other.

    In a one-entry column the sign is all there is, so there opposite symbols count as sign-flipped.
    """
    lines = []
    last = len(structure.layers)
    for number, layer in enumerate(structure.layers, start=1):
        rows: Sequence[Sequence[int]] = layer.weight if number < last else list(zip(*layer.weight, strict=True))
        word = "rows" if number < last else "columns"
        for (i, a), (j, b) in combinations(enumerate(rows, start=1), 2):
            relation = _relation(a, b)
            if relation:
                lines.append(f"layer {number}, {word} {i} and {j}: {relation}")
    return tuple(lines)


def _relation(a: Sequence[int], b: Sequence[int]) -> str | None:
    if not any(a):
        return None
    magnitudes = [abs(s) for s in a], [abs(s) for s in b]
    if list(a) == list(b) or (len(a) > 1 and [-s for s in a] == list(b)):
        return "shared"
    if magnitudes[0] == magnitudes[1]:
        return "sign-flipped"
    if sorted(magnitudes[0]) == sorted(magnitudes[1]):
        return "permuted"
    return None
