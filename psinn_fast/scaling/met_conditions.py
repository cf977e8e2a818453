"""Which conditions a network meets at the ends of a coordinate, whatever its weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Domain
from ..kernels.language.channels import ChannelSet
from ..kernels.network.ansatz import Known
from ..networks.structure import Structure

Points = npt.NDArray[np.float64]
# Derivatives along a coordinate that are looked at: an equation of order 4 has as many constants.
_ORDERS = 4
_CLOSE = 1e-9


def met_conditions(structure: Structure, domain: Domain, axis: int, points: Points) -> npt.NDArray[np.int64]:
    """How many conditions it meets at points (n, d) of a face across the axis, all fields together: (n,).

    Where the factor d of u = g + d N vanishes with its first k - 1 derivatives along the axis, u and as many of its
    derivatives are known: k conditions. A network that is periodic in the coordinate has all that it needs, half of
    them at each end.
    """
    d, x = structure.n_inputs, torch.from_numpy(np.array(points))
    channels, lower = (
        ChannelSet.closure(d, [tuple(order * (i == axis) for i in range(d))]) for order in (_ORDERS, _ORDERS - 1)
    )
    if _is_periodic(structure, domain, axis, lower, x):
        return np.full(len(points), 2 * structure.n_outputs, dtype=np.int64)
    if structure.ansatz is None:
        return np.zeros(len(points), dtype=np.int64)
    slopes = structure.ansatz.factor.jets(x, channels)
    inside = torch.from_numpy(np.array(domain.random(256, 0)))
    size = structure.ansatz.factor.jets(inside, channels).abs().amax(1, keepdim=True)
    vanishes = slopes.abs() <= _CLOSE * size
    found = vanishes.long().cumprod(0).sum((0, 2)).numpy()
    return np.asarray(found, dtype=np.int64)


def _is_periodic(structure: Structure, domain: Domain, axis: int, channels: ChannelSet, x: torch.Tensor) -> bool:
    if structure.embedding is None:
        return False
    known: list[Known] = [structure.embedding, *structure.embedding.elsewhere]
    if structure.ansatz is not None:
        known += [structure.ansatz.offset, structure.ansatz.factor]
    low, high = x.clone(), x.clone()
    low[:, axis], high[:, axis] = float(domain.low[axis]), float(domain.high[axis])
    for own in known:
        here, there = own.jets(low, channels), own.jets(high, channels)
        size = torch.maximum(here.abs(), there.abs()).amax(1, keepdim=True).clamp(min=1.0)
        if bool(((here - there).abs() > 1e-7 * size).any()):
            return False
    return True
