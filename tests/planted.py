"""Random structures with relations planted in them, for the lowering to find."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from helpers import random_structure

from psinn_fast.kernels.network.symbols import SymbolLayer, renumber
from psinn_fast.networks.structure import Structure


def planted_structure(seed: int) -> Structure:
    """Random layers with equal, opposite and zero rows, zero columns, rows without input, and exchanged pairs."""
    rng = np.random.default_rng(seed)
    base = random_structure(seed, int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(2, 5)))
    sizes = [base.layers[0].cols] + [
        (int(rng.integers(1, 4)),) * int(rng.integers(1, 6)) if rng.random() < 0.8 else layer.rows
        for layer in base.layers[:-1]
    ]
    sizes.append(base.layers[-1].rows)
    layers = []
    for cols, rows in pairwise(sizes):
        shapes: dict[tuple[int, int], list[int]] = {}
        weight, n_symbols = np.zeros((len(rows), len(cols)), dtype=int), 0
        for i, j in np.ndindex(weight.shape):
            known = shapes.setdefault((rows[i], cols[j]), [])
            if not known or rng.random() < 0.6:
                n_symbols += 1
                known.append(n_symbols)
            weight[i, j] = rng.choice(known) * rng.choice([-1, 1])
        bias = np.array([100 * n + int(rng.integers(1, 4)) for n in rows]) * rng.choice([-1, 0, 1], len(rows))
        for _ in range(int(rng.integers(0, 4))):
            i, k = rng.integers(0, len(rows), 2)
            j = rng.integers(0, len(cols))
            sign = int(rng.choice([-1, 1]))
            match rng.integers(0, 5):
                case 0:
                    weight[i] = 0
                case 1:
                    weight[:, j] = 0
                case 2 if rows[i] == rows[k]:
                    weight[i], bias[i] = sign * weight[k], sign * bias[k]
                case 3 | 4:
                    out, into = _random_involution(rng, rows), _random_involution(rng, cols)
                    for i, j in np.ndindex(weight.shape):
                        (p, s), (q, t) = out[i], into[j]
                        if (p, q) == (i, j) and s * t == -1:
                            weight[i, j] = 0
                        weight[p, q] = s * t * weight[i, j]
        layers.append(SymbolLayer(renumber(weight.tolist()), renumber([bias.tolist()])[0], tuple(rows), tuple(cols)))
    return Structure(tuple(layers), "planted")


def _random_involution(rng: np.random.Generator, sizes) -> list[tuple[int, int]]:
    image = [(i, int(rng.choice([1, 1, -1]))) for i in range(len(sizes))]
    order = rng.permutation(len(sizes)).tolist()
    for i, k in zip(order[::2], order[1::2], strict=False):
        if sizes[i] == sizes[k] and rng.random() < 0.8:
            sign = int(rng.choice([-1, 1]))
            image[i], image[k] = (k, sign), (i, sign)
    return image


def entrywise(structure: Structure, seed: int) -> Structure:
    """The same relations with blocks of size 1, hidden neurons in random order and with random signs."""
    rng = np.random.default_rng(seed)
    d = structure.n_inputs
    order, sign, layers = np.arange(d), np.ones(d, dtype=int), []
    for number, spec in enumerate(structure.layers, start=1):
        index, signs = spec.weight_map()
        weight = ((index + 1) * signs)[:, order] * sign
        index, signs = spec.bias_map()
        bias = (index + 1 - spec.n_weights) * signs
        n = spec.fan_out
        is_last = number == len(structure.layers)
        order = np.arange(n) if is_last else rng.permutation(n)
        sign = np.ones(n, dtype=int) if is_last else rng.choice([-1, 1], n)
        weight, bias = weight[order] * sign[:, None], bias[order] * sign
        layers.append(SymbolLayer.of(weight.tolist(), bias.tolist()))
    return Structure(tuple(layers), "entrywise")
