"""Every backend in single precision: at most twice the error of plain float32 torch, at odd sizes as at even ones."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from agreement import REFERENCE, channel_sets
from cases import CASES, make
from float32_errors import ROUNDING, Errors, check_errors, jets_errors, losses_errors
from helpers import random_structure, relative_error

from psinn_fast.kernels.contract import Backend
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

TILE = 256
pytestmark = [
    pytest.mark.without("reference", reason="it is plain float32 torch"),
    pytest.mark.without("toy", reason="it is plain float32 torch"),
]
not_on_cpu = pytest.mark.without("cpu", reason="tests/kernels/cpu/test_cpu_float32.py has sizes of its own")


@not_on_cpu
@pytest.mark.parametrize(
    ("case", "hidden", "n"),
    [*((case, (16, 16), 127) for case in CASES), ("laplace", (33,), 1023), ("burgers with unknown nu", (7, 7, 7), 255)],
)
def test_losses(backend: Backend, case: str, hidden: tuple[int, ...], n: int) -> None:
    check_errors(*losses_errors(backend, case, hidden, n, 4))


@pytest.mark.parametrize(
    ("d", "hidden", "f", "name", "n"),
    [
        *((3, (16, 16), 2, name, 127) for name in ("value", "laplacian", "heat", "some")),
        (2, (33,), 1, "laplacian", 1023), (2, (33,), 2, "all first", 31), (1, (1, 7), 2, "all", 31),
    ],
)  # fmt: skip
def test_jets(backend: Backend, d: int, hidden: tuple[int, ...], f: int, name: str, n: int) -> None:
    check_errors(*jets_errors(backend, Structure.dense([d, *hidden, f]), channel_sets(d)[name], n, 4))


@pytest.mark.parametrize(("name", "width"), [("laplace", 7), ("burgers", 1), ("poisson", 7), ("flow", 1)])
def test_published(backend: Backend, name: str, width: int) -> None:
    structure = published_structure(name).with_width(width)
    check_errors(*jets_errors(backend, structure, channel_sets(structure.n_inputs)["laplacian"], 31, 4))


@pytest.mark.parametrize("seed", [2, 3])
def test_random_structures(backend: Backend, seed: int) -> None:
    structure = random_structure(seed, 1 + seed % 4, 1 + seed % 3, 2 + seed % 3)
    check_errors(*jets_errors(backend, structure, channel_sets(structure.n_inputs)["laplacian"], 31, 4))


@pytest.mark.parametrize("case", ["two outputs", "periodic", "burgers with unknown nu"])
def test_jacobian(backend: Backend, case: str) -> None:
    structure, theta, coefficients, terms, _ = make(case, (16, 16), 31, torch.float32)
    _, _, _, double_terms, _ = make(case, (16, 16), 31)
    plan = lower(structure.layers)
    for term, double in zip(terms, double_terms, strict=True):
        exact = REFERENCE.residual_jacobian(plan, theta.double(), coefficients.double(), double)
        ours, theirs = (b.residual_jacobian(plan, theta, coefficients, term) for b in (backend, REFERENCE))
        for a, b, e in zip(ours, theirs, exact, strict=True):
            assert relative_error(a, e) < 2 * max(relative_error(b, e), ROUNDING)


def check_together(all_errors: Iterable[Errors]) -> None:
    """The error of one number is a draw around zero, and where the number cancels, so is its relative error's size:
    neither a case nor a mean says anything there. So: medians over weights, their ratios' geometric mean over cases.
    """
    ratios = []
    for ours, theirs in all_errors:
        is_something = theirs.amax(0) > 0
        ratio = ours.median(0).values.clamp(min=ROUNDING) / theirs.median(0).values.clamp(min=ROUNDING)
        ratios.append(ratio.log().where(is_something, torch.nan))
    together = torch.stack(ratios).nanmean(0).exp()
    assert (together <= 2).all(), together.tolist()


@not_on_cpu
@pytest.mark.parametrize("n", [1, 31])
def test_losses_at_few_points(backend: Backend, n: int) -> None:
    """Losses, gradients by theta, gradients by coefficients."""
    layers = ((7, 7), (33,), (7, 1), (33,), (1,))
    check_together(losses_errors(backend, case, hidden, n, 16) for case, hidden in zip(CASES, layers, strict=True))


@not_on_cpu
def test_jets_at_one_point(backend: Backend) -> None:
    """Orders 0 to 4."""
    cases = ((2, (7, 1), "value"), (2, (33,), "all first"), (2, (7, 7), "heat"), (3, (33,), "some"), (1, (7,), "all"))
    check_together(
        jets_errors(backend, Structure.dense([d, *hidden, 1]), channel_sets(d)[name], 1, 16)
        for d, hidden, name in cases
    )
