"""How networks begin: independent weights and biases, drawn by a seed."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..kernels import checks
from ..kernels.errors import InputError
from ..kernels.network.symbols import SymbolLayer
from .structure import Structure

INITS = ("default", "xavier")
_LARGEST_SEED = 2**63 - 1


def drawn(structure: Structure, init: str, start: tuple[float, ...], seed: int | None) -> Tensor:
    """theta in float64, on the CPU, see `PsiMLP`; without a seed by torch's global generator."""
    with torch.device("cpu"):  # whatever torch's default device is
        ahead = torch.tensor([*structure.ahead.values()], dtype=torch.float64)
        return torch.cat([ahead, _uniform(structure, init, seed)]) + start_biases(structure, start)


def _uniform(structure: Structure, init: str, seed: int | None) -> Tensor:
    """Weights and biases, layer after layer."""
    checks.choice("init", init, INITS)
    generator = None
    if seed is not None:
        generator = torch.Generator().manual_seed(checks.integer("seed", seed, 0, most=_LARGEST_SEED))
    theta = torch.empty(structure.n_independent, dtype=torch.float64).uniform_(-1, 1, generator=generator)
    bounds, sizes = [], []
    for layer in structure.layers:
        found = [*_weight_bounds(layer, init), *_bias_bounds(layer, init)]
        bounds += found
        sizes += [math.prod(shape) for shape in (*layer.weight_shapes, *layer.bias_shapes)]
    return theta.mul_(
        torch.tensor(bounds, dtype=torch.float64).repeat_interleave(torch.tensor(sizes, dtype=torch.int64))
    )


def start_biases(structure: Structure, start: tuple[float, ...]) -> Tensor:
    """theta of the last biases that give ``start``, all else 0."""
    theta = torch.zeros(structure.n_parameters, dtype=torch.float64)
    if start and (len(start) != structure.n_outputs or not all(map(math.isfinite, start))):
        raise InputError(f"start: expected {structure.n_outputs} finite numbers, one per output, got {list(start)}")
    if any(start):
        index, sign = structure.layers[-1].bias_map()
        biases = theta[structure.n_parameters - structure.layers[-1].n_parameters :].numpy()
        scale = np.array(structure.output_scale)
        own = sign != 0
        biases[index[own]] = (sign * start / scale)[own]
        reached = np.where(own, sign * biases[index] * scale, 0.0)
        if not np.allclose(reached, start, rtol=1e-9, atol=0):
            raise InputError(f"start: the relations of {structure.name!r} allow {reached.tolist()}, got {list(start)}")
    return theta


def _weight_bounds(layer: SymbolLayer, init: str) -> list[float]:
    """Of Theta_1, Theta_2, ...: the bound of the expanded entries that it stands for; of unequal ones, the tightest."""
    fan_in, fan_out = _fans(layer)
    bounds = [math.inf] * len(layer.weight_shapes)
    for i, row in enumerate(layer.weight):
        for j, symbol in enumerate(row):
            if symbol:
                own = 1 / math.sqrt(fan_in[i]) if init == "default" else math.sqrt(6 / (fan_in[i] + fan_out[j]))
                bounds[abs(symbol) - 1] = min(bounds[abs(symbol) - 1], own)
    return bounds


def _bias_bounds(layer: SymbolLayer, init: str) -> list[float]:
    fan_in, _ = _fans(layer)
    bounds = [math.inf] * len(layer.bias_shapes)
    for i, symbol in enumerate(layer.bias):
        if symbol:
            bounds[abs(symbol) - 1] = min(bounds[abs(symbol) - 1], 1 / math.sqrt(fan_in[i]))
    return bounds if init == "default" else [0.0] * len(bounds)


def _fans(layer: SymbolLayer) -> tuple[list[int], list[int]]:
    """Non-zero entries in a row of each block row and in a column of each block column, but at least 1."""
    used = np.array(layer.weight) != 0
    fan_in, fan_out = used @ np.array(layer.cols), np.array(layer.rows) @ used
    return np.maximum(fan_in, 1).tolist(), np.maximum(fan_out, 1).tolist()
