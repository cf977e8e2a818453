"""Symmetries u(g x) = chi(g) u(x) under signed permutations g of the inputs, and structures from groups of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations, product

import numpy as np
import numpy.typing as npt

from ..kernels import checks
from ..kernels.errors import InputError, short
from ..kernels.network.symbols import SymbolLayer, renumber
from .structure import Structure

# Coordinates whose exchanges are looked for: five have 3,840 signed permutations, eight ten millions.
MOST_EXCHANGED = 4


@dataclass(frozen=True)
class SignedPermutation:
    """(g x)_i = signs[i] * x[permutation[i]]. The reflection y -> -y of (x, y) is ``((0, 1), (1, -1))``."""

    permutation: tuple[int, ...]
    signs: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "permutation", checks.integers("permutation", self.permutation, 0))
        object.__setattr__(self, "signs", checks.integers("signs", self.signs, -1))
        if sorted(self.permutation) != list(range(len(self.permutation))):
            raise InputError(
                f"permutation: expected an ordering of 0..{len(self.permutation) - 1}, got {self.permutation}"
            )
        if len(self.signs) != len(self.permutation) or any(sign not in (1, -1) for sign in self.signs):
            raise InputError(f"signs: expected {len(self.permutation)} entries of +1 or -1, got {self.signs}")

    @classmethod
    def identity(cls, size: int) -> SignedPermutation:
        return cls(tuple(range(size)), (1,) * size)

    @classmethod
    def flip(cls, size: int, *axes: int) -> SignedPermutation:
        """Reverse the sign of the given coordinates, counted from 0.

        Raises:
            InputError: a coordinate that is not there.
        """
        for axis in axes:
            checks.integer("axes", axis, 0, most=size - 1)
        return cls(tuple(range(size)), tuple(-1 if axis in axes else 1 for axis in range(size)))

    def __call__(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """g x for points (..., d)."""
        return np.asarray(points[..., list(self.permutation)] * np.array(self.signs))

    @property
    def size(self) -> int:
        return len(self.permutation)

    def __matmul__(self, other: SignedPermutation) -> SignedPermutation:
        """(g @ h) x = g(h x)."""
        return SignedPermutation(
            tuple(other.permutation[i] for i in self.permutation),
            tuple(sign * other.signs[i] for sign, i in zip(self.signs, self.permutation, strict=True)),
        )

    def inverse(self) -> SignedPermutation:
        position = {source: i for i, source in enumerate(self.permutation)}
        order = tuple(position[j] for j in range(self.size))
        return SignedPermutation(order, tuple(self.signs[i] for i in order))

    def describe(self, coords: Sequence[str]) -> str:
        """E.g. ``y -> -y`` or ``x -> y, y -> x``: what replaces each coordinate that changes."""
        changed = [
            f"{coords[i]} -> {'-' if sign < 0 else ''}{coords[source]}"
            for i, (source, sign) in enumerate(zip(self.permutation, self.signs, strict=True))
            if (source, sign) != (i, 1)
        ]
        return ", ".join(changed) or "identity"


@dataclass(frozen=True)
class Symmetry:
    """A generator: u_f(map x) = character[f] * u_f(x), character[f] = +1 (even) or -1 (odd) for each output f."""

    map: SignedPermutation
    character: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.map, SignedPermutation):
            raise InputError(f"map: expected a SignedPermutation, got {short(self.map)}")
        object.__setattr__(self, "character", checks.integers("character", self.character, -1))
        if not self.character or any(sign not in (1, -1) for sign in self.character):
            raise InputError(f"character: expected one +1 or -1 per output, got {self.character}")

    @property
    def parity(self) -> str:
        """``even`` or ``odd``, for each output where they differ."""
        words = ["even" if sign > 0 else "odd" for sign in self.character]
        return words[0] if len(set(words)) == 1 else ", ".join(words)


def maps_of_box(half_widths: Sequence[float] | npt.NDArray[np.float64]) -> Iterator[SignedPermutation]:
    """Every signed permutation about a box's centre that takes the box to itself, but the identity.

    Reflections always do; coordinates can change places where their sides are equal (to 1e-5). Of more than four
    coordinates, which have thousands and millions of exchanges, reflections alone.
    """
    sides = np.asarray(half_widths, dtype=np.float64)
    identity = SignedPermutation.identity(len(sides))
    orders = permutations(range(len(sides))) if len(sides) <= MOST_EXCHANGED else [identity.permutation]
    for order in orders:
        if np.allclose(sides[list(order)], sides):
            for signs in product((1, -1), repeat=len(sides)):
                g = SignedPermutation(order, signs)
                if g != identity:
                    yield g


def close_group(generators: Sequence[Symmetry]) -> dict[SignedPermutation, tuple[int, ...]]:
    """All products of the generators with their signs per output, the identity first.

    Raises:
        InputError: no generators, generators of different sizes, or signs that contradict each other (the only
            function with such symmetries would be zero).
    """
    for generator in generators:
        if not isinstance(generator, Symmetry):
            raise InputError(f"generators: expected symmetries, got {short(generator)}")
    if not generators:
        raise InputError("generators: expected at least one Symmetry")
    sizes = {(g.map.size, len(g.character)) for g in generators}
    if len(sizes) != 1:
        raise InputError(
            f"generators: all must act on the same inputs and outputs, got (inputs, outputs) {sorted(sizes)}"
        )
    ((n_inputs, n_outputs),) = sizes
    group = {SignedPermutation.identity(n_inputs): (1,) * n_outputs}
    frontier = list(group)
    while frontier:
        found = []
        for element in frontier:
            for generator in generators:
                product = generator.map @ element
                signs = tuple(a * b for a, b in zip(generator.character, group[element], strict=True))
                if product not in group:
                    group[product] = signs
                    found.append(product)
                elif group[product] != signs:
                    raise InputError(
                        f"generators: the signs contradict each other: one map gets both {group[product]} and {signs}"
                    )
        frontier = found
    return group


def structure_from_group(
    generators: Sequence[Symmetry],
    hidden: Sequence[int] = (1, 1),
    representation: str = "regular",
    name: str | None = None,
    centre: Sequence[float] = (),
) -> Structure:
    """The structure of all tanh networks (of one kind) with u(g x) = chi(g) u(x) for every g of the group.

    Maps act about the centre c: g x stands for c + g(x - c).

    Args:
        generators: maps of the inputs with a sign per output.
        hidden: block size of each hidden layer, in units of the width. Each block occurs once per group element (or
            coset), so the expanded layer is that many times wider.
        representation:
            ``"regular"``: h_g(x) = h(g x) for every g; layers z_g = sum_k A_{k g^-1} h_k, biases shared.
            ``"signed"``: the same with h_{-g} = -h_g, halving the neurons and leaving no biases. Needs the inversion
            -1 in the group and every output odd under it.
            ``"pooled"``: regular, but the neurons of the last of at least two hidden layers have the outputs' signs
            themselves, z = sum_g chi(g) C h_g (+ b where all signs are +): one block for each of the outputs'
            characters in place of one per element. The networks of the paper are of this kind.
            ``"average"``: independent copies N(g x) of one network, summed with their signs (the paper's PINN-post):
            only the blocks A_e are kept.
        name: defaults to the representation.
        centre: one number per input; () is the origin.

    Raises:
        InputError: unknown representation, no hidden layer, contradictory signs, or "signed" where it cannot hold.
    """
    if representation not in ("regular", "signed", "pooled", "average"):
        raise InputError(f"representation: expected 'regular', 'signed', 'pooled' or 'average', got {representation!r}")
    pooled = representation == "pooled"
    hidden = checks.integers("hidden", hidden, 1)
    if len(hidden) < 1 + pooled:
        raise InputError(f"hidden: expected at least {'two hidden layers' if pooled else 'one hidden layer'}")
    group = close_group(generators)
    n_inputs = next(iter(group)).size
    n_outputs = len(next(iter(group.values())))
    inversion = SignedPermutation.flip(n_inputs, *range(n_inputs))
    signed = representation == "signed"
    if signed and any(sign != -1 for sign in group.get(inversion, (1,))):
        raise InputError(
            "representation: 'signed' needs the inversion of all inputs in the group with every output odd under it; "
            "use 'regular'"
        )

    # One block per element, or per coset {g, -g}; `place` finds an element's block and sign.
    place: dict[SignedPermutation, tuple[int, int]] = {}
    blocks: list[SignedPermutation] = []
    for element in group:
        if element not in place:
            place[element] = (len(blocks), 1)
            if signed:
                place[inversion @ element] = (len(blocks), -1)
            blocks.append(element)

    def between(g: SignedPermutation, k: SignedPermutation) -> int:
        block, sign = place[k @ g.inverse()]
        return sign * (block + 1) if representation != "average" or block == 0 else 0

    bias = 0 if signed else 1
    first = [[0] * n_inputs for _ in blocks]
    for row, g in zip(first, blocks, strict=True):
        for i, (source, sign) in enumerate(zip(g.permutation, g.signs, strict=True)):
            row[source] = sign * (i + 1)
    layers = [_layer(first, [bias] * len(blocks), [hidden[0]] * len(blocks), [1] * n_inputs)]
    for n_in, n_out in pairwise(hidden[:-1] if pooled else hidden):
        weight = [[between(g, k) for k in blocks] for g in blocks]
        layers.append(_layer(weight, [bias] * len(blocks), [n_out] * len(blocks), [n_in] * len(blocks)))
    of_output = [tuple(group[g][f] for g in blocks) for f in range(n_outputs)]
    even = [all(signs[f] == 1 for signs in group.values()) for f in range(n_outputs)]
    output_bias = [sum(even[: f + 1]) if even[f] else 0 for f in range(n_outputs)]
    if pooled:
        characters = list(dict.fromkeys(of_output))
        weight = [[(row + 1) * sign for sign in signs] for row, signs in enumerate(characters)]
        # Only the trivial character, of which there is one, allows a bias.
        biases = [int(even[of_output.index(signs)]) for signs in characters]
        layers.append(_layer(weight, biases, [hidden[-1]] * len(characters), [hidden[-2]] * len(blocks)))
        output = [[(f + 1) * (signs == of_output[f]) for signs in characters] for f in range(n_outputs)]
        layers.append(_layer(output, output_bias, [1] * n_outputs, [hidden[-1]] * len(characters)))
    else:
        output = [[sign * (f + 1) for sign in of_output[f]] for f in range(n_outputs)]
        layers.append(_layer(output, output_bias, [1] * n_outputs, [hidden[-1]] * len(blocks)))
    return Structure(tuple(layers), name or representation, tuple(centre))


def usual_representation(n_hidden: int) -> str:
    """Regular; with three hidden layers or more, the last of them pooled: more accurate on a steep front, slightly less
    on smooth solutions (docs/discovery.md)."""
    return "pooled" if n_hidden > 2 else "regular"


def _layer(weight: list[list[int]], bias: list[int], rows: list[int], cols: list[int]) -> SymbolLayer:
    return SymbolLayer.of(renumber(weight), bias, rows, cols)
