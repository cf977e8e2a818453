"""What several test files share: refusals, error measures, nested autograd, random structures."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.networks.structure import Structure

# Not by `available_backends`, which imports Triton: its tests must be the first to do so.
CPU_BACKENDS = ("reference", *(("cpu",) if instruction_sets() else ()))


def refused(message: str, make: Callable[[], object]) -> None:
    """By an `InputError` that says so, among other things."""
    with pytest.raises(InputError) as info:
        make()
    assert message in str(info.value)


def relative_error(value: Tensor, reference: Tensor, floor: float = 0.0) -> float:
    """L2 error relative to the reference; absolute where the reference is zero.

    ``floor`` is the least size to measure against, for random cases where all may cancel but the rounding errors.
    """
    reference = reference.detach().double()
    error = float((value.detach().double() - reference).norm())
    size = max(float(reference.norm()), floor)
    return error / size if size else error


def mlp(structure: Structure, theta: Tensor, x: Tensor) -> Tensor:
    """The expanded network in plain torch."""
    *hidden, (weight, bias) = structure.expand(theta)
    for hidden_weight, hidden_bias in hidden:
        x = torch.tanh(x @ hidden_weight.T + hidden_bias)
    return x @ weight.T + bias


def by_torch(net: PsiMLP, x: Tensor) -> Tensor:
    """``net(x)`` by torch's own operations."""
    return mlp(net.structure, net.theta, x)


def slope(value: Tensor, x: Tensor) -> Tensor:
    """Of a sum, by torch, with a graph."""
    return torch.autograd.grad(value.sum(), x, create_graph=True)[0]


def laplacian(u: Tensor, x: Tensor, factor: float = 1.0) -> Tensor:
    g = slope(u, x)
    return slope(g[:, 0], x)[:, 0] + factor * slope(g[:, 1], x)[:, 1]


def nested_autograd(u: Tensor, x: Tensor, index: Sequence[int]) -> Tensor:
    """Derivative of u (N,) by x (N, d) of the orders ``index``: torch.autograd.grad, once per order."""
    for axis, order in enumerate(index):
        for _ in range(order):
            if not u.requires_grad:
                return torch.zeros_like(u)
            (gradient,) = torch.autograd.grad(u.sum(), x, create_graph=True, allow_unused=True, materialize_grads=True)
            u = gradient[:, axis]
    return u


def perturbed(theta: Tensor) -> Tensor:
    """Moved by 1e-12 of its size, float32 by a rounding; the signs are draw PSINN_FAST_TEST_PERTURB (0: left alone)."""
    draw = int(os.environ.get("PSINN_FAST_TEST_PERTURB") or 0)
    if draw == 0:
        return theta
    signs = 2 * torch.randint(2, theta.shape, generator=torch.Generator().manual_seed(draw)).to(theta) - 1
    return theta * (1 + max(1e-12, torch.finfo(theta.dtype).eps) * signs)


def negated(t: Tensor) -> Tensor:
    """The same numbers with torch's negation bit: in memory lies their opposite, though the view is contiguous."""
    return torch._neg_view((-t).detach())


def random_theta(structure: Structure, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Entries of the size that keeps tanh in its curved part."""
    generator = torch.Generator().manual_seed(seed)
    theta = torch.empty(structure.n_parameters, dtype=torch.float64).uniform_(-0.8, 0.8, generator=generator)
    return perturbed(theta.to(dtype))


def unit_normal(d: int) -> list[float]:
    """A unit vector without equal or vanishing components."""
    vector = np.array([1.0, -2.0, 0.5, 0.3])[:d]
    return (vector / np.linalg.norm(vector)).tolist()


def random_points(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1000 + seed)
    return torch.empty(n, d, dtype=torch.float64).uniform_(-1, 1, generator=generator).to(dtype)


def random_structure(seed: int, n_inputs: int = 2, n_outputs: int = 1, n_layers: int = 3) -> Structure:
    """Random block sizes and random signed symbols: new, repeated (either sign) or zero; biases likewise."""
    rng = np.random.default_rng(seed)
    sizes = [[1] * n_inputs]
    sizes += [list(rng.integers(1, 4, rng.integers(1, 4))) for _ in range(n_layers - 1)]
    sizes += [[1] * n_outputs]
    layers = []
    for cols, rows in itertools.pairwise(sizes):
        weight_shapes: list[tuple[int, int]] = []
        weight = [[_random_symbol(rng, (m, n), weight_shapes) for n in cols] for m in rows]
        bias_shapes: list[tuple[int, int]] = []
        bias = [_random_symbol(rng, (m, 1), bias_shapes) for m in rows]
        layers.append(SymbolLayer.of(weight, bias, rows, cols))
    return Structure(tuple(layers), "random")


def _random_symbol(rng: np.random.Generator, shape: tuple[int, int], known: list[tuple[int, int]]) -> int:
    choices = [k for k, other in enumerate(known, start=1) if other == shape]
    kind = rng.random()
    if kind < 0.15:
        return 0
    if kind < 0.6 and choices:
        return int(rng.choice(choices)) * int(rng.choice([-1, 1]))
    known.append(shape)
    return len(known)
