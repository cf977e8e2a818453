"""The reference backend's own tests of input, bits and plain autograd, with the Triton backend in its place."""

from __future__ import annotations

import pytest
import test_operations
from on_device import OnDevice
from test_operations import (  # noqa: F401
    test_bad_jets,
    test_bad_terms,
    test_few_points,
    test_loss_and_gradient,
    test_no_points_and_no_grad_through_the_operations,
    test_residual_jacobian,
    test_the_same_call_gives_the_same_bits,
)


@pytest.fixture(autouse=True)
def _in_place_of_the_reference(
    backend: OnDevice, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is wrong with tensors is found before it is asked where they are.
    is_bad = request.node.name.startswith("test_bad")
    monkeypatch.setattr(test_operations, "BACKEND", backend.backend if is_bad else backend)
