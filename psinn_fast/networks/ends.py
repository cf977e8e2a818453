"""What a network's first layer acts on, and what becomes of its last one's outputs, by torch's own operations."""

from __future__ import annotations

from torch import Tensor

from ..kernels.language.channels import ChannelSet
from .structure import Structure


def features(structure: Structure, x: Tensor) -> Tensor:
    """Of points x (..., d): (..., n_features)."""
    if structure.embedding is None:
        return x
    found = structure.embedding.values(x.reshape(-1, x.shape[-1]).double())
    return found.to(x.dtype).view(*x.shape[:-1], structure.n_features)


def fields(structure: Structure, x: Tensor, outputs: Tensor) -> Tensor:
    """u at points x (..., d), from the network's outputs (..., F)."""
    if structure.ansatz is None:
        return outputs
    points, inner = x.reshape(-1, x.shape[-1]), outputs.reshape(-1, 1, structure.n_outputs)
    value = ChannelSet.closure(structure.n_inputs, ())
    return structure.ansatz.jets(points, value, inner).view(outputs.shape)
