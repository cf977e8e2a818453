"""The reference backend's own tests of input, bits and plain autograd, with the C++ backend in its place."""

from __future__ import annotations

import pytest
import test_operations
from test_operations import (  # noqa: F401
    test_bad_jets,
    test_bad_terms,
    test_few_points,
    test_loss_and_gradient,
    test_no_points_and_no_grad_through_the_operations,
    test_residual_jacobian,
    test_the_same_call_gives_the_same_bits,
)

from psinn_fast.kernels.cpu.backend import CpuBackend


@pytest.fixture(autouse=True)
def _in_place_of_the_reference(backend: CpuBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_operations, "BACKEND", backend)
