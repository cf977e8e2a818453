"""What graphs and kernels remember of memory: points that move, parts of Jacobians, threads that record at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cases import make, some_weights
from helpers import relative_error
from on_device import OnDevice, moved
from torch import Tensor

from psinn_fast.kernels.contract import AdamState
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton import backend as triton_backend
from psinn_fast.kernels.triton import training
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.gemm import GemmBackend
from psinn_fast.kernels.triton.point_kernel import PointKernel

REFERENCE = ReferenceBackend()


def _fill(points: Tensor) -> None:
    points.data.mul_(0.5)


def _replace(points: Tensor) -> None:
    points.data = 0.5 * points.data


def _in_place(points: Tensor) -> None:
    points.mul_(0.5)


@pytest.mark.parametrize("change", [_fill, _replace, _in_place])
@pytest.mark.parametrize("n_terms", [1, 3])
def test_points_that_change_between_calls(
    direct: TritonBackend, device: torch.device, change: Callable[[Tensor], None], n_terms: int
) -> None:
    """Of one term, read where they lie, and of several side by side, which are copied; twice, as graphs remember."""
    structure, theta, coefficients, terms, _ = make("laplace", (5, 3), 9)
    plan = lower(structure.layers)
    own = [replace(term, points=term.points.clone()) for term in moved([terms[0]] * n_terms, device)]
    weights = some_weights(own)
    states = [AdamState(theta.clone().to(device), coefficients.to(device), 1e-2, ()) for _ in (0, 1)]
    for _ in range(3):
        losses = [b.train(plan, s, own, weights, 2).losses for b, s in zip((direct, REFERENCE), states, strict=True)]
        assert relative_error(*losses) < 1e-10
        for term in own:
            change(term.points)


@pytest.mark.parametrize(("kind", "n_terms"), [("triton", 1), ("triton", 3), ("gemm", 1)])
def test_other_numbers_of_points(direct: TritonBackend, device: torch.device, kind: str, n_terms: int) -> None:
    """Nothing goes on by the tables of before."""
    own_backend = direct if kind == "triton" else GemmBackend()
    structure, theta, coefficients, terms, _ = make("laplace", (5, 3), 40)
    plan = lower(structure.layers)
    own = [
        replace(term, points=term.points.clone(), columns=term.columns.clone())
        for term in moved([terms[1]] * n_terms, device)
    ]
    whole = [(term.points.clone(), term.columns.clone()) for term in own]
    weights = some_weights(own)
    states = [AdamState(theta.clone().to(device), coefficients.to(device), 1e-2, ()) for _ in (0, 1)]
    for n in (40, 9):
        for term, (points, columns) in zip(own, whole, strict=True):
            term.points.data, term.columns.data = points[:, :n].clone(), columns[:n].clone()
        both = zip((own_backend, REFERENCE), states, strict=True)
        losses = [b.train(plan, s, own, weights, 2).losses for b, s in both]
        assert relative_error(*losses) < 1e-10


@pytest.mark.parametrize(("change", "n_terms", "again"), [(_replace, 1, 1), (_in_place, 1, 0), (_replace, 3, 0)])
def test_a_recorded_graph_of_points_that_moved_is_recorded_anew(
    direct: TritonBackend, device: torch.device, change: Callable[[Tensor], None], n_terms: int, again: int
) -> None:
    """It knows the address of before; of points that are copied side by side the address stays."""
    structure, theta, coefficients, terms, _ = make("laplace", (5, 3), 9)
    plan, made, capture = lower(structure.layers), list[int](), training.captured
    own = [replace(term, points=term.points.clone()) for term in moved([terms[0]] * n_terms, device)]
    state = AdamState(theta.to(device), coefficients.to(device), 1e-2, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "captured", lambda work, at: made.append(1) or capture(work, at))
        direct.train(plan, state, own, some_weights(own), 2)
        first = len(made)
        change(own[0].points)
        for _ in range(2):
            direct.train(plan, state, own, some_weights(own), 2)
    assert (first, len(made)) == (1, 1 + again)


def test_points_that_do_not_lie_side_by_side(direct: TritonBackend, device: torch.device) -> None:
    """They are copied once, and no graph is made anew for it."""
    structure, theta, coefficients, terms, _ = make("laplace", (5, 3), 9)
    plan, made = lower(structure.layers), []
    spread = terms[0].points.repeat_interleave(2, 2).to(device)[:, :, ::2]
    own = [replace(moved(terms[:1], device)[0], points=spread)]
    state = AdamState(theta.to(device), coefficients.to(device), 1e-2, ())
    with pytest.MonkeyPatch.context() as patch:
        capture = training.captured
        patch.setattr(training, "captured", lambda work, at: made.append(1) or capture(work, at))
        for _ in range(3):
            direct.train(plan, state, own, some_weights(own), 2)
    assert len(made) == 1


def test_parts_of_a_jacobian_begin_at_even_places(
    backend: OnDevice, direct: TritonBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    structure, theta, coefficients, terms, _ = make("burgers with unknown nu", (5, 3), 100)
    plan, term = lower(structure.layers), terms[0]
    backend.residual_jacobian(plan, theta, coefficients, term)
    row = next(made.row for key, made in direct._prepared.items() if key[0] == "kernel")
    monkeypatch.setattr(triton_backend, "JACOBIAN_NUMBERS", 55 * row)
    sizes: list[int] = []
    launch = PointKernel.__call__

    def watched(self: PointKernel, *arguments: Any, **named: Any) -> None:
        sizes.append(arguments[7][0][2])
        launch(self, *arguments, **named)

    monkeypatch.setattr(PointKernel, "__call__", watched)
    found = backend.residual_jacobian(plan, theta, coefficients, term)
    expected = REFERENCE.residual_jacobian(plan, theta, coefficients, term)
    assert all(relative_error(a, b) < 1e-10 for a, b in zip(found, expected, strict=True))
    assert len(sizes) > 1
    assert [size % 16 for size in sizes[:-1]] == [0] * (len(sizes) - 1)


def test_one_capture_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each begins with waiting for the device, which is an error while another thread captures."""
    inside: list[int] = []
    most: list[int] = []

    @contextmanager
    def graph(*_: Any, **__: Any) -> Iterator[None]:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        yield
        inside.pop()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: None))
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    gpu = torch.device("cuda", 0)
    threads = [threading.Thread(target=training.captured, args=(lambda: None, gpu)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4

    def failing() -> None:
        raise ValueError("not to be captured")

    with pytest.raises(ValueError, match="not to be captured"):
        training.captured(failing, gpu)
    training.captured(lambda: None, gpu)  # what failed lets others capture


def test_training_is_no_part_of_a_users_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    for is_capturing in (True, False):
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda found=is_capturing: found)
        training.check_no_capture(cpu)
        if is_capturing:
            with pytest.raises(
                InputError, match=r"train: it records CUDA graphs itself.*outside of torch\.cuda\.graph"
            ):
                training.check_no_capture(gpu)
        else:
            training.check_no_capture(gpu)


def test_compiled_code_keeps_the_operators_out_of_graphs() -> None:
    import psinn_fast.networks.operators

    assert psinn_fast.networks.operators is not None
    for name in ("jets", "jets_backward"):
        assert torch.Tag.cudagraph_unsafe in getattr(torch.ops.psinn_fast, name).default.tags
