"""Kernels that are launched for the first time are announced to who asked: progress bars, and who counts them."""

from __future__ import annotations

import pytest
import torch
from helpers import random_points, random_theta
from layouts import CHANNELS
from on_device import ON_GPU
from small import small_laplace

import psinn_fast as pf
from psinn_fast import ahead
from psinn_fast.kernels.compiling import say_compiling, told_of_compiling
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.triton import point_kernel
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.networks.structure import Structure

pytestmark = pytest.mark.skipif(ON_GPU, reason="networks here are on the CPU")
TWO_STEPS = [pf.Adam(2)]


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_kernel, "_KNOWN", set())


def test_each_kernel_once(direct: TritonBackend, device: torch.device) -> None:
    said: list[int] = []
    with told_of_compiling(lambda: said.append(1)):
        for width, expected in ((3, 1), (3, 1), (5, 1), (17, 2)):  # 3 and 5 neurons are columns of one kernel
            structure = Structure.dense([2, width, 1])
            plan, theta = lower(structure.layers), random_theta(structure, 0).to(device)
            direct.jets(plan, theta, random_points(4, 2).to(device), CHANNELS)
            assert len(said) == expected
        direct.jets(plan, theta.float(), random_points(4, 2).float().to(device), CHANNELS)
        assert len(said) == 3


def test_whoever_asked_last_is_told() -> None:
    said: list[str] = []
    say_compiling()
    with told_of_compiling(lambda: said.append("outer")):
        with told_of_compiling(lambda: said.append("inner")):
            say_compiling()
            with told_of_compiling(None):
                say_compiling()
        say_compiling()
    say_compiling()
    assert said == ["inner", "inner", "outer"]


def test_ahead_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the steps given, by these kernels, of which those are counted that are new."""
    given: list[tuple[object, ...]] = []

    def solve(*arguments: object, options: pf.Options) -> None:
        given.append((*arguments, options.backend, options.precision, options.scaling, options.progress))
        with told_of_compiling(None):  # there is no bar
            say_compiling()
            say_compiling()

    monkeypatch.setattr(ahead, "solve", solve)
    monkeypatch.setattr(ahead, "check_compiler", lambda: None)  # the interpreter stands for it
    monkeypatch.setattr(ahead, "find_device", torch.device)
    problem, network = small_laplace(5), pf.Network("pinn", layers=[2, 4, 1], device="cuda")
    found = ahead.compile_kernels(problem, network, TWO_STEPS, "tf32x3", None)
    assert given == [(problem, network, TWO_STEPS, "triton", "tf32x3", None, False)]
    assert found.kernels == 2
    assert found.seconds > 0
