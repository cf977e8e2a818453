"""How much shared memory a kernel needs at least: what will not fit is not compiled, which would take minutes.

Products read their operands from there. In FMAs: every tile of weights, for as long as the program runs, or where there
are too many the largest one; the operands of all products, since the way back reads them again; and one adjoint. On
tensor cores weights stay in registers, and what needs room is to bring them there, as they are and transposed, in two
parts each, or one tile at a time. Compiled kernels need as much or more (bench/results/static/shared.json,
`python -m bench.static.shared`): what they need beside is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .configuration import DOUBLE_TENSOR_CORES, Configuration
from .layout import Layout
from .point_kernel import are_kept
from .writer import ROWS_PER_THREAD, Mode

# Of tensor cores: with fewer warps, or smaller tiles, all goes by registers; with more points sm_90 has another way.
LEAST_WARPS, LEAST_SIDE, MOST_POINTS = 4, 32, 32
NARROWEST, FLOAT32 = 8, 4


def least_shared(
    layout: Layout, channels: int, mode: Mode, configuration: Configuration, dtype: torch.dtype, chip: str,
    halvings: int = 0,
) -> int:  # fmt: skip
    """Bytes that a program of the kernel has in shared memory at least.

    ``channels``: the most of any of its residuals; ``halvings``: if all layers were half as wide, a quarter, ...
    """
    products = [_Product(layout, n, dtype.itemsize, halvings) for n in range(len(layout.products))]
    is_double, is_ieee = dtype == torch.float64, configuration.precision == "ieee"
    if not products or (is_double and chip in DOUBLE_TENSOR_CORES):
        return 0
    goes_back = mode in (Mode.LOSS, Mode.JETS_BACKWARD)
    keeps = are_kept(sum(product.weights for product in products), dtype, configuration.precision)
    if is_double or is_ieee:
        together = 1 if is_double else min(ROWS_PER_THREAD, 1 << (channels.bit_length() - 1))
        return _by_fma(products, configuration.block, channels, together, goes_back, keeps)
    is_known = configuration.precision == "tf32x3" and configuration.warps >= LEAST_WARPS
    is_known &= configuration.block <= MOST_POINTS
    return _by_tensor_cores(products, configuration.block, goes_back and keeps) if is_known else 0


class _Product:
    """Bytes: of ``weights``, all tiles; of the largest ``tile``; of its widest ``operand`` and ``slot``, per point and
    channel.
    """

    def __init__(self, layout: Layout, n: int, number: int, halvings: int) -> None:
        operands, slots = layout.boundaries[n].operands, layout.boundaries[n + 1].slots
        sizes = [
            (
                max(NARROWEST, operands[tile.operand].padded >> halvings),
                max(NARROWEST, slots[tile.slot].padded >> halvings),
            )
            for tile in layout.products[n]
        ]
        self.weights = number * sum(rows * columns for rows, columns in sizes)
        self.tile = number * max(rows * columns for rows, columns in sizes)
        self.operand = number * max(rows for rows, _ in sizes)
        self.slot = number * max(columns for _, columns in sizes)


def _by_fma(
    products: Sequence[_Product], block: int, channels: int, together: int, goes_back: bool, keeps: bool
) -> int:
    """``together``: channels that go through a product at once; ``keeps``: all tiles, else one at a time."""
    weights = sum(product.weights for product in products) if keeps else 0
    kept = most = 0
    for product in products:
        tile = 0 if keeps else product.tile
        adjoint = block * together * product.slot if goes_back else 0
        operands = block * channels * product.operand if goes_back else 0
        # Forwards a tile beside all operands so far; backwards beside an adjoint, its own operand being done with.
        own = kept + operands + adjoint if keeps else kept + tile + max(operands, adjoint)
        most, kept = max(most, own), kept + operands
    return weights + most


def _by_tensor_cores(products: Sequence[_Product], block: int, goes_back: bool) -> int:
    products = [product for product in products if min(product.operand, product.slot) >= LEAST_SIDE * FLOAT32]
    if not products:
        return 0
    if not goes_back:
        return max(product.tile for product in products)
    weights = 4 * sum(product.weights for product in products) - 2 * max(product.weights for product in products)
    return weights + 2 * block * max(product.operand for product in products)
