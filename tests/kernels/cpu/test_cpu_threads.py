"""Calls from several threads, thread counts, fork."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from cases import make, some_weights
from helpers import random_points, relative_error
from layouts import CHANNELS, everything, problem
from torch import Tensor

from psinn_fast.kernels.contract import AdamState
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.network.lowering.lowering import lower


def in_thread(threads: int, work: Callable[[], list[Tensor]]) -> list[Tensor]:
    torch.set_num_threads(threads)  # each Python thread has its own number
    return work()


def jobs(backend: CpuBackend, same_plan: bool) -> list[Callable[[], list[Tensor]]]:
    shared = make("two outputs", (16, 9), 301)

    def job(number: int) -> Callable[[], list[Tensor]]:
        hidden = (16, 9) if same_plan else (10 + number, 5)
        structure, theta, coefficients, terms, _ = shared if same_plan else make("two outputs", hidden, 301)
        plan = plans[0] if same_plan else lower(structure.layers)

        def work() -> list[Tensor]:
            results = []
            for _ in range(4):
                results += backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
                state = AdamState(theta.clone(), coefficients.clone(), 1e-2 * (1 + number))
                results.append(backend.train(plan, state, terms, some_weights(terms), 5).losses)
                results += backend.residual_jacobian(plan, theta, coefficients, terms[0], slice(0, 50))
            return results

        return work

    plans = [lower(shared[0].layers)]
    return [job(number) for number in range(3)]


@pytest.mark.parametrize("same_plan", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_calls_from_several_threads(backend: CpuBackend, same_plan: bool, threads: int) -> None:
    """The first use of the plans, too: it is then that they are packed."""
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda job: in_thread(threads, job), jobs(backend, same_plan)))
    alone = [in_thread(threads, job) for job in jobs(backend, same_plan)]
    for ours, expected in zip(together, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


def test_other_threads_run_meanwhile(backend: CpuBackend) -> None:
    """The interpreter's lock is not held during a long call."""
    plan, theta, coefficients, terms = problem(201)
    ticks, stop = [0], threading.Event()

    def tick() -> None:
        while not stop.wait(0.005):
            ticks[0] += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    backend.train(plan, AdamState(theta, coefficients, 1e-5), terms, some_weights(terms), 3000)
    stop.set()
    ticker.join()
    assert ticks[0] > 0


def test_thread_counts_agree(backend: CpuBackend) -> None:
    plan, theta, coefficients, terms = problem(1023)
    x, grad = random_points(1023, 2), random_points(1023, len(CHANNELS))[:, :, None]
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        first, second = (everything(backend, plan, theta, coefficients, terms, x, grad) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        results.append(first)
    for other in results[1:]:
        assert all(relative_error(a, b) < 1e-13 for a, b in zip(results[0], other, strict=True))
    assert not torch.equal(results[0][5], results[1][5])  # theta's gradient: there were two threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of threads: they are the point
def test_after_fork(backend: CpuBackend) -> None:
    """The child has none of its parent's threads, and starts its own."""
    torch.set_num_threads(2)
    plan, theta, coefficients, terms = problem(1023)
    expected = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(20)  # a child that hangs must not stay
            results = [
                backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms)) for _ in range(2)
            ]
            state = AdamState(theta.clone(), coefficients.clone(), 1e-3)
            trained = backend.train(plan, state, terms, some_weights(terms), 5).failure is None
            same = all(torch.equal(a, b) for result in results for a, b in zip(result, expected, strict=True))
            status = 0 if same and trained else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    again = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    assert all(torch.equal(a, b) for a, b in zip(again, expected, strict=True))
