"""The affine layers of a composed plan in torch: forward, adjoint, and the adjoint point by point."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..network.plan import Plan

# Rows per partial sum in `add_weight_adjoint`.
_BLOCK = 64


class LayerWeights(NamedTuple):
    """z = weight h + bias: views of one layer in the expanded vector w, or in its gradient (..., n_w)."""

    weight: Tensor
    bias: Tensor | None


class Weights(NamedTuple):
    """Views of all that w has, or of its gradient: ``layers``, and ``unknown`` (..., K), numbers of the embedding."""

    layers: list[LayerWeights]
    unknown: Tensor | None


def cut(plan: Plan, w: Tensor) -> Weights:
    """Cut w once per step; ``plan`` is composed, so each layer has one product."""
    layers = [
        LayerWeights(
            w[..., layer.products[0].weight].view(*w.shape[:-1], layer.fan_out, layer.fan_in),
            None if layer.bias is None else w[..., layer.bias],
        )
        for layer in plan.layers
    ]
    return Weights(layers, None if plan.unknown is None else w[..., plan.unknown])


def affine(w: LayerWeights, h: Tensor) -> Tensor:
    """W h without the bias: (M, fan_in) -> (M, fan_out)."""
    return torch.mm(h, w.weight.T)


def affine_input_adjoint(w: LayerWeights, z_bar: Tensor) -> Tensor:
    """Gradient for h from that of W h: (M, fan_out) -> (M, fan_in)."""
    # An outer product is faster as a broadcast.
    return z_bar * w.weight if w.weight.shape[0] == 1 else torch.mm(z_bar, w.weight)


def add_weight_adjoint(weight_bar: Tensor, h: Tensor, z_bar: Tensor) -> None:
    """W_bar += z_bar^T h, summed over all M rows.

    With one output BLAS runs through all M rows in one sum, and float32 loses digits as M grows. There, sums of blocks.
    """
    if z_bar.shape[1] > 1:
        weight_bar.addmm_(z_bar.T, h)
        return
    n_blocks = h.shape[0] // _BLOCK if h.shape[0] > 32 * _BLOCK else 0
    cut = n_blocks * _BLOCK
    if n_blocks:
        z_bars, hs = z_bar[:cut].reshape(n_blocks, 1, _BLOCK), h[:cut].reshape(n_blocks, _BLOCK, -1)
        weight_bar += (z_bars @ hs).sum(0)
    weight_bar += (z_bar[cut:] * h[cut:]).sum(0)


def add_weight_adjoint_per_point(weight_bar: Tensor, h: Tensor, z_bar: Tensor) -> None:
    """The same per point: h (C, N, fan_in) and z_bar (C, N, fan_out), summed over C, add to W_bar (N, ...)."""
    weight_bar += z_bar.permute(1, 2, 0) @ h.transpose(0, 1)
