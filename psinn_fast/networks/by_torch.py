"""A network by torch's own operations, which differentiates it to any order and knows no jets."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ..kernels.language.channels import ChannelSet
from ..kernels.network.wiring import RESIDUAL, encoders
from .activations import FUNCTIONS
from .structure import Structure


def by_torch(structure: Structure, theta: Tensor, x: Tensor) -> Tensor:
    """u at points x (..., d): (..., F)."""
    *hidden, last = structure.expand(theta)
    activation, inputs = FUNCTIONS[structure.activation], _features(structure, theta, x)
    ahead = encoders(structure.wiring)
    gates = [activation(F.linear(inputs, *own)) for own in hidden[:ahead]]
    h = inputs
    for number, own in enumerate(hidden[ahead:]):
        activated = activation(F.linear(h, *own))
        if gates:
            h = gates[1] + activated * (gates[0] - gates[1])
        else:
            h = activated + h if number and structure.wiring == RESIDUAL else activated
    return _fields(structure, x, F.linear(h, *last))


def _features(structure: Structure, theta: Tensor, x: Tensor) -> Tensor:
    """What the first layer acts on: (..., n_features)."""
    if structure.embedding is None:
        return x
    last = len(structure.ahead)
    unknown = theta[last - len(structure.embedding.unknown) : last].double()
    found = structure.embedding.values(x.reshape(-1, x.shape[-1]).double(), unknown)
    return found.to(x.dtype).view(*x.shape[:-1], structure.n_features)


def _fields(structure: Structure, x: Tensor, outputs: Tensor) -> Tensor:
    """u, from the network's outputs (..., F)."""
    if structure.ansatz is None:
        return outputs
    points, inner = x.reshape(-1, x.shape[-1]), outputs.reshape(-1, 1, structure.n_outputs)
    value = ChannelSet.closure(structure.n_inputs, ())
    return structure.ansatz.jets(points, value, inner).view(outputs.shape)
