"""The example of docs/extending/backend.md runs as it stands, and docs/backends.md names the operations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import psinn_fast as pf
from psinn_fast.kernels.contract.base import OPERATIONS
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "backends.md").read_text(encoding="utf-8")


def test_the_example_trains_as_the_reference_does() -> None:
    page = (DOCS / "extending" / "backend.md").read_text(encoding="utf-8")
    example, unregistered = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {}
    try:
        exec(compile(example, "backend.md", "exec"), scope)
    finally:
        exec(compile(unregistered, "backend.md", "exec"), scope)
    found = scope["solution"]
    assert_right_jets(scope["Mine"]())
    wanted = pf.solve("laplace", "psi", pf.Adam(20), options=pf.Options(backend="reference"))
    assert found.setup.backend == "mine"
    assert found.loss == pytest.approx(wanted.loss, rel=1e-4)  # float32, 20 steps


def assert_right_jets(mine: pf.Backend) -> None:
    """Of fields with constant neurons and without biases, too; to rounding errors of float64."""
    odd = pf.Symmetry(pf.SignedPermutation.flip(2, 0), (-1,))
    for net in (
        pf.MLP([2, 5, 4, 2], seed=0, dtype=torch.float64),
        pf.PsiMLP(pf.structure_from_group([odd], hidden=(1, 1)), width=3, seed=0, dtype=torch.float64),
    ):
        x = torch.rand(7, 2, dtype=torch.float64)
        for wanted in ([], [(0, 1)], [(1, 0), (0, 1)], [(2, 0), (1, 1)], [Laplacian((0, 1))]):
            channels = ChannelSet.closure(2, wanted)
            found, right = (one.jets(net.plan, net.theta, x, channels) for one in (mine, pf.get_backend("reference")))
            torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-12)
            grad = torch.rand_like(right)
            pairs = (
                one.jets_backward(net.plan, net.theta, x, channels, grad, True)
                for one in (mine, pf.get_backend("reference"))
            )
            torch.testing.assert_close(*pairs, rtol=1e-12, atol=1e-12)


def test_every_operation_is_in_the_table() -> None:
    assert sorted(re.findall(r"(?m)^\| `(\w+)` \|", TEXT)) == sorted(OPERATIONS)
