"""The reference backend: its rounding errors in single precision, and its chunks of points."""

from __future__ import annotations

import pytest
import torch
from agreement import REFERENCE
from cases import CASES, make, plain_losses, some_weights
from helpers import random_points, random_theta, relative_error
from torch import Tensor

from psinn_fast.kernels.contract import sums
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower


@pytest.mark.parametrize(
    ("case", "n"),
    [
        *((case, 31) for case in CASES),
        ("laplace", 1023),
        ("two outputs", 1023),
        ("burgers with unknown nu", 1023),
        ("periodic", 1023),
        ("periodic", 4099),
    ],
)
def test_float32_is_as_good_as_plain_pytorch(case: str, n: int) -> None:
    """Errors over several weights: one case alone may be lucky."""
    ours, theirs = torch.zeros(2), torch.zeros(2)
    for seed in range(8):
        structure, _, coefficients, terms, plains = make(case, (16, 16), n, torch.float32)
        theta = random_theta(structure, seed, torch.float32)
        exact = plain_losses(structure, theta.double(), coefficients.double(), terms, plains)
        plain = plain_losses(structure, theta, coefficients, terms, plains)
        result = REFERENCE.loss_and_gradient(lower(structure.layers), theta, coefficients, terms, some_weights(terms))
        assert result.theta.dtype == torch.float32
        for total, (losses, gradient) in ((ours, (result.losses, result.theta)), (theirs, plain[:2])):
            total += torch.tensor([relative_error(losses, exact[0]), relative_error(gradient, exact[1])]) / 8
    # Torch may have been lucky, but no result is better than its own rounding.
    allowed = 2 * theirs.clamp(min=2.0**-24)
    assert (ours < allowed).all(), f"losses and gradient: {ours.tolist()}, plain torch {theirs.tolist()}"


@pytest.mark.parametrize("case", ["burgers with unknown nu", "periodic"])
@pytest.mark.parametrize("elements", [1, 500, 800])
def test_chunks_give_the_same(case: str, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    structure, theta, coefficients, terms, _ = make(case, (7, 3), 31)
    plan, x, channels = lower(structure.layers), random_points(31, 2), ChannelSet.closure(2, [(2, 1)])
    grad = random_points(31 * len(channels), 1).view(31, len(channels), 1)

    def everything() -> list[Tensor]:
        return [
            *REFERENCE.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms)),
            REFERENCE.jets(plan, theta, x, channels),
            *REFERENCE.jets_backward(plan, theta, x, channels, grad, need_x=True),
        ]

    whole = everything()
    n_batches = len(sums.batches(plan, terms, some_weights(terms)))
    # The limit is per thread; the chunks tested should not depend on the machine.
    monkeypatch.setattr(sums, "CHUNK_ELEMENTS", max(1, elements // torch.get_num_threads()))
    assert len(sums.batches(plan, terms, some_weights(terms))) > n_batches
    assert all(relative_error(a, b) < 1e-13 for a, b in zip(everything(), whole, strict=True))
