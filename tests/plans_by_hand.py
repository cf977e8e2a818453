"""Plans that are rewritten by hand: what lowering has to be equal to, and what a backend may be given."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from psinn_fast.kernels.network.linear_map import LinearMap
from psinn_fast.kernels.network.plan import LayerPlan, Plan, Product, expanded_plan
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.structure import Structure


def blocks(matrix: npt.ArrayLike, size: int) -> LinearMap:
    return LinearMap.from_dense(np.kron(np.asarray(matrix, dtype=float), np.eye(size)))


HADAMARD = [[1, 1], [1, -1]]


def even_in_y(n: int, m: int) -> tuple[Structure, Plan]:
    """[[a, b], [a, -b]], [[A, B], [B, A]], [C, C], f: one product per symbol, transforms around the second layer."""
    structure = Structure(
        (
            SymbolLayer.of([[1, 2], [1, -2]], [1, 1], [n, n], [1, 1]),
            SymbolLayer.of([[1, 2], [2, 1]], [1, 1], [n, n], [n, n]),
            SymbolLayer.of([[1, 1]], [1], [m], [n, n]),
            SymbolLayer.of([[1]], [0], [1], [m]),
        )
    )
    sizes = np.cumsum([0, n, n, 2 * n, n * n, n * n, 2 * n, m * n, m, m])
    a, b, c, plus, minus, d, last, e, f = (slice(i, j) for i, j in itertools.pairwise(sizes))
    first, second = slice(0, n), slice(n, 2 * n)
    layers = (
        # p = a x and q = b y once, then p + q and p - q.
        LayerPlan(2, 2 * n, 2 * n, (Product(first, slice(0, 1), a), Product(second, slice(1, 2), b)), c,
                  post=blocks(HADAMARD, n)),
        LayerPlan(2 * n, 2 * n, 2 * n, (Product(first, first, plus), Product(second, second, minus)), d,
                  pre=blocks(HADAMARD, n), post=blocks(HADAMARD, n)),
        LayerPlan(2 * n, m, m, (Product(slice(0, m), first, last),), e, pre=blocks([[1, 1]], n)),
        LayerPlan(m, 1, 1, (Product(slice(0, 1), slice(0, m), f),), None),
    )  # fmt: skip
    twice = blocks([[1], [1]], n)
    expansion = [
        LinearMap.identity(2 * n), twice,
        blocks([[0.5, 0.5], [0.5, -0.5]], n * n), twice,
        LinearMap.identity(m * n + m + m),
    ]  # fmt: skip
    return structure, make_plan(structure, layers, expansion)


def zero_blocks(n: int, m: int) -> tuple[Structure, Plan]:
    """[[A, 0, B], [0, C, -A]] by four products, two of them into one slot, and a branch without weights or bias."""
    structure = Structure(
        (
            SymbolLayer.of([[1], [2], [3]], [1, 0, -1], [n, n, n], [3]),
            SymbolLayer.of([[1, 0, 2], [0, 3, -1], [0, 0, 0]], [1, 2, 3], [m, m, 2], [n, n, n]),
            SymbolLayer.of([[1, 0, 2], [0, 3, -2]], [0, 1], [1, 1], [m, m, 2]),
        )
    )
    k = m * n
    sizes = np.cumsum([0, 9 * n, 3 * n, k, k, k, k, 2 * m + 2, m, 2, m, 2, 2])
    w1, b1, a, b, c, minus_a, b2, u, v, s, minus_v, b3 = (slice(i, j) for i, j in itertools.pairwise(sizes))
    top, middle, rest = slice(0, m), slice(m, 2 * m), slice(2 * m, 2 * m + 2)
    h = [slice(i * n, (i + 1) * n) for i in range(3)]
    one, two = slice(0, 1), slice(1, 2)
    layers = (
        LayerPlan(3, 3 * n, 3 * n, (Product(slice(0, 3 * n), slice(0, 3), w1),), b1),
        LayerPlan(3 * n, 2 * m + 2, 2 * m + 2, (
            Product(top, h[0], a), Product(top, h[2], b), Product(middle, h[1], c), Product(middle, h[2], minus_a),
        ), b2),
        LayerPlan(2 * m + 2, 2, 2, (
            Product(one, top, u), Product(one, rest, v), Product(two, middle, s), Product(two, rest, minus_v),
        ), b3),
    )  # fmt: skip
    expansion = [
        LinearMap.identity(9 * n), blocks([[1], [0], [-1]], n),
        blocks([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]], k), LinearMap.identity(2 * m + 2),
        LinearMap.from_dense(np.block([
            [np.eye(m), np.zeros((m, 2)), np.zeros((m, m))],
            [np.zeros((2, m)), np.eye(2), np.zeros((2, m))],
            [np.zeros((m, m)), np.zeros((m, 2)), np.eye(m)],
            [np.zeros((2, m)), -np.eye(2), np.zeros((2, m))],
        ])),
        LinearMap.from_dense([[0.0], [1.0]]),
    ]  # fmt: skip
    return structure, make_plan(structure, layers, expansion)


def opposite_rows(n: int, m: int) -> tuple[Structure, Plan]:
    """[[A], [-A], [A]] computed once and read three times by ``post``; a last layer [C, C, D] on two operands."""
    structure = Structure(
        (
            SymbolLayer.of([[1], [-1], [1]], [1, -1, 2], [n, n, n], [2]),
            SymbolLayer.of([[1, 1, 2]], [1], [m], [n, n, n]),
        )
    )
    k, p = 2 * n, m * n
    layers = (
        LayerPlan(2, 3 * n, n, (Product(slice(0, n), slice(0, 2), slice(0, k)),), slice(k, k + 3 * n),
                  post=blocks([[1], [-1], [1]], n)),
        LayerPlan(3 * n, m, m, (
            Product(slice(0, m), slice(0, n), slice(k + 3 * n, k + 3 * n + p)),
            Product(slice(0, m), slice(n, 2 * n), slice(k + 3 * n + p, k + 3 * n + 2 * p)),
        ), slice(k + 3 * n + 2 * p, k + 3 * n + 2 * p + m), pre=blocks([[1, 1, 0], [0, 0, 1]], n)),
    )  # fmt: skip
    expansion = [
        LinearMap.identity(k),
        blocks([[1, 0], [-1, 0], [0, 1]], n),
        LinearMap.identity(2 * p + m),
    ]
    return structure, make_plan(structure, layers, expansion)


def make_plan(structure: Structure, layers: tuple[LayerPlan, ...], expansion: list[LinearMap]) -> Plan:
    plain = expanded_plan(structure.layers)
    return Plan(
        layers, LinearMap.stack(expansion), plain.expanded_multiplications, plain.weight_slices, plain.dense_shapes
    )
