"""Layouts, bad and non-finite input, sizes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from cases import make, some_weights
from helpers import negated, random_points, random_theta, relative_error
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from psinn_fast.kernels.contract import AdamState, Term
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import why_not
from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

REFERENCE = ReferenceBackend()
CHANNELS = ChannelSet.closure(2, [(1, 1), (0, 2)])


needs_extension = pytest.mark.skipif(bool(why_not()), reason=str(why_not()))


def problem(n: int = 37, dtype: torch.dtype = torch.float64) -> tuple[Plan, Tensor, Tensor, list[Term]]:
    structure, theta, coefficients, terms, _ = make("burgers with unknown nu", (9, 5), n, dtype)
    return lower(structure.layers), theta, coefficients, terms


def everything(
    backend, plan: Plan, theta: Tensor, coefficients: Tensor, terms: list[Term], x: Tensor, grad: Tensor
) -> list[Tensor]:
    """Results of all operations but `train`."""
    x_bar = backend.jets_backward(plan, theta, x, CHANNELS, grad, need_x=True)
    jacobians = [backend.residual_jacobian(plan, theta, coefficients, term) for term in terms]
    return [
        backend.jets(plan, theta, x, CHANNELS),
        *x_bar,
        *backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms), Regularizer("l2", 0.1)),
        *(part for pair in jacobians for part in pair),
    ]


def strided(t: Tensor) -> Tensor:
    return t.repeat_interleave(2, -1)[..., ::2]


def transposed(t: Tensor) -> Tensor:
    return t.mT.contiguous().mT if t.ndim > 1 else t


def within_another(t: Tensor) -> Tensor:
    """Contiguous, but not on any boundary."""
    return torch.cat([t.new_full((3,), torch.nan), t.flatten(), t.new_full((5,), torch.nan)])[3:-5].view(t.shape)


def reversed_twice(t: Tensor) -> Tensor:
    return t.flip(0).contiguous().flip(0)


def requiring_gradients(t: Tensor) -> Tensor:
    return t.clone().requires_grad_()


def with_history(t: Tensor) -> Tensor:
    return t.clone().requires_grad_() * 1


def parameter(t: Tensor) -> Tensor:
    return torch.nn.Parameter(t.clone())


class Labelled(Tensor):
    """A subclass as users make them."""


def labelled(t: Tensor) -> Tensor:
    return t.clone().as_subclass(Labelled)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "change",
    [
        strided, transposed, within_another, reversed_twice, negated, requiring_gradients, with_history, parameter,
        labelled,
    ],
)  # fmt: skip
def test_layouts(backend: CpuBackend, change: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    plan, theta, coefficients, terms = problem(dtype=dtype)
    x, grad = random_points(37, 2).to(dtype), random_points(37, len(CHANNELS)).to(dtype)[:, :, None]
    plain = everything(backend, plan, theta, coefficients, terms, x, grad)
    changed_terms = [Term(term.name, term.program, change(term.points), change(term.columns)) for term in terms]
    given = [change(theta), change(coefficients), changed_terms, change(x), change(grad)]
    before = [given[0].detach().clone(), given[3].detach().clone()]
    results = everything(backend, plan, *given)
    for a, b in zip(results, plain, strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad
        assert a.grad_fn is None
    assert torch.equal(given[0], before[0])
    assert torch.equal(given[3], before[1])


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


def test_inside_inference_mode(backend: CpuBackend) -> None:
    plan, theta, coefficients, terms = problem()
    x, grad = random_points(37, 2), random_points(37, len(CHANNELS))[:, :, None]
    plain = everything(backend, plan, theta, coefficients, terms, x, grad)
    with torch.inference_mode():
        inside = everything(backend, plan, theta, coefficients, terms, x, grad)
    assert all(torch.equal(a, b) for a, b in zip(inside, plain, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.complex64])
def test_other_types_of_numbers(backend: CpuBackend, dtype: torch.dtype) -> None:
    plan, theta, coefficients, terms = problem()
    x = random_points(5, 2)
    with pytest.raises(InputError, match=f"theta: expected float32 or float64, got {dtype}"):
        backend.jets(plan, theta.to(dtype), x.to(dtype), CHANNELS)
    with pytest.raises(InputError, match=f"theta: expected float32 or float64, got {dtype}"):
        backend.loss_and_gradient(plan, theta.to(dtype), coefficients, terms, some_weights(terms))
    with pytest.raises(InputError, match=f"x: expected torch.float64 like theta, got {dtype}"):
        backend.jets(plan, theta, x.to(dtype), CHANNELS)
    with pytest.raises(InputError, match=f"coefficients: expected torch.float64 like theta, got {dtype}"):
        backend.residual_jacobian(plan, theta, coefficients.to(dtype), terms[0])
    with pytest.raises(InputError, match=f"theta: expected float32 or float64, got {dtype}"):
        backend.train(plan, AdamState(theta.to(dtype), coefficients, 1e-3), terms, some_weights(terms), 1)


def test_other_devices(backend: CpuBackend) -> None:
    plan, theta, coefficients, terms = problem()
    meta, x = torch.device("meta"), random_points(5, 2)
    there = [Term(t.name, t.program, t.points.to(meta), t.columns.to(meta)) for t in terms]
    with pytest.raises(InputError, match="theta: backend 'cpu' needs tensors on the CPU, got meta"):
        backend.jets(plan, theta.to(meta), x.to(meta), CHANNELS)
    with pytest.raises(InputError, match="theta: backend 'cpu' needs tensors on the CPU, got meta"):
        backend.loss_and_gradient(plan, theta.to(meta), coefficients.to(meta), there, some_weights(there))
    with pytest.raises(InputError, match="theta: backend 'cpu' needs tensors on the CPU, got meta"):
        backend.train(plan, AdamState(theta.to(meta), coefficients.to(meta), 1e-3), there, some_weights(there), 1)
    with pytest.raises(InputError, match="term 'residual': points: expected device cpu like theta, got meta"):
        backend.loss_and_gradient(plan, theta, coefficients, there, some_weights(there))
    with pytest.raises(InputError, match="grad: expected device cpu like theta, got meta"):
        backend.jets_backward(plan, theta, x, CHANNELS, torch.empty(5, len(CHANNELS), 1, device=meta).double())


# Non-finite numbers.


def same_kind(ours: Tensor, theirs: Tensor) -> None:
    """Finite in the same places, and there equal. (NaN or infinity: the order of operations decides.)"""
    finite = theirs.isfinite()
    assert torch.equal(ours.isfinite(), finite)
    assert relative_error(ours[finite], theirs[finite], floor=1e-2) < 1e-12


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("row", [0, 20, 36])
def test_bad_points_spoil_their_own_rows(backend: CpuBackend, value: float, row: int) -> None:
    """The last point is also what fills up its vector; nothing of it must reach others."""
    plan, theta, coefficients, terms = problem()
    x, grad = random_points(37, 2), random_points(37, len(CHANNELS))[:, :, None]
    x[row, 1] = value
    jets = backend.jets(plan, theta, x, CHANNELS)
    same_kind(jets, REFERENCE.jets(plan, theta, x, CHANNELS))
    good = torch.arange(37) != row
    assert jets[good].isfinite().all()
    if value != value:
        assert jets[row].isnan().all()
    theta_bar, x_bar = backend.jets_backward(plan, theta, x, CHANNELS, grad, need_x=True)
    assert not theta_bar.isfinite().all()
    assert x_bar is not None
    assert x_bar[good].isfinite().all()

    terms[0].points[0, row, 1] = value
    ours, theirs = (b.residual_jacobian(plan, theta, coefficients, terms[0]) for b in (backend, REFERENCE))
    same_kind(ours[0], theirs[0])
    assert ours[1][good].isfinite().all()
    assert relative_error(ours[1][good], theirs[1][good]) < 1e-12
    result = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    assert not result.theta.isfinite().all()
    if value != value:
        assert result.losses.isnan().tolist() == [True, False, False]
        assert result.coefficients.isnan().all()
        assert ours[1][row].isnan().any()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_bad_gradients_targets_and_coefficients(backend: CpuBackend, value: float) -> None:
    plan, theta, coefficients, terms = problem()
    x, grad = random_points(37, 2), random_points(37, len(CHANNELS))[:, :, None]
    grad[36, 2] = value
    theta_bar, x_bar = backend.jets_backward(plan, theta, x, CHANNELS, grad, need_x=True)
    assert not theta_bar.isfinite().all()
    assert x_bar is not None
    assert x_bar.isfinite().all(1).sum() == 36

    terms[1].columns[36, 0] = value
    result = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    assert result.losses.isfinite().tolist() == [True, False, True]
    assert not result.theta.isfinite().all()
    assert backend.residual_jacobian(plan, theta, coefficients, terms[1])[0].isfinite().sum() == 36
    *_, good_terms = problem()
    result = backend.loss_and_gradient(plan, theta, coefficients * value, good_terms, some_weights(good_terms))
    assert result.losses.isfinite().tolist() == [False, True, True]


@pytest.mark.parametrize("tied", [False, True])
def test_bad_weights(backend: CpuBackend, tied: bool) -> None:
    """Each parameter in turn: a NaN shows wherever the parameter has an effect."""
    structure = published_structure("laplace").with_width(2) if tied else Structure.dense([2, 3, 2, 1])
    plan, x = lower(structure.layers), random_points(19, 2)
    grad = torch.ones(19, len(CHANNELS), 1, dtype=torch.float64)
    *_, terms, _ = make("laplace", (1,), 19)
    none = torch.zeros(0, dtype=torch.float64)
    for k in range(structure.n_parameters):
        theta = random_theta(structure, 1)
        theta[k] = torch.nan
        assert backend.jets(plan, theta, x, CHANNELS)[:, 0].isnan().all()
        if k != structure.n_parameters - 1:  # the output's bias is in no derivative
            assert backend.jets_backward(plan, theta, x, CHANNELS, grad)[0].isnan().any()
        result = backend.loss_and_gradient(plan, theta, none, terms, some_weights(terms), Regularizer("l1", 0.1))
        assert result.losses[1].isnan()
        assert backend.residual_jacobian(plan, theta, none, terms[1])[0].isnan().all()
        is_weight = any(part.start <= k < part.stop for part in plan.weight_slices)
        assert bool(result.penalty.isnan()) == is_weight


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
    result = subprocess.run(
        [sys.executable, "-c", LIMITS + code], capture_output=True, text=True, timeout=60, check=False
    )
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
