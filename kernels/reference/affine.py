"""The affine layers of a plan in torch: forward, adjoint, and the adjoint point by point."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..plan import LayerPlan, Plan

# Rows per partial sum in `_add_outer_sum`.
_BLOCK = 64


class LayerWeights(NamedTuple):
    """Views of one layer in the expanded vector w, or in its gradient (..., n_w)."""

    products: tuple[Tensor, ...]
    bias: Tensor | None


def layer_weights(plan: Plan, w: Tensor) -> list[LayerWeights]:
    """Cut w once per step: slicing it in every product costs as much as the small products themselves."""
    return [
        LayerWeights(
            tuple(w[..., product.weight].view(*w.shape[:-1], *product.shape) for product in layer.products),
            None if layer.bias is None else w[..., layer.bias],
        )
        for layer in plan.layers
    ]


def affine(layer: LayerPlan, w: LayerWeights, h: Tensor) -> Tensor:
    """W h without the bias: (M, fan_in) -> (M, fan_out)."""
    operands = _operands(layer, h)
    if _is_single(layer):
        slots = torch.mm(operands, w.products[0].T)
    else:
        slots = h.new_zeros(h.shape[0], layer.n_slots)
        for product, weight in zip(layer.products, w.products, strict=True):
            slots[:, product.outputs].addmm_(operands[:, product.inputs], weight.T)
    return slots if layer.post is None else slots @ layer.post.matrix(h).T


def affine_input_adjoint(layer: LayerPlan, w: LayerWeights, z_bar: Tensor) -> Tensor:
    """Gradient for h from that of W h: (M, fan_out) -> (M, fan_in)."""
    slots_bar = _slots_adjoint(layer, z_bar)
    if _is_single(layer):
        weight = w.products[0]
        # An outer product is faster as a broadcast.
        operands_bar = slots_bar * weight if weight.shape[0] == 1 else torch.mm(slots_bar, weight)
    else:
        operands_bar = z_bar.new_zeros(z_bar.shape[0], layer.n_operands)
        for product, weight in zip(layer.products, w.products, strict=True):
            operands_bar[:, product.inputs].addmm_(slots_bar[:, product.outputs], weight)
    return operands_bar if layer.pre is None else operands_bar @ layer.pre.matrix(z_bar)


def affine_weight_adjoint(layer: LayerPlan, h: Tensor, z_bar: Tensor, w_bar: LayerWeights) -> None:
    """Adds the weights' gradient, summed over all M rows, to ``w_bar``."""
    operands, slots_bar = _operands(layer, h), _slots_adjoint(layer, z_bar)
    for product, weight_bar in zip(layer.products, w_bar.products, strict=True):
        _add_outer_sum(weight_bar, slots_bar[:, product.outputs], operands[:, product.inputs])


def affine_weight_adjoint_per_point(layer: LayerPlan, h: Tensor, z_bar: Tensor, w_bar: LayerWeights) -> None:
    """The same per point: h (C, N, fan_in) and z_bar (C, N, fan_out), summed over C, add to ``w_bar`` (N, ...)."""
    operands, slots_bar = _operands(layer, h), _slots_adjoint(layer, z_bar)
    for product, weight_bar in zip(layer.products, w_bar.products, strict=True):
        left = slots_bar[..., product.outputs].permute(1, 2, 0)  # (N, out, C)
        right = operands[..., product.inputs].permute(1, 0, 2)  # (N, C, in)
        weight_bar += left @ right


def _add_outer_sum(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left^T right, (M, o) and (M, i) to (o, i).

    With one output BLAS runs through all M rows in one sum, and float32 loses digits as M grows. There, sums of blocks.
    """
    if left.shape[1] > 1:
        total.addmm_(left.T, right)
        return
    n_blocks = left.shape[0] // _BLOCK if left.shape[0] > 32 * _BLOCK else 0
    cut = n_blocks * _BLOCK
    if n_blocks:
        lefts, rights = left[:cut].reshape(n_blocks, 1, _BLOCK), right[:cut].reshape(n_blocks, _BLOCK, -1)
        total += (lefts @ rights).sum(0)
    total += (left[cut:] * right[cut:]).sum(0)


def _operands(layer: LayerPlan, h: Tensor) -> Tensor:
    return h if layer.pre is None else h @ layer.pre.matrix(h).T


def _slots_adjoint(layer: LayerPlan, z_bar: Tensor) -> Tensor:
    return z_bar if layer.post is None else z_bar @ layer.post.matrix(z_bar)


def _is_single(layer: LayerPlan) -> bool:
    """One product that fills all slots from all operands."""
    return len(layer.products) == 1 and layer.products[0].shape == (layer.n_slots, layer.n_operands)
