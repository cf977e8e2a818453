"""Numbers given one for each input or output, and which inputs and outputs relations tie."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..kernels import checks
from ..kernels.errors import InputError, short


def one_each(
    name: str, given: Sequence[float], each: str, n: int, default: float, above: float = -math.inf
) -> tuple[float, ...]:
    """One number for each input or output; the default where none are given."""
    try:
        found = tuple(checks.number(name, value, above=above) for value in given) or (default,) * n
    except (TypeError, ValueError):  # InputError, too
        found = ()
    if len(found) != n:
        kind = "finite" if above == -math.inf else "positive finite"
        raise InputError(f"{name}: expected {n} {kind} numbers, one per {each}, got {short(given)}")
    return found


def overlapping(parameters: Sequence[set[int]]) -> tuple[tuple[int, ...], ...]:
    """Numbers of sets that overlap, also by way of others."""
    groups: list[tuple[tuple[int, ...], set[int]]] = []
    for i, own in enumerate(parameters):
        touched = [group for group in groups if group[1] & own]
        members = (*(j for group in touched for j in group[0]), i)
        groups = [group for group in groups if group not in touched] + [(members, own.union(*(g[1] for g in touched)))]
    return tuple(sorted(tuple(sorted(members)) for members, _ in groups))
