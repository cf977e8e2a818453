"""Labels of operations: who watches sees them, nobody else pays for them, and they change nothing."""

from __future__ import annotations

import timeit
from unittest.mock import MagicMock, call

import pytest
import torch
from toy_backend import Toy

from psinn_fast import MLP
from psinn_fast.kernels import get_backend, labels
from psinn_fast.kernels.contract.base import OPERATIONS, Backend
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import ChannelSet

X, CHANNELS = torch.rand(3, 2), ChannelSet.closure(2, [(1, 0)])


def jets(backend: Backend) -> torch.Tensor:
    net = MLP([2, 3, 1], seed=0)
    return backend.jets(net.plan, net.theta.detach(), X, CHANNELS)


@pytest.mark.parametrize("backend", [get_backend("reference"), get_backend(), Toy()], ids=lambda own: own.name)
def test_torchs_profiler_sees_operations_once(backend: Backend) -> None:
    """Of backends that are given, chosen, and one's own."""
    plain = jets(backend)
    with torch.autograd.profiler.profile() as watched:
        found = jets(backend)
    assert [event.name for event in watched.function_events if event.name.startswith("psinn::")] == [
        f"psinn::jets ({backend.name})"
    ]
    assert torch.equal(found, plain)


def test_all_operations_have_one() -> None:
    assert all(getattr(Backend, name).__name__ == name for name in OPERATIONS)
    assert all(hasattr(getattr(Backend, name), "__wrapped__") for name in OPERATIONS)


def test_nvidias_tools_see_ranges_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an operation fails, too."""
    nvtx = MagicMock()
    monkeypatch.setattr(torch.cuda, "nvtx", nvtx)
    monkeypatch.setattr(labels, "HAS_NVTX", True)
    backend = get_backend("reference")
    jets(backend)
    range_of = [call.range_push("psinn::jets (reference)"), call.range_pop()]
    assert nvtx.mock_calls == range_of
    net = MLP([2, 3, 1], seed=0)
    with pytest.raises(InputError):
        backend.jets(net.plan, net.theta.detach(), X[:, :1], CHANNELS)
    assert nvtx.mock_calls == 2 * range_of
    with labels.label("graph of 50 steps"):
        pass
    assert nvtx.mock_calls[-2:] == [call.range_push("psinn::graph of 50 steps"), call.range_pop()]


def test_where_nobody_watches_it_costs_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that is written costs some microseconds, ten times of what is left when none is."""
    monkeypatch.setattr(labels, "HAS_NVTX", False)

    def operation(backend: object) -> None:
        pass

    run = labels.labelled(operation)
    seconds = min(timeit.repeat(lambda: run(None), number=2000, repeat=5)) / 2000
    assert seconds < 5e-6
