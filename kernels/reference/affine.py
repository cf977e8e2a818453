"""The affine layers of a plan in torch: forward, adjoint, and the adjoint point by point."""

from __future__ import annotations

from torch import Tensor

from ..plan import LayerPlan, Product

# Rows per partial sum in `_add_outer_sum`.
_BLOCK = 64


def affine(layer: LayerPlan, w: Tensor, h: Tensor) -> Tensor:
    """W h without the bias: (M, fan_in) -> (M, fan_out)."""
    operands = _operands(layer, h)
    if _is_single(layer):
        slots = operands @ _weight(layer.products[0], w).T
    else:
        slots = h.new_zeros(h.shape[0], layer.n_slots)
        for product in layer.products:
            slots[:, product.outputs] += operands[:, product.inputs] @ _weight(product, w).T
    return slots if layer.post is None else slots @ layer.post.matrix(h).T


def affine_input_adjoint(layer: LayerPlan, w: Tensor, z_bar: Tensor) -> Tensor:
    """Gradient for h from that of W h: (M, fan_out) -> (M, fan_in)."""
    slots_bar = _slots_adjoint(layer, z_bar)
    if _is_single(layer):
        operands_bar = slots_bar @ _weight(layer.products[0], w)
    else:
        operands_bar = z_bar.new_zeros(z_bar.shape[0], layer.n_operands)
        for product in layer.products:
            operands_bar[:, product.inputs] += slots_bar[:, product.outputs] @ _weight(product, w)
    return operands_bar if layer.pre is None else operands_bar @ layer.pre.matrix(z_bar)


def affine_weight_adjoint(layer: LayerPlan, h: Tensor, z_bar: Tensor, w_bar: Tensor) -> None:
    """Adds the weights' gradient, summed over all M rows, to ``w_bar`` (n_w,)."""
    operands, slots_bar = _operands(layer, h), _slots_adjoint(layer, z_bar)
    for product in layer.products:
        _add_outer_sum(_weight(product, w_bar), slots_bar[:, product.outputs], operands[:, product.inputs])


def affine_weight_adjoint_per_point(layer: LayerPlan, h: Tensor, z_bar: Tensor, w_bar: Tensor) -> None:
    """The same per point: h (C, N, fan_in) and z_bar (C, N, fan_out), summed over C, add to ``w_bar`` (N, n_w)."""
    operands, slots_bar = _operands(layer, h), _slots_adjoint(layer, z_bar)
    for product in layer.products:
        left = slots_bar[..., product.outputs].permute(1, 2, 0)  # (N, out, C)
        right = operands[..., product.inputs].permute(1, 0, 2)  # (N, C, in)
        w_bar[:, product.weight] += (left @ right).flatten(1)


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


def _weight(product: Product, w: Tensor) -> Tensor:
    return w[product.weight].view(product.shape)


def _is_single(layer: LayerPlan) -> bool:
    """One product that fills all slots from all operands."""
    return len(layer.products) == 1 and layer.products[0].shape == (layer.n_slots, layer.n_operands)
