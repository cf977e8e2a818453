"""Residuals of many kinds, for the library and once more in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from helpers import mlp, nested_autograd, random_theta
from torch import Tensor

from psinn_fast.domains import Box
from psinn_fast.kernels.contract import Term
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Condition, Data, Dirichlet, Neumann, Periodic, Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

Derivative = Callable[..., Tensor]  # d(i, j, ..., field=0, site=0): derivative of these orders
Plain = Callable[[Derivative, Tensor, Tensor, Tensor], Sequence[Tensor]]  # d, x (sites, N, d), columns, coefficients


@dataclass(frozen=True)
class Case:
    """A problem for the library, and its residuals once more in plain torch, one function per term."""

    coords: str
    fields: str
    equation: Callable[..., object]
    plain_equation: Plain
    unknown: dict[str, float]
    conditions: Callable[[Box, int], list[tuple[Condition, Plain]]] = lambda box, n: []

    def build(self, n: int, dtype: torch.dtype = torch.float64) -> tuple[list[Term], list[Plain], Tensor]:
        box = Box(**dict.fromkeys(self.coords.split(), (-1, 1)))
        own = [(Residual(points(box, n, 5)), self.plain_equation), *self.conditions(box, n)]
        pde = PDE(self.coords, self.fields, self.equation, unknown=self.unknown)
        problem = Problem("case", pde, box, [condition for condition, _ in own])
        return problem.terms(dtype), [plain for _, plain in own], problem.initial_coefficients(dtype)


def points(box: Box, n: int, seed: int) -> np.ndarray:
    """Random points that float32 holds exactly, so that both precisions solve the same problem."""
    return box.random(n, seed).astype(np.float32).astype(np.float64)


def target(first: np.ndarray, *others: np.ndarray) -> np.ndarray:
    return np.sin(2 * first) + sum(others)


CASES = {
    "laplace": Case(
        "x y", "u", lambda u: u.xx + u.yy, lambda d, x, columns, c: [d(2, 0) + d(0, 2)], {},
        lambda box, n: [
            (Dirichlet(points(box, n, 6), u=target), lambda d, x, columns, c: [d(0, 0) - columns[:, 0]])
        ],
    ),
    "burgers with unknown nu": Case(
        "t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx,
        lambda d, x, columns, c: [d(1, 0) + d(0, 0) * d(0, 1) - c[0] * d(0, 2)], {"nu": 0.3},
        lambda box, n: [
            (Data(points(box, n, 7), u=target), lambda d, x, columns, c: [d(0, 0) - columns[:, 0]]),
            (Neumann(points(box, n, 8), [0.6, -0.8], u=0.25),
             lambda d, x, columns, c: [0.6 * d(1, 0) - 0.8 * d(0, 1) - 0.25]),
        ],
    ),
    "two outputs": Case(
        "x y z", "u v",
        lambda u, v, x, z, k, m: [u.x * v.z - k**2 * v, u.xyz + x * v.y - m * x * z, v.lap + m * k],
        lambda d, x, columns, c: [
            d(1, 0, 0) * d(0, 0, 1, field=1) - c[0] ** 2 * d(0, 0, 0, field=1),
            d(1, 1, 1) + x[0, :, 0] * d(0, 1, 0, field=1) - c[1] * x[0, :, 0] * x[0, :, 2],
            d(2, 0, 0, field=1) + d(0, 2, 0, field=1) + d(0, 0, 2, field=1) + c[0] * c[1],
        ],
        {"k": 0.5, "m": -0.7},
    ),
    "periodic": Case(
        "t x", "u", lambda u, t: u.tt - u.xx * (1 + t**2),
        lambda d, x, columns, c: [d(2, 0) - d(0, 2) * (1 + x[0, :, 0] ** 2)], {},
        lambda box, n: [
            (Periodic(points(box, n, 9), points(box, n, 10), "u u_x u_tx"),
             lambda d, x, columns, c: [d(*i, site=0) - d(*i, site=1) for i in ((0, 0), (0, 1), (1, 1))])
        ],
    ),
    "fourth order": Case(
        "x y", "u", lambda u: u.xxxx + 2 * u.xxyy + u.yyyy - u.xxx * u.y,
        lambda d, x, columns, c: [d(4, 0) + 2 * d(2, 2) + d(0, 4) - d(3, 0) * d(0, 1)], {},
    ),
}  # fmt: skip
# Hidden sizes: linear, one layer, odd widths, six layers.
HIDDEN = [(), (1,), (7, 7), (63,), (7, 1, 5, 3, 2, 4)]


def make(case: str, hidden: Sequence[int], n: int, dtype: torch.dtype = torch.float64):
    definition = CASES[case]
    structure = Structure.dense([len(definition.coords.split()), *hidden, len(definition.fields.split())])
    terms, plains, coefficients = definition.build(n, dtype)
    return structure, random_theta(structure, 3, dtype), coefficients, terms, plains


def some_weights(terms: Sequence[Term]) -> Tensor:
    """Weights for so many terms, of their dtype and device, no two of the first three alike."""
    numbers = [(0.75, 2.0, 1.0)[i % 3] for i in range(len(terms))]
    like = terms[0].points if terms else torch.empty(0, dtype=torch.float64)
    return torch.tensor(numbers, dtype=like.dtype, device=like.device)


def plain_residuals(
    structure: Structure,
    theta: Tensor,
    coefficients: Tensor,
    term: Term,
    plain: Plain,
    coordinates: Tensor | None = None,
) -> Tensor:
    """(N, m), by nested autograd, in theta's precision. ``coordinates``: what a residual reads of the points itself."""
    at = [site.to(theta.dtype).requires_grad_() for site in term.points.clone()]
    outputs = [mlp(structure, theta, x) for x in at]

    def d(*index: int, field: int = 0, site: int = 0) -> Tensor:
        return nested_autograd(outputs[site][:, field], at[site], index)

    own = torch.stack(at) if coordinates is None else coordinates
    return torch.stack([*plain(d, own, term.columns.to(theta.dtype), coefficients)], 1)


def plain_losses(structure, theta, coefficients, terms, plains):
    """Losses, and the weighted sum's gradients, by nested autograd."""
    theta, coefficients = theta.clone().requires_grad_(), coefficients.clone().requires_grad_()
    losses = [
        plain_residuals(structure, theta, coefficients, term, plain).square().sum(1).mean()
        for term, plain in zip(terms, plains, strict=True)
    ]
    total = sum(weight * value for weight, value in zip(some_weights(terms).to(theta), losses, strict=True))
    gradients = torch.autograd.grad(total, (theta, coefficients), allow_unused=True, materialize_grads=True)
    return torch.stack(losses).detach(), *gradients
