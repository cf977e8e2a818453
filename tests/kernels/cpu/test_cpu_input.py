"""Layouts, bad and non-finite input, sizes."""

from __future__ import annotations

import sys

import pytest
import torch
from helpers import random_points, random_theta, relative_error
from layouts import (
    CHANNELS,
    problem,
)
from programs import run_program
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import why_not
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure

REFERENCE = ReferenceBackend()


needs_extension = pytest.mark.skipif(bool(why_not()), reason=str(why_not()))


def test_expanded_points(backend: CpuBackend) -> None:
    plan, theta, *_ = problem()
    x = random_points(1, 2)
    one = backend.jets(plan, theta, x, CHANNELS)
    assert torch.equal(backend.jets(plan, theta, x.expand(21, 2), CHANNELS), one.expand(21, -1, -1))


def test_a_single_point_with_a_pending_sign(backend: CpuBackend) -> None:
    """The imaginary part of a conjugate is contiguous where there is one number."""
    structure = Structure.dense([1, 3, 1])
    plan, theta, channels = lower(structure.layers), random_theta(structure, 0), ChannelSet.closure(1, [(1,)])
    x = torch.tensor([[1 + 2j]], dtype=torch.complex128).conj().imag
    assert x.is_contiguous()
    expected = backend.jets(plan, theta, torch.tensor([[-2.0]], dtype=torch.float64), channels)
    assert torch.equal(backend.jets(plan, theta, x, channels), expected)


def test_tensors_without_memory(backend: CpuBackend) -> None:
    """Their address is 0, or there is none."""
    plan, theta, *_ = problem()
    x = random_points(3, 2)

    def refused(x: Tensor) -> Tensor:
        with pytest.raises(InputError, match="expected a tensor with numbers in memory, got"):
            backend.jets(plan, theta, x, CHANNELS)
        return x.sum()

    torch.func.grad(refused)(x)
    torch.func.vmap(refused)(x[None])
    refused(torch._efficientzerotensor((3, 2), dtype=torch.float64))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        refused(mode.from_tensor(x))


# Non-finite numbers.


# Sizes.


def test_widest(backend: CpuBackend) -> None:
    x, channels = random_points(3, 1), ChannelSet.closure(1, [])
    widest, wider = (Structure.dense([1, width, 1]) for width in (CpuBackend.widest, CpuBackend.widest + 1))
    plan, theta = lower(widest.layers), random_theta(widest, 1)
    assert relative_error(backend.jets(plan, theta, x, channels), REFERENCE.jets(plan, theta, x, channels)) < 1e-12
    plan, theta = lower(wider.layers), random_theta(wider, 1)
    with pytest.raises(InputError, match="plan: backend 'cpu' takes layers up to 4096 wide, got 4097"):
        backend.jets(plan, theta, x, channels)
    with pytest.raises(InputError, match="plan: backend 'cpu' takes layers up to 4096 wide, got 4097"):
        backend.jets_backward(plan, theta, x, channels, random_points(3, 1)[:, :, None])


# In a process of its own: what goes wrong here takes the process with it. Prints "same" or the error's type.
LIMITS = """
import itertools, resource, sys
import torch
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.language.program import Adjoint, Jet, Program
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure

def attempt(name, call):
    try:
        print(name, call())
    except Exception as error:
        print(name, type(error).__name__, error)

def same(sizes, channels, n=9):
    structure = Structure.dense(sizes)
    plan, theta = lower(structure.layers), torch.linspace(-1, 1, structure.n_parameters, dtype=torch.float64)
    x = torch.linspace(-1, 1, n * sizes[0], dtype=torch.float64).view(n, -1)
    expected = ReferenceBackend().jets(plan, theta, x, channels)
    results = [CpuBackend(isa).jets(plan, theta, x, channels) for isa in instruction_sets()]
    return "same" if all(torch.allclose(r, expected, rtol=1e-9, atol=1e-9) for r in results) else "different"
"""
DEEP = """
for depth in (63, 64, 65, 100, 300):
    attempt(depth, lambda: same([2, *[3] * (depth - 1), 1], ChannelSet.closure(2, [Laplacian((0, 1))])))
"""
CHANNEL_SETS = """
fourth = [index for index in itertools.product(range(5), repeat=4) if sum(index) == 4]
laplacians = [Laplacian(axes) for k in range(1, 5) for axes in itertools.combinations(range(4), k)]
for extra in (0, 1, 15):
    attempt(70 + extra, lambda: same([4, 5, 4, 1], ChannelSet.closure(4, fourth + laplacians[:extra])))
"""
POINTS = """
backend = CpuBackend()
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, size + 2**30))
structure = Structure.dense([2, 3, 1])
plan, theta = lower(structure.layers), torch.ones(structure.n_parameters, dtype=torch.float64)
none, channels = torch.zeros(0, dtype=torch.float64), ChannelSet.closure(2, [])
program = Program(channels, 1, 0, (Jet(0, 0, 0), Adjoint(0)), (), 0, (0,), ((0, 1),))
for n in (2**31, 2**33, 2**45):
    x = torch.zeros(1, 2, dtype=torch.float64).expand(n, 2)
    term = Term("huge", program, x[None], torch.zeros(1, 0, dtype=torch.float64).expand(n, 0))
    attempt("jets", lambda: backend.jets(plan, theta, x, channels))
    grad = torch.zeros(1, 1, 1, dtype=torch.float64).expand(n, 1, 1)
    attempt("jets_backward", lambda: backend.jets_backward(plan, theta, x, channels, grad))
    attempt("loss", lambda: backend.loss_and_gradient(plan, theta, none, [term], theta[:1]))
    attempt("jacobian", lambda: backend.residual_jacobian(plan, theta, none, term))
"""


def run_limits(code: str) -> list[str]:
    result = run_program(LIMITS + code)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}\nexit status {result.returncode}"
    return result.stdout.splitlines()


@pytest.mark.parametrize("code", [DEEP, CHANNEL_SETS], ids=["depth", "channels"])
@needs_extension
def test_beyond_the_limits_is_right_or_refused(code: str) -> None:
    first, *others = run_limits(code)
    assert first.split()[1] == "same"
    assert all(line.split()[1] in ("same", "InputError", "BackendLimit") for line in others), others


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits memory")
@needs_extension
def test_absurd_numbers_of_points_are_refused() -> None:
    """Before memory is asked for: views without storage ask for nothing themselves."""
    lines = run_limits(POINTS)
    assert len(lines) == 12
    assert all(line.split()[1] == "InputError" for line in lines), lines


def test_plans_come_and_go(backend: CpuBackend) -> None:
    """Packed forms are kept by identity: a new plan or channel set at an old one's address gets its own."""
    x = random_points(3, 2)
    for k in range(60):
        structure = Structure.dense([2, 1 + k % 7, 1])
        plan, theta = lower(structure.layers), random_theta(structure, k)
        channels = ChannelSet.closure(2, [[(1, 0)], [(0, 2)], [Laplacian((0, 1))]][k % 3])
        assert relative_error(backend.jets(plan, theta, x, channels), REFERENCE.jets(plan, theta, x, channels)) < 1e-12
