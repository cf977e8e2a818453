"""The C++ operations in single precision: at most twice the errors of plain float32 PyTorch."""

from __future__ import annotations

import pytest
import torch
from cases import CASES, make, plain_losses, some_weights
from helpers import random_points, random_theta, relative_error
from test_cpu_operations import REFERENCE, channel_sets
from torch import Tensor

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.structure import Structure

ROUNDING = 2.0**-24


@pytest.mark.parametrize(
    ("case", "hidden", "n", "seeds"),
    [
        # A coefficient's gradient is one number, so that it takes many to know its error.
        *((case, (16, 16), 31, 24) for case in CASES),
        ("laplace", (64, 33), 255, 3),
        ("burgers with unknown nu", (7, 7, 7, 7), 255, 24),
        ("laplace", (8, 8), 20_000, 3),
        ("burgers with unknown nu", (8, 8), 20_000, 3),
        ("periodic", (8, 8), 20_000, 3),
    ],
)
def test_float32_is_as_good_as_plain_pytorch(
    backend: CpuBackend, case: str, hidden: tuple[int, ...], n: int, seeds: int
) -> None:
    check_float32_losses(backend, case, hidden, n, seeds)


Errors = tuple[Tensor, Tensor]  # ours and those of plain float32 torch: (seeds, results)


def check_errors(ours: Tensor, theirs: Tensor) -> None:
    """Means over several weights: one case alone may be lucky."""
    ours, theirs = ours.mean(0), theirs.mean(0)
    # Torch may have been lucky, but no result is better than its own rounding.
    allowed = 2 * theirs.clamp(min=ROUNDING)
    assert (ours <= allowed).all(), f"{ours.tolist()}, torch {theirs.tolist()}"


def check_float32_losses(backend: CpuBackend, case: str, hidden: tuple[int, ...], n: int, seeds: int) -> None:
    check_errors(*losses_errors(backend, case, hidden, n, seeds))


def losses_errors(backend: CpuBackend, case: str, hidden: tuple[int, ...], n: int, seeds: int) -> Errors:
    """Relative errors of losses, theta's gradient, the coefficients' gradient."""
    structure, _, coefficients, terms, plains = make(case, hidden, n, torch.float32)
    plan = lower(structure.layers)
    ours, theirs = torch.zeros(seeds, 3), torch.zeros(seeds, 3)
    for seed in range(seeds):
        theta = random_theta(structure, seed, torch.float32)
        exact = plain_losses(structure, theta.double(), coefficients.double(), terms, plains)
        plain = plain_losses(structure, theta, coefficients, terms, plains)
        losses, _, *gradients = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
        for errors, found in ((ours, (losses, *gradients)), (theirs, plain)):
            assert all(value.dtype == torch.float32 for value in found)
            errors[seed] = torch.tensor([relative_error(a, b) for a, b in zip(found, exact, strict=True)])
    return ours, theirs


@pytest.mark.parametrize("name", ["value", "laplacian", "heat", "some"])
def test_float32_jets(backend: CpuBackend, name: str) -> None:
    check_errors(*jets_errors(backend, Structure.dense([3, 16, 16, 2]), channel_sets(3)[name], 333, 4))


def jets_errors(backend: CpuBackend, structure: Structure, channels: ChannelSet, n: int, seeds: int) -> Errors:
    """Relative errors of jets, theta's gradient, x's gradient; weights, points and adjoints are new for each seed."""
    plan, ours, theirs = lower(structure.layers), torch.zeros(seeds, 3), torch.zeros(seeds, 3)
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


@pytest.mark.parametrize("case", ["two outputs", "periodic", "burgers with unknown nu"])
def test_float32_jacobian(backend: CpuBackend, case: str) -> None:
    structure, theta, coefficients, terms, _ = make(case, (16, 16), 31, torch.float32)
    _, _, _, double_terms, _ = make(case, (16, 16), 31)
    plan = lower(structure.layers)
    for term, double in zip(terms, double_terms, strict=True):
        exact = REFERENCE.residual_jacobian(plan, theta.double(), coefficients.double(), double)
        ours, theirs = (b.residual_jacobian(plan, theta, coefficients, term) for b in (backend, REFERENCE))
        for a, b, e in zip(ours, theirs, exact, strict=True):
            assert relative_error(a, e) < 2 * max(relative_error(b, e), ROUNDING)
