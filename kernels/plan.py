"""The lowered form of a network: what to multiply, what to add, what to reuse.

A backend never sees symbols. It gets, per layer,

    operands = pre h                  (signed sums of the layer's inputs; None: h itself)
    slots    = sum of products W_p operands[inputs_p] into slots[outputs_p]
    z        = post slots + b         (signed sums of the slots; None: the slots themselves)
    h        = tanh z                 (not in the last layer)

with all W_p and b cut from one vector w = E theta (``Plan.expansion``). E has constant coefficients, so every rewrite
that R allows is expressible: merged neurons (fewer rows, summed columns in E), skipped zero blocks (no product),
shared products (one slot read twice by ``post``) and Hadamard-diagonalised pairs (A + B and A - B are rows of E,
``pre`` and ``post`` are the transforms). ``lower`` makes the plain dense plan; rewrites refine it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from .errors import InputError
from .linear_map import LinearMap
from .symbols import SymbolLayer


@dataclass(frozen=True)
class Product:
    """slots[outputs] += W operands[inputs], with W = w[weight] row-major, (n_outputs, n_inputs)."""

    outputs: slice
    inputs: slice
    weight: slice

    @property
    def shape(self) -> tuple[int, int]:
        return self.outputs.stop - self.outputs.start, self.inputs.stop - self.inputs.start


@dataclass(frozen=True)
class LayerPlan:
    """One affine layer (see the module's text). ``pre`` and ``post`` act on features, the same for every channel."""

    fan_in: int
    fan_out: int
    n_slots: int
    products: tuple[Product, ...]
    bias: slice | None
    pre: LinearMap | None = None
    post: LinearMap | None = None

    @property
    def n_operands(self) -> int:
        return self.fan_in if self.pre is None else self.pre.shape[0]

    @property
    def multiplications(self) -> int:
        """Multiplications per point and channel."""
        return sum(n_out * n_in for n_out, n_in in (product.shape for product in self.products))


@dataclass(frozen=True)
class Plan:
    """A whole network, lowered. ``theta`` has ``n_parameters`` entries, the expanded vector w ``expansion.shape[0]``.

    ``weight_slices`` says where in theta the independent weights (no biases) of each layer lie, for regularisers;
    ``dense_shapes`` their matrix shapes where the layer is dense, else None.
    """

    layers: tuple[LayerPlan, ...]
    expansion: LinearMap
    expanded_multiplications: tuple[int, ...]
    weight_slices: tuple[slice, ...]
    dense_shapes: tuple[tuple[int, int] | None, ...]

    def __post_init__(self) -> None:
        for number, (before, after) in enumerate(pairwise(self.layers), start=1):
            if before.fan_out != after.fan_in:
                raise InputError(
                    f"layers: layer {number} gives {before.fan_out} values, layer {number + 1} takes {after.fan_in}"
                )

    @property
    def n_parameters(self) -> int:
        return self.expansion.shape[1]

    @property
    def d_in(self) -> int:
        return self.layers[0].fan_in

    @property
    def d_out(self) -> int:
        return self.layers[-1].fan_out

    @cached_property
    def widest(self) -> int:
        """Largest number of values alive per point and channel between two layers."""
        return max(max(layer.fan_in, layer.n_slots, layer.fan_out) for layer in self.layers)

    def describe(self) -> str:
        """Per layer, multiplications per point and channel: expanded network, this plan."""
        lines = ["layer  expanded  plan"]
        for number, (layer, before) in enumerate(zip(self.layers, self.expanded_multiplications, strict=True), start=1):
            lines.append(f"{number:5d}  {before:8d}  {layer.multiplications:4d}")
        total = sum(layer.multiplications for layer in self.layers)
        lines.append(f"{'all':>5s}  {sum(self.expanded_multiplications):8d}  {total:4d}")
        return "\n".join(lines)


def lower(layers: Sequence[SymbolLayer]) -> Plan:
    """The expanded dense plan: one product per layer, gradients gathered back to theta through R^T."""
    if not layers:
        raise InputError("layers: a network needs at least one layer")
    lowered, maps, slices = [], [], []
    position = theta_start = 0
    for layer in layers:
        n_entries = layer.fan_out * layer.fan_in
        weight = slice(position, position + n_entries)
        has_bias = any(layer.bias)
        bias = slice(weight.stop, weight.stop + layer.fan_out) if has_bias else None
        position = bias.stop if bias else weight.stop
        product = Product(slice(0, layer.fan_out), slice(0, layer.fan_in), weight)
        lowered.append(LayerPlan(layer.fan_in, layer.fan_out, layer.fan_out, (product,), bias))
        maps.append(_layer_map(layer, has_bias))
        slices.append(slice(theta_start, theta_start + layer.n_weights))
        theta_start += layer.n_parameters
    return Plan(
        tuple(lowered),
        LinearMap.stack(maps),
        tuple(layer.fan_out * layer.fan_in for layer in layers),
        tuple(slices),
        tuple((layer.fan_out, layer.fan_in) if layer.is_dense else None for layer in layers),
    )


def _layer_map(layer: SymbolLayer, has_bias: bool) -> LinearMap:
    index, sign = layer.weight_map()
    parts = [(index.ravel(), sign.ravel())]
    if has_bias:
        parts.append(layer.bias_map())
    col = np.concatenate([part[0] for part in parts])
    coefficient = np.concatenate([part[1] for part in parts])
    row = np.flatnonzero(coefficient)
    return LinearMap((col.size, layer.n_parameters), row, col[row], coefficient[row])
