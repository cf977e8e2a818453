"""Errors in single precision, of a backend and of plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from agreement import REFERENCE
from cases import CASES, make, plain_losses, some_weights
from helpers import random_points, random_theta, relative_error
from torch import Tensor

from psinn_fast.kernels.contract import Backend, Term
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.structure import Structure

ROUNDING = 2.0**-24


Errors = tuple[Tensor, Tensor]  # ours and those of plain float32 torch: (seeds, results)


def check_errors(ours: Tensor, theirs: Tensor) -> None:
    """Means over several weights: one case alone may be lucky."""
    ours, theirs = ours.mean(0), theirs.mean(0)
    # Torch may have been lucky, but no result is better than its own rounding.
    allowed = 2 * theirs.clamp(min=ROUNDING)
    assert (ours <= allowed).all(), f"{ours.tolist()}, torch {theirs.tolist()}"


@cache
def losses_in_torch(case: str, hidden: tuple[int, ...], n: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Losses and gradients in float64 and in float32, the same for each backend and instruction set."""
    structure, _, coefficients, terms, plains = make(case, hidden, n, torch.float32)
    theta = random_theta(structure, seed, torch.float32)
    exact = plain_losses(structure, theta.double(), coefficients.double(), terms, plains)
    return [*exact], [*plain_losses(structure, theta, coefficients, terms, plains)]


def losses_errors(backend: Backend, case: str, hidden: tuple[int, ...], n: int, seeds: int) -> Errors:
    """Relative errors of losses, theta's gradient, the coefficients' gradient."""
    structure, _, coefficients, terms, _ = make(case, hidden, n, torch.float32)
    plan = lower(structure.layers)
    ours, theirs = torch.zeros(seeds, 3), torch.zeros(seeds, 3)
    for seed in range(seeds):
        theta = random_theta(structure, seed, torch.float32)
        exact, plain = losses_in_torch(case, hidden, n, seed)
        losses, _, *gradients = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
        for errors, found in ((ours, (losses, *gradients)), (theirs, plain)):
            assert all(value.dtype == torch.float32 for value in found)
            errors[seed] = torch.tensor([relative_error(a, b) for a, b in zip(found, exact, strict=True)])
    return ours, theirs


def jacobian_errors(backend: Backend, structure: Structure, case: str, n: int, seeds: int) -> Errors:
    """Relative errors of residuals and their Jacobian, term after term."""
    (terms, _, coefficients), (exact_terms, _, _) = CASES[case].build(n, torch.float32), CASES[case].build(n)
    ours, theirs = torch.zeros(seeds, 2 * len(terms)), torch.zeros(seeds, 2 * len(terms))

    def everything(b: Backend, of: Sequence[Term], theta: Tensor) -> list[Tensor]:
        return [part for own in of for part in b.residual_jacobian(structure.plan, theta, coefficients.to(theta), own)]

    for seed in range(seeds):
        theta = random_theta(structure, seed, torch.float32)
        exact = everything(REFERENCE, exact_terms, theta.double())
        for errors, b in ((ours, backend), (theirs, REFERENCE)):
            found = everything(b, terms, theta)
            errors[seed] = torch.tensor([relative_error(a, e) for a, e in zip(found, exact, strict=True)])
    return ours, theirs


def jets_errors(backend: Backend, structure: Structure, channels: ChannelSet, n: int, seeds: int) -> Errors:
    """Relative errors of jets, theta's gradient, x's gradient; weights, points and adjoints are new for each seed."""
    plan, ours, theirs = structure.plan, torch.zeros(seeds, 3), torch.zeros(seeds, 3)
    for seed in range(seeds):
        theta, x = random_theta(structure, seed).float(), random_points(n, plan.d_in, seed).float()
        grad = random_points(n * len(channels), plan.d_out, seed + 1).float().view(n, len(channels), plan.d_out)

        def everything(b, *tensors: Tensor) -> list[Tensor]:
            theta, x, grad = tensors
            gradients = b.jets_backward(plan, theta, x, channels, grad, need_x=True)
            return [b.jets(plan, theta, x, channels), *gradients]

        exact = everything(REFERENCE, theta.double(), x.double(), grad.double())
        for errors, b in ((ours, backend), (theirs, REFERENCE)):
            found = everything(b, theta, x, grad)
            errors[seed] = torch.tensor([relative_error(a, e) for a, e in zip(found, exact, strict=True)])
    return ours, theirs
