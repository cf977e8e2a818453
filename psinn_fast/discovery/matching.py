"""Neurons matched into orbits under a signed permutation of the inputs, and the ties that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..kernels.network.symbols import IntArray, SymbolLayer, renumber
from ..networks.groups import SignedPermutation, Symmetry
from ..networks.structure import Structure

FloatArray = npt.NDArray[np.float64]
Weights = Sequence[tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class SignedMap:
    """Position i of the image holds ``signs[i]`` times position ``sources[i]``."""

    sources: IntArray
    signs: IntArray


@dataclass(frozen=True)
class Match:
    """How a symmetry permutes a network's neurons: h_i(g x) is about signs_i h_(sources_i)(x).

    Attributes:
        symmetry: the map of the inputs, and for each output the sign that fits better.
        maps: of the inputs, of every hidden layer, of the outputs.
        mismatch: squared distance of the network from its image, relative to its squared weights.
    """

    symmetry: Symmetry
    maps: tuple[SignedMap, ...]
    mismatch: float


def match_neurons(weights: Weights, copies: Sequence[FloatArray], g: SignedPermutation) -> Match:
    """Find, layer by layer from the inputs on, the signed permutation that makes W P_in nearest to P_out W.

    Pairs of neurons are taken closest first (relative distance of their incoming weights and biases), in mutual pairs
    where g is its own inverse; a neuron may be its own image. Weights count by their share in the student's norm
    (``copies``, see `Penalty`).
    """
    maps = [SignedMap(np.array(g.permutation), np.array(g.signs))]
    mutual = g @ g == SignedPermutation.identity(g.size)
    counts = [np.ones(g.size), *copies]
    distance = total = 0.0
    for (weight, bias), m_in, m_out in zip(weights[:-1], counts[:-1], counts[1:], strict=True):
        rows = np.column_stack([weight / np.sqrt(m_in), bias])
        images = np.column_stack([_image(weight, maps[-1]) / np.sqrt(m_in), bias])
        same, opposite = (((images[:, None] - sign * rows[None]) ** 2).sum(-1) for sign in (1, -1))
        apart = np.minimum(same, opposite)
        sizes = (rows**2).sum(-1)
        sources = _closest_first(apart / (sizes[:, None] + sizes + np.finfo(np.float64).tiny), mutual)
        every = np.arange(len(sources))
        maps.append(SignedMap(sources, np.where(same <= opposite, 1, -1)[every, sources]))
        distance += float(apart[every, sources] @ m_out)
        total += float(sizes @ m_out)
    weight = weights[-1][0]
    image = _image(weight, maps[-1])
    same, opposite = (((image - sign * weight) ** 2 / counts[-1]).sum(-1) for sign in (1, -1))
    character = np.where(same <= opposite, 1, -1)
    maps.append(SignedMap(np.arange(len(weight)), character))
    distance += float(np.minimum(same, opposite).sum())
    total += float((weight**2 / counts[-1]).sum())
    symmetry = Symmetry(g, tuple(int(sign) for sign in character))
    return Match(symmetry, tuple(maps), distance / max(total, np.finfo(np.float64).tiny))


def tied_structure(weights: Weights, matches: Sequence[Match]) -> Structure:
    """All entries that the matches map to each other share a symbol; those mapped to their own opposite are zero."""
    layers = []
    for number, (weight, _) in enumerate(weights):
        n_out, n_in = weight.shape
        ties = [(match.maps[number], match.maps[number + 1]) for match in matches]
        columns, rows = np.arange(n_in), np.arange(n_out)
        weight_symbols = _signed_classes(
            n_out * n_in,
            [
                SignedMap(
                    (after.sources[rows][:, None] * n_in + before.sources[columns]).ravel(),
                    (after.signs[:, None] * before.signs).ravel(),
                )
                for before, after in ties
            ],
        )
        bias_symbols = _signed_classes(n_out, [after for _, after in ties])
        layers.append(
            SymbolLayer.of(renumber(weight_symbols.reshape(n_out, n_in).tolist()), renumber([bias_symbols.tolist()])[0])
        )
    return Structure(tuple(layers), "symmetric student")


def tied_copies(copies: Sequence[FloatArray], matches: Sequence[Match]) -> tuple[FloatArray, ...]:
    """Neurons of an orbit stand for equally many: the mean."""
    result = []
    for number, count in enumerate(copies, start=1):
        label = np.abs(
            _signed_classes(
                len(count), [SignedMap(m.maps[number].sources, np.ones_like(m.maps[number].signs)) for m in matches]
            )
        )
        sums = np.bincount(label, weights=count)
        result.append((sums / np.maximum(np.bincount(label), 1))[label])
    return tuple(result)


def _image(weight: FloatArray, given: SignedMap) -> FloatArray:
    """W P: what the layer multiplies h(x) by, fed with h(g x)."""
    image = np.zeros_like(weight)
    image[:, given.sources] = weight * given.signs
    return image


def _closest_first(distances: FloatArray, mutual: bool) -> IntArray:
    """A permutation by greedy choice of the smallest entries; an involution if ``mutual``."""
    n = len(distances)
    sources, taken = np.full(n, -1), np.zeros(n, dtype=bool)
    for flat in np.argsort(distances, axis=None, kind="stable"):
        i, j = divmod(int(flat), n)
        if sources[i] >= 0 or taken[j] or (mutual and (sources[j] >= 0 or taken[i])):
            continue
        sources[i], taken[j] = j, True
        if mutual:
            sources[j], taken[i] = i, True
    return sources


def _signed_classes(n: int, maps: Sequence[SignedMap]) -> IntArray:
    """Signed labels 1, 2, ... of n entries with e_i = sign_i e_(source_i) for every map; 0 where e = -e follows.

    Components of the graph on 2 n nodes, an entry and its opposite: opposite labels are each other's mirror image, and
    an entry in one component with its own opposite is zero.
    """
    every = np.arange(n)
    tails = np.concatenate([every, every + n] * len(maps)) if maps else np.empty(0, dtype=np.int64)
    heads = [np.where(m.signs > 0, m.sources, m.sources + n) for m in maps]
    opposite = [np.where(m.signs > 0, m.sources + n, m.sources) for m in maps]
    ends = np.concatenate([part for pair in zip(heads, opposite, strict=True) for part in pair]) if maps else tails
    graph = coo_array((np.ones(len(tails)), (tails, ends)), shape=(2 * n, 2 * n))
    _, label = connected_components(graph, directed=False)
    plus, minus = label[:n], label[n:]
    names: dict[int, int] = {}
    symbols = np.zeros(n, dtype=np.int64)
    for i in every:
        if plus[i] != minus[i]:
            if minus[i] in names:
                symbols[i] = -names[int(minus[i])]
            else:
                symbols[i] = names.setdefault(int(plus[i]), len(names) + 1)
    return symbols
