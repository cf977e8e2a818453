"""The layers of a gated network that act on the inputs, as one layer: the kernels compute them together."""

from __future__ import annotations

import scipy.sparse

from ..network.linear_map import LinearMap
from ..network.plan import LayerPlan, Plan, Product


def stacked(plan: Plan) -> tuple[tuple[LayerPlan, ...], LinearMap]:
    """Layers and E, where the layers on the inputs, dense ones, are one of all their neurons.

    Its matrix and its biases, copies of theirs, are appended to w.
    """
    on_inputs = [plan.layers[number] for number in plan.on_inputs]
    if len(on_inputs) == 1:
        return plan.layers, plan.expansion
    own, (size, n_parameters) = plan.expansion.sparse().tocsr(), plan.expansion.shape
    without = scipy.sparse.csr_array((on_inputs[0].fan_out, n_parameters))
    matrices = [own[layer.products[0].weight] for layer in on_inputs]
    biases = [without if layer.bias is None else own[layer.bias] for layer in on_inputs]
    whole = scipy.sparse.vstack([own, *matrices, *biases]).tocoo()
    fan_in, fan_out = on_inputs[0].fan_in, sum(layer.fan_out for layer in on_inputs)
    weight = slice(size, size + fan_out * fan_in)
    product = Product(slice(0, fan_out), slice(0, fan_in), weight)
    layer = LayerPlan(fan_in, fan_out, fan_out, (product,), slice(weight.stop, weight.stop + fan_out))
    return (layer, *plan.layers[len(on_inputs) :]), LinearMap(whole.shape, whole.row, whole.col, whole.data)
