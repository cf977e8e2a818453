"""Coordinates of order 1: where a structure measures its inputs from, and in which units, on a given domain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from ..domains import Domain
from ..kernels.errors import InputError
from ..networks.structure import Structure

FloatArray = npt.NDArray[np.float64]

# Coordinates that stay below the first, with a half-width not below the second, are of order 1.
_FARTHEST, _NARROWEST = 4.0, 0.25
# Points at which features are looked at.
_PROBES = 2048


def in_frame(structure: Structure, domain: Domain) -> Structure:
    """The structure with inputs x_i replaced by (x_i - c_i) / h_i, which lie in [-1, 1]; those of order 1 stay.

    Its relations hold about its own centre and between inputs of one scale: inputs that they tie get the largest h of
    them, and the centre becomes the domain's only where that changes no network of the structure into another one
    (`may_move`). A structure that has input scales keeps its centre and them.

    Raises:
        InputError: a feature of its embedding that is the same at all points of the domain.
    """
    if set(structure.input_scale) != {1.0}:
        return structure
    centre, scale = np.array(structure.centre), np.ones(structure.n_features)
    low, high = _range(structure, domain)
    middle = domain.centre if structure.embedding is None else (low + high) / 2
    odd = (_reach(low, high, centre) > _FARTHEST) | (high - low < 2 * _NARROWEST)
    for group in map(list, structure.tied_inputs):
        if odd[group].any():
            step = np.zeros_like(centre)
            step[group] = middle[group] - centre[group]
            if may_move(structure, step):
                centre = centre + step
            scale[group] = _reach(low, high, centre)[group].max()
    if not scale.all():
        raise InputError(
            f"embedding: feature {int(scale.argmin()) + 1} is the same at all {_PROBES} points of the domain that were "
            "looked at; biases do that, and what is so narrow no network sees"
        )
    return replace(structure, centre=tuple(centre.tolist()), input_scale=tuple(scale.tolist()))


def _range(structure: Structure, domain: Domain) -> tuple[FloatArray, FloatArray]:
    """Between which numbers what the first layer acts on lies."""
    if structure.embedding is None:
        return domain.low, domain.high
    found = features_in(structure, domain)
    return found.min(0), found.max(0)


def features_in(structure: Structure, domain: Domain) -> FloatArray:
    """What the first layer acts on, at points all over the domain and at the corners of the box around it: (N, m)."""
    corners = np.stack(np.meshgrid(*zip(domain.low, domain.high, strict=True), indexing="ij"), -1)
    points = np.concatenate([np.array(domain.random(_PROBES, 0)), corners.reshape(-1, len(domain.low))])
    if structure.embedding is None:
        return points
    return np.asarray(structure.embedding.values(torch.from_numpy(points)).numpy(), dtype=np.float64)


def _reach(low: FloatArray, high: FloatArray, centre: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(abs(low - centre), abs(high - centre)), dtype=np.float64)


def may_move(structure: Structure, step: FloatArray) -> bool:
    """Whether the relations allow the bias W step, whatever W is."""
    first = structure.layers[0]
    (index, sign), (bias, bias_sign) = first.weight_map(), first.bias_map()
    weights = np.random.default_rng(0).standard_normal(first.n_weights + 1)
    shift = (weights[index] * sign) @ step
    # One of the values that each bias symbol would have, for all rows that it stands in.
    values = np.zeros(first.n_parameters + 1)
    values[bias] = shift * bias_sign
    return bool(np.allclose(shift, values[bias] * bias_sign, rtol=1e-9, atol=0))
