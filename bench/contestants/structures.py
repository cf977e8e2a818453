"""Tied networks by name, each as wide as the dense one that it stands in for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

from ..suite.case import Case

EVEN_IN_Y = Symmetry(SignedPermutation.flip(2, 1), (1,))
ODD_IN_X = Symmetry(SignedPermutation.flip(2, 0), (-1,))

Layers = tuple[int, ...]


def _from_group(generators: list[Symmetry], representation: str, layers: Layers) -> Structure:
    """Blocks of n / |G| neurons where G permutes them all; of n / 2 where it flips signs instead."""
    hidden, least = layers[1:-1], min(layers[1:-1])
    shares = 2 ** len(generators) if representation == "regular" else 2
    return structure_from_group(generators, [width // least for width in hidden], representation).with_width(
        least // shares
    )


def _published(name: str, layers: Layers) -> Structure:
    return published_structure(name).with_width(layers[-2] // 2)


def burgers(a: int, b: int) -> Structure:
    """The published blocks with a second layer of sizes (a, a, b) instead of three equal ones: 2a + b = 32."""
    first, second, third, last = published_structure("burgers").layers
    return Structure(
        (
            SymbolLayer.of(first.weight, first.bias, rows=[16, 16]),
            SymbolLayer.of(second.weight, second.bias, rows=[a, a, b], cols=[16, 16]),
            SymbolLayer.of(third.weight, third.bias, rows=[32], cols=[a, a, b]),
            SymbolLayer.of(last.weight, last.bias, cols=[32]),
        ),
        f"burgers, {a} + {a} + {b}",
    )


def poisson() -> Structure:
    """The published blocks, whose widths fall as 4 : 2 : 1, at one width."""
    first, second, third, last = published_structure("poisson").layers
    return Structure(
        (
            SymbolLayer.of(first.weight, first.bias, rows=[16, 16]),
            SymbolLayer.of(second.weight, second.bias, rows=[16, 16], cols=[16, 16]),
            SymbolLayer.of(third.weight, third.bias, rows=[32], cols=[16, 16]),
            SymbolLayer.of(last.weight, last.bias, cols=[32]),
        ),
        "poisson (published)",
    )


STRUCTURES: dict[str, Callable[[Layers], Structure]] = {
    "even in y": partial(_from_group, [EVEN_IN_Y], "regular"),
    "even in y, odd in x": partial(_from_group, [EVEN_IN_Y, ODD_IN_X], "regular"),
    "even in y, odd in x, signed": partial(_from_group, [EVEN_IN_Y, ODD_IN_X], "signed"),
    "laplace (published)": partial(_published, "laplace"),
    "burgers (published)": partial(_published, "burgers"),
    "burgers, 12 + 12 + 8": lambda layers: burgers(12, 8),
    "burgers, 11 + 11 + 10": lambda layers: burgers(11, 10),
    "poisson (published)": lambda layers: poisson(),
}


def structure_of(case: Case) -> Structure:
    """
    Raises:
        KeyError: ``case.structure`` is none of these.
        ValueError: it cannot be as wide as ``case.layers``.
    """
    structure = STRUCTURES[case.structure or ""](case.layers)
    if structure.layer_sizes != case.layers:
        raise ValueError(f"{case.structure}: layers {structure.layer_sizes}, the case says {case.layers}")
    return structure
