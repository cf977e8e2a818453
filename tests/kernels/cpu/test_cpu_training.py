"""`train` in C++: the tests of the reference backend again, its steps, its failures, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch
from adam_case import STRUCTURE, tensors
from cases import make, some_weights
from helpers import relative_error

from psinn_fast.kernels.contract import AdamState, Term
from psinn_fast.kernels.cpu import backend as cpu_backend
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend

REFERENCE = ReferenceBackend()
# Tied, with an unknown coefficient: what the tests of the contract train.
TIED = lower(STRUCTURE.layers)


def dense(n: int = 37, dtype: torch.dtype = torch.float64) -> tuple[Plan, AdamState, list[Term]]:
    structure, theta, coefficients, own_terms, _ = make("two outputs", (16, 9), n, dtype)
    return lower(structure.layers), AdamState(theta, coefficients, 3e-2, (4, 9), gamma=0.3), own_terms


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits(backend: CpuBackend, dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again, in two calls, and with a look at signals after every step."""
    torch.set_num_threads(threads)
    plan, once, own_terms = dense(401, dtype)
    losses = backend.train(plan, once, own_terms, some_weights(own_terms), 7).losses
    _, again, _ = dense(401, dtype)
    assert torch.equal(backend.train(plan, again, own_terms, some_weights(own_terms), 7).losses, losses)
    _, sliced, _ = dense(401, dtype)
    parts = [backend.train(plan, sliced, own_terms, some_weights(own_terms), k).losses for k in (3, 4)]
    assert torch.equal(torch.cat(parts), losses)
    monkeypatch.setattr(cpu_backend, "SLICE_SECONDS", 0.0)
    _, stepwise, _ = dense(401, dtype)
    assert torch.equal(backend.train(plan, stepwise, own_terms, some_weights(own_terms), 7).losses, losses)
    for other in (again, sliced, stepwise):
        assert all(torch.equal(a, b) for a, b in zip(tensors(other), tensors(once), strict=True))


@pytest.mark.trajectory
def test_two_threads_give_nearly_the_same(backend: CpuBackend) -> None:
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        plan, own, own_terms = dense(1023)
        results.append((backend.train(plan, own, own_terms, some_weights(own_terms), 7).losses, *tensors(own)))
    assert all(relative_error(a, b) < 1e-11 for a, b in zip(*results, strict=True))
    assert not torch.equal(results[0][1], results[1][1])  # there were two


@pytest.mark.trajectory
@pytest.mark.parametrize("threads", [1, 2])
def test_failure_goes_back_to_the_last_good_step(backend: CpuBackend, threads: int) -> None:
    """Weights that overflow after some steps: everything stops at once, with all threads."""
    torch.set_num_threads(threads)
    plan, own, own_terms = dense(401)
    backend.train(plan, own, own_terms, some_weights(own_terms), 5)
    own.lr = 1e160
    report = backend.train(plan, own, own_terms, some_weights(own_terms), 10)
    assert report.failure is not None
    assert len(report.losses) == 1
    assert torch.isfinite(report.losses).all()
    _, expected, _ = dense(401)
    backend.train(plan, expected, own_terms, some_weights(own_terms), 5)
    assert own.step == 5
    assert all(torch.equal(a, b) for a, b in zip(tensors(own), tensors(expected), strict=True))


def interrupt(backend: CpuBackend, plan: Plan, own: AdamState, own_terms: list[Term], after: float) -> float:
    """Ctrl-C during a training that would take a minute; gives the seconds until it was heard."""
    sent: list[float] = []

    def send() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after, send)
    # A shell's background jobs are started with SIGINT ignored.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            backend.train(plan, own, own_terms, some_weights(own_terms), 1_000_000)
        return time.monotonic() - sent[0]
    finally:
        timer.cancel()  # where training ended by itself, the signal must not reach pytest
        signal.signal(signal.SIGINT, previous)


def test_training_can_be_interrupted(backend: CpuBackend) -> None:
    structure, theta, coefficients, own_terms, _ = make("laplace", (16, 16), 201)
    own = AdamState(theta.clone(), coefficients, 1e-3)
    assert interrupt(backend, lower(structure.layers), own, own_terms, 0.1) < 1
    assert all(torch.isfinite(tensor).all() for tensor in tensors(own))
    assert not torch.equal(own.theta, theta)


def test_an_interrupted_state_knows_its_step(backend: CpuBackend) -> None:
    """It can go on: Adam's bias correction and the milestones count steps."""
    structure, theta, coefficients, own_terms, _ = make("laplace", (16, 16), 201)
    plan = lower(structure.layers)
    own, expected = (AdamState(theta.clone(), coefficients.clone(), 1e-3) for _ in range(2))
    interrupt(backend, plan, own, own_terms, 0.1)
    assert own.step > 0
    backend.train(plan, expected, own_terms, some_weights(own_terms), own.step)
    assert all(torch.equal(a, b) for a, b in zip(tensors(own), tensors(expected), strict=True))
