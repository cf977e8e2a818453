"""How many threads share a kind of work: as many as are quickest, whatever is computed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from cases import some_weights
from helpers import random_points
from layouts import CHANNELS, everything, problem
from torch import Tensor

from psinn_fast.kernels.contract import AdamState
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import loaded, torch_library, why_not

# A library that is loaded, and has no threads.
NOT_OPENMP = str(loaded().__file__) if why_not() is None else ""
pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def rounds(crew: Any, seconds: Callable[[int], float], number: int) -> list[int]:
    """The sizes that it takes for so many rounds, of so many seconds by size."""
    sizes = []
    for _ in range(number):
        sizes.append(crew.size())
        crew.took(sizes[-1], 3 * seconds(sizes[-1]), 3.0)
    return sizes


@pytest.mark.parametrize(("best", "most"), [(1, 1), (1, 2), (2, 2), (1, 3), (4, 16), (8, 16), (1, 16)])
def test_the_quickest_is_found(best: int, most: int) -> None:
    crew = loaded().Crew(most)
    sizes = rounds(crew, lambda size: 1 + abs(size - best), 200)
    assert sizes[0] == most
    assert set(sizes[-50:]) == {best}


def test_one_slow_round_is_no_reason() -> None:
    crew, slow = loaded().Crew(2), iter([9.0, 1.0, 1.0, 9.0, *[1.0] * 1000])
    assert rounds(crew, lambda size: next(slow) if size == 2 else 1.5, 100)[-1] == 2


def test_others_are_tried_seldom_and_taken_when_the_machine_has_changed() -> None:
    crew = loaded().Crew(2)
    rounds(crew, lambda size: float(size), 50)
    later = rounds(crew, lambda size: float(size), 20_000)
    # A hundredth of the time goes into trials, of which the better half would have been spent anyway.
    assert 0.002 < later.count(2) / len(later) < 0.012
    assert rounds(crew, lambda size: 1 / size, 3_000)[-1] == 2


def test_a_wrong_beginning_does_not_last() -> None:
    """New threads may share a core for a while: two are then as slow as one, or slower."""
    crew, new = loaded().Crew(2), iter([3.0] * 6)
    sizes = rounds(crew, lambda size: 1.0 if size == 1 else next(new, 0.55), 200)
    assert sizes[20] == 1
    assert sizes[-1] == 2


@pytest.fixture
def three_threads() -> Iterator[Callable[[bool], None]]:
    torch.set_num_threads(3)
    yield loaded().take_all_threads
    loaded().take_all_threads(False)


@pytest.fixture(params=["torch", "own"])
def threads_of(request: pytest.FixtureRequest) -> Iterator[str]:
    """Whose threads share what is no training: those of torch's OpenMP, or a team of our own."""
    if request.param == "own":
        loaded().borrow_openmp(NOT_OPENMP)
    elif not loaded().borrow_openmp(torch_library()):
        pytest.skip("torch has no OpenMP here")
    yield request.param
    loaded().borrow_openmp(torch_library())


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted by Linux")
def test_threads_are_those_of_torch(threads_of: str) -> None:
    """Others would wait for a core as long as torch's are spinning. Nobody else asks for seven."""
    plan, theta, coefficients, terms = problem(8191)
    torch.set_num_threads(7)
    loaded().take_all_threads(True)
    try:
        torch.ones(1 << 20).exp()  # here torch starts its own
        before = len(os.listdir("/proc/self/task"))
        CpuBackend().loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
        started = len(os.listdir("/proc/self/task")) - before
    finally:
        loaded().take_all_threads(False)
    assert started == (0 if threads_of == "torch" else 6)


def test_whoever_takes_a_lane_the_bits_are_the_same(
    backend: CpuBackend, three_threads: Callable[[bool], None], threads_of: str
) -> None:
    """A crew of three begins by trying three and one in turn."""
    plan, theta, coefficients, terms = problem(1019)
    x, grad = random_points(1019, 2), random_points(1019, len(CHANNELS))[:, :, None]

    def everything_now() -> list[Tensor]:
        return everything(backend, plan, theta, coefficients, terms, x, grad)

    three_threads(True)
    expected = everything_now()
    three_threads(False)
    for _ in range(14):
        assert all(torch.equal(a, b) for a, b in zip(everything_now(), expected, strict=True))


def test_training_is_the_same_whoever_takes_a_lane(backend: CpuBackend, three_threads: Callable[[bool], None]) -> None:
    plan, theta, coefficients, terms = problem(1019)

    def trained(steps: int) -> AdamState:
        state = AdamState(theta.clone(), coefficients.clone(), 1e-3)
        for _ in range(60 // steps):
            backend.train(plan, state, terms, some_weights(terms), steps)
        return state

    three_threads(True)
    expected = trained(60)
    three_threads(False)
    for steps in (1, 60):
        found = trained(steps)
        assert torch.equal(found.theta, expected.theta)
        assert torch.equal(found.second_moment, expected.second_moment)
