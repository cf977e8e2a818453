"""The C++ operations in single precision: at most twice the errors of plain float32 PyTorch."""

from __future__ import annotations

import pytest
from agreement import channel_sets
from cases import CASES
from float32_errors import check_errors, jets_errors, losses_errors

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.networks.structure import Structure


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
    check_errors(*losses_errors(backend, case, hidden, n, seeds))


@pytest.mark.parametrize("name", ["value", "laplacian", "heat", "some"])
def test_float32_jets(backend: CpuBackend, name: str) -> None:
    check_errors(*jets_errors(backend, Structure.dense([3, 16, 16, 2]), channel_sets(3)[name], 333, 4))
