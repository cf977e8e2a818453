"""What does not fit on a chip is refused before it is compiled, and what fits never is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from helpers import random_points, random_theta
from layouts import CHANNELS
from on_device import ON_GPU
from torch import Tensor

from bench.static.cases import CASES
from bench.static.shared import RESULTS, least
from psinn_fast.kernels.contract.registry import WithFallback
from psinn_fast.kernels.errors import BackendLimit, say_once
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton import backend as triton_backend
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration
from psinn_fast.kernels.triton.emission import Mode
from psinn_fast.kernels.triton.layout import make_layout
from psinn_fast.kernels.triton.point_kernel import PointKernel
from psinn_fast.kernels.triton.shared_memory import least_shared
from psinn_fast.networks.structure import Structure

# Of GeForce cards.
ROOM = 99 * 1024


def test_nothing_that_was_compiled_needs_less() -> None:
    rows = json.loads(RESULTS.read_text())["rows"]
    assert [row for row in rows if least(row) > row["shared_bytes"]] == []
    wide = [row for row in rows if row["precision"] == "ieee" and row["mode"] == "loss" and 128 in [*row["layers"]]]
    assert len(wide) >= 4
    assert all(least(row) > row["shared_bytes"] / 2 for row in wide)  # where it matters, it says something


def test_shipped_networks_need_no_less() -> None:
    rows = json.loads(RESULTS.with_name("static.json").read_text())["rows"]
    for case in CASES:
        precision = "ieee" if case.dtype == torch.float64 else case.precision
        layout = make_layout(lower(case.structure().layers), case.dtype)
        needed = partial(least_shared, layout, 4, Mode.LOSS, dtype=case.dtype)
        own = [
            row
            for row in rows
            if (row["case"], row["problem"], row["precision"]) == (case.name, case.problem, case.kind)
        ]
        assert own
        for row in own:
            configuration = Configuration(row["block"], row["warps"], 1, precision)
            assert needed(configuration, chip=row["chip"]) <= row["shared_bytes"]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """On a chip with little room: what was launched there, as (block, warps)."""
    found: list[tuple[int, int]] = []
    launch = PointKernel.__call__

    def watched(self: PointKernel, *arguments: object, **named: object) -> None:
        found.append((self._configuration.block, self._configuration.warps))
        launch(self, *arguments, **named)

    monkeypatch.setattr(PointKernel, "__call__", watched)
    monkeypatch.setattr(triton_backend.machine, "room_for_program", lambda device: ROOM)
    monkeypatch.setattr(triton_backend, "chip_name", lambda device: "sm_89")
    yield found
    say_once.cache_clear()


def arguments(*sizes: int, dtype: torch.dtype = torch.float32) -> tuple[Plan, Tensor, Tensor]:
    structure = Structure.dense(sizes)
    return lower(structure.layers), random_theta(structure, 0).to(dtype), random_points(3, 2).to(dtype)


@pytest.mark.skipif(ON_GPU, reason="a chip has the room that it has")
@pytest.mark.parametrize(
    ("sizes", "precision", "dtype", "message"),
    [
        ((2, *[128] * 8, 1), "ieee", torch.float32,
         "plan: backend 'triton' has no room on this GPU for layers 128 wide in torch.float32 with these derivatives "
         r"\(it takes 137216 bytes of shared memory, and there are 101376\); layers 64 wide or backend 'reference' w"),
        ((2, 128, 128, 1), "ieee", torch.float64, "212992 bytes.*; layers 64 wide or backend 'reference' would"),
        ((2, 100, 100, 1), "tf32x3", torch.float64, "bytes.*; layers 50 wide, float32 or backend 'reference' would"),
    ],
)  # fmt: skip
def test_refused_before_anything_is_compiled(
    tried: list[tuple[int, int]], sizes: tuple[int, ...], precision: str, dtype: torch.dtype, message: str
) -> None:
    plan, theta, x = arguments(*sizes, dtype=dtype)
    own = TritonBackend(precision, Configuration(32, 4, 4, precision))
    grad = torch.ones(3, len(CHANNELS), 1, dtype=dtype)
    for _ in range(2):
        with pytest.raises(BackendLimit, match=message):
            own.jets_backward(plan, theta, x, CHANNELS, grad)
    assert tried == []
    with pytest.warns(
        RuntimeWarning, match="backend 'triton' is not used, but 'reference': plan: backend 'triton' has n"
    ):
        found = WithFallback(own).jets_backward(plan, theta, x, CHANNELS, grad)
    assert torch.equal(found[0], ReferenceBackend().jets_backward(plan, theta, x, CHANNELS, grad)[0])


@pytest.mark.skipif(ON_GPU, reason="a chip has the room that it has")
def test_smaller_tiles_are_tried_first(tried: list[tuple[int, int]]) -> None:
    """And none that are known to be too large."""
    plan, theta, x = arguments(2, 64, 64, 1)
    grad = torch.ones(3, len(CHANNELS), 1)
    own = TritonBackend(configuration=Configuration(64, 4, 4))
    found = own.jets_backward(plan, theta, x, CHANNELS, grad)[0]
    right = ReferenceBackend().jets_backward(plan, theta, x, CHANNELS, grad)[0]
    assert (found - right).norm() < 1e-5 * right.norm()
    assert tried == [(32, 4)]
    own.jets(plan, theta, x, CHANNELS)  # needs less
    assert tried[1:] == [(64, 4)]
