"""Single precision in Triton: at most twice the error of plain float32 torch, at odd sizes as at even ones."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from cases import CASES
from helpers import random_structure
from on_device import OnDevice
from test_cpu_float32 import (  # noqa: F401
    Errors,
    check_errors,
    check_float32_losses,
    jets_errors,
    losses_errors,
    test_float32_jacobian,
)
from test_cpu_operations import channel_sets

from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure


@pytest.mark.parametrize(
    ("case", "hidden", "n"),
    [*((case, (16, 16), 127) for case in CASES), ("laplace", (33,), 1023), ("burgers with unknown nu", (7, 7, 7), 255)],
)
def test_losses(wide: OnDevice, case: str, hidden: tuple[int, ...], n: int) -> None:
    check_float32_losses(wide, case, hidden, n, 4)


@pytest.mark.parametrize(
    ("d", "hidden", "f", "name", "n"),
    [
        *((3, (16, 16), 2, name, 127) for name in ("value", "laplacian", "heat", "some")),
        (2, (33,), 1, "laplacian", 1023), (2, (33,), 2, "all first", 31), (1, (1, 7), 2, "all", 31),
    ],
)  # fmt: skip
def test_jets(wide: OnDevice, d: int, hidden: tuple[int, ...], f: int, name: str, n: int) -> None:
    check_errors(*jets_errors(wide, Structure.dense([d, *hidden, f]), channel_sets(d)[name], n, 4))


@pytest.mark.parametrize(("name", "width"), [("laplace", 7), ("burgers", 1), ("poisson", 7), ("flow", 1)])
def test_published(backend: OnDevice, name: str, width: int) -> None:
    structure = published_structure(name).with_width(width)
    check_errors(*jets_errors(backend, structure, channel_sets(structure.n_inputs)["laplacian"], 31, 4))


@pytest.mark.parametrize("seed", [2, 3])
def test_random_structures(backend: OnDevice, seed: int) -> None:
    structure = random_structure(seed, 1 + seed % 4, 1 + seed % 3, 2 + seed % 3)
    check_errors(*jets_errors(backend, structure, channel_sets(structure.n_inputs)["laplacian"], 31, 4))


def check_together(all_errors: Iterable[Errors]) -> None:
    """The error of one number is a draw around zero, and where the number cancels, so is its relative error's size:
    neither a case nor a mean says anything there. So: medians over weights, their ratios' geometric mean over cases.
    """
    ratios = []
    for ours, theirs in all_errors:
        is_something = theirs.amax(0) > 0
        ratio = ours.median(0).values.clamp(min=2.0**-24) / theirs.median(0).values.clamp(min=2.0**-24)
        ratios.append(ratio.log().where(is_something, torch.nan))
    together = torch.stack(ratios).nanmean(0).exp()
    assert (together <= 2).all(), together.tolist()


@pytest.mark.parametrize("n", [1, 31])
def test_losses_at_few_points(backend: OnDevice, n: int) -> None:
    """Losses, gradients by theta, gradients by coefficients."""
    layers = ((7, 7), (33,), (7, 1), (33,), (1,))
    check_together(
        losses_errors(backend, case, hidden, n, 16) for case, hidden in zip(CASES, layers, strict=True)
    )  # fmt: skip


def test_jets_at_one_point(backend: OnDevice) -> None:
    """Orders 0 to 4."""
    cases = ((2, (7, 1), "value"), (2, (33,), "all first"), (2, (7, 7), "heat"), (3, (33,), "some"), (1, (7,), "all"))
    check_together(
        jets_errors(backend, Structure.dense([d, *hidden, 1]), channel_sets(d)[name], 1, 16)
        for d, hidden, name in cases
    )
