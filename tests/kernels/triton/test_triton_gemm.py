"""Wide networks on a GPU: torch's products, generated kernels between them, steps that a CUDA graph can record."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import sympy as sp
import torch
from cases import CASES, make, points, some_weights
from helpers import relative_error
from on_device import ON_GPU, OnDevice, moved, moved_state
from torch.utils._python_dispatch import TorchDispatchMode

from psinn_fast.domains import Box
from psinn_fast.kernels.contract import AdamState, Term, registry
from psinn_fast.kernels.contract.registry import WithFallback
from psinn_fast.kernels.contract.sums import batches
from psinn_fast.kernels.errors import BackendLimit, say_once
from psinn_fast.kernels.language.activations import ACTIVATIONS, TANH
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference import activation_jet
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton import gemm, training
from psinn_fast.kernels.triton.ahead import check_fused
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.gemm import GemmBackend, GemmPoints
from psinn_fast.kernels.triton.pointwise import GENERATED, block_of, source
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure
from psinn_fast.problem.conditions import Residual
from psinn_fast.problem.pde import PDE
from psinn_fast.problem.problem import Problem

REFERENCE = ReferenceBackend()
Given = tuple[Plan, AdamState, list[Term]]


@pytest.fixture
def direct() -> GemmBackend:
    return GemmBackend()


@pytest.fixture
def backend(direct: GemmBackend, device: torch.device) -> OnDevice:
    return OnDevice(direct, device)


def given(case: str = "burgers with unknown nu", hidden: tuple[int, ...] = (7, 5, 6), n: int = 37) -> Given:
    structure, theta, coefficients, terms, _ = make(case, hidden, n)
    return lower(structure.layers), AdamState(theta, coefficients, 3e-2, (4, 9), gamma=0.3), terms


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("kinds", [((0,),), ((2, 2), (1, 3), (4, 0)), ((1, 1), "laplacian")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chain_rule(name: str, kinds: tuple[object, ...], dtype: torch.dtype, device: torch.device) -> None:
    """Both kernels against the reference's, for all channels and for the last alone."""
    activation = ACTIVATIONS[name]
    d = 1 if kinds == ((0,),) else 2
    channels = ChannelSet.closure(d, [Laplacian((0, 1)) if kind == "laplacian" else kind for kind in kinds])
    generator = torch.Generator().manual_seed(3)
    for first in {0, len(channels) - 1}:
        z = torch.randn(len(channels), 19, 13, generator=generator, dtype=torch.float64)
        h_bar = torch.randn(len(channels) - first, 19, 13, generator=generator, dtype=torch.float64)
        h, saved = activation_jet.jet(z, activation, channels, first)
        z_bar = activation_jet.adjoint(z, saved, h_bar, activation, channels, first)
        own, own_bar = z.to(device, dtype), h_bar.to(device, dtype)
        own_h, kept = GENERATED.jet(own, activation, channels, first)
        bound = 1e-13 if dtype == torch.float64 else 3e-6
        assert relative_error(own_h.cpu(), h) < bound
        assert relative_error(GENERATED.adjoint(own, kept, own_bar, activation, channels, first).cpu(), z_bar) < bound


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients(backend: OnDevice, case: str) -> None:
    for hidden in ((), (6,), (5, 8, 3)):
        plan, own, terms = given(case, hidden)
        arguments = plan, own.theta, own.coefficients, terms, some_weights(terms)
        found, right = (b.loss_and_gradient(*arguments, Regularizer("l2", 1e-2)) for b in (backend, REFERENCE))
        for ours, theirs in zip(found, right, strict=True):
            assert relative_error(ours, theirs) < 1e-12 if theirs.numel() else not ours.numel()


@pytest.mark.parametrize("kind", [None, "l2", "growl"])
def test_steps(backend: OnDevice, kind: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs and what is left, in chunks of points; weights and points change between calls."""
    monkeypatch.setattr(GemmPoints, "graph_steps", 2)
    monkeypatch.setattr(gemm, "NUMBERS", 5 * 7 * 11)
    plan, ours, terms = given(n=21)
    _, theirs, _ = given(n=21)
    for call in range(2):
        terms[0].points.mul_(0.9)
        weights = some_weights(terms) * (1 + call)
        own = Regularizer(kind, 1e-3) if kind else None
        losses = [b.train(plan, s, terms, weights, 4, own).losses for b, s in ((backend, ours), (REFERENCE, theirs))]
        assert relative_error(*losses) < 1e-10
        for name in ("theta", "coefficients", "first_moment", "second_moment"):
            assert relative_error(getattr(ours, name), getattr(theirs, name)) < 1e-10
    assert ours.step == 8


def test_a_tied_network(backend: OnDevice) -> None:
    structure = published_structure("laplace").with_width(3)
    _, _, coefficients, terms, _ = make("laplace", (5,), 21)
    plan = lower(structure.layers)
    theta = torch.linspace(-1, 1, structure.n_parameters, dtype=torch.float64)
    states = [AdamState(theta.clone(), coefficients.clone(), 1e-2) for _ in range(2)]
    for b, state in zip((backend, REFERENCE), states, strict=True):
        b.train(plan, state, terms, some_weights(terms), 5)
    assert relative_error(states[0].theta, states[1].theta) < 1e-11


def test_failure(backend: OnDevice) -> None:
    """A loss that overflows: where training stops, and the weights before it."""
    reports, states = [], []
    for b in (backend, REFERENCE):
        plan, state, terms = given()
        state.lr = 1e200
        reports.append(b.train(plan, state, terms, some_weights(terms), 30))
        states.append(state)
    found, right = reports
    assert found.failure == right.failure is not None
    assert found.losses.shape == right.losses.shape
    assert relative_error(states[0].theta, states[1].theta) < 1e-12


class Watched(TorchDispatchMode):
    """Names of torch's operations."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.skipif(ON_GPU, reason="there recording itself would fail")
def test_a_graph_can_record_it(backend: OnDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes from the host or goes there, also in programs that compare with constants."""
    seen: set[str] = set()

    def watched(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
        with Watched() as watching:
            work()
        seen.update(watching.seen)
        return work

    monkeypatch.setattr(training, "captured", watched)
    box = Box(x=(-1, 1), y=(-1, 1))
    pde = PDE("x y", "u", lambda u, nu: sp.Max(u, sp.Float(0.3)) * u.xx + nu * sp.Abs(u.y) + 2, unknown={"nu": 0.1})
    terms = Problem("constants", pde, box, [Residual(points(box, 20, 1))]).terms(torch.float64)
    plan, state, _ = given("laplace")
    state = AdamState(state.theta, torch.tensor([0.1], dtype=torch.float64), 1e-3)
    backend.train(plan, state, terms, some_weights(terms), 3, Regularizer("l2", 1e-3))
    assert "mm" in seen
    assert not seen & {"_local_scalar_dense", "lift_fresh", "lift_fresh_copy", "item", "nonzero", "is_nonzero"}


def test_what_is_kept_goes_with_the_plan(direct: GemmBackend, device: torch.device) -> None:
    plan, own, terms = given()
    terms, own = moved(terms, device), moved_state(own, device)
    direct.train(plan, own, terms, some_weights(terms), 2)
    assert direct._prepared
    del plan, terms
    gc.collect()
    assert not direct._prepared


def test_automatic_choice(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too wide for the fused kernel trains by this one, with one warning; results say so."""
    monkeypatch.setattr(TritonBackend, "widest", 6)
    engine = WithFallback(TritonBackend(), GemmBackend())
    plan, own, terms = given()
    terms, own = moved(terms, device), moved_state(own, device)
    say_once.cache_clear()
    with pytest.warns(RuntimeWarning, match="'triton' is not used, but 'gemm': .* up to 6 wide, got 7"):
        engine.train(plan, own, terms, some_weights(terms), 2)
    assert registry.at_work(engine) == "gemm"
    assert registry.products_at_work(engine, [torch.float32], device) == "ieee"
    assert [*registry.BACKENDS][:2] == ["triton", "gemm"]


def test_where_the_fused_kernel_would_be_slower(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is passed over without a word, if it is not all there is, or asked for by name."""
    monkeypatch.setattr(TritonBackend, "best_width", 6)
    plan, own, terms = given()
    terms, own = moved(terms, device), moved_state(own, device)
    used = []
    for others in ([GemmBackend()], []):
        engine = WithFallback(TritonBackend(), *others)
        engine.loss_and_gradient(plan, own.theta, own.coefficients, terms, some_weights(terms))
        used += engine.used
    assert used == ["gemm", "triton"]
    if ON_GPU:
        assert registry.kernels_for(plan, terms[0].program.channels, torch.float32, device) is None


def test_sizes_of_programs() -> None:
    few, many = (ChannelSet.closure(3, [order]) for order in ((1, 0, 0), (2, 1, 1)))
    assert block_of(few) > block_of(many) >= 128
    assert source(TANH, few, 0).count("tl.load") == 3 * len(few)


def test_many_terms_stay_within_memory() -> None:
    """Of points that go through the network together there are never more than of one term alone."""
    plan, _, terms = given(n=21)
    many = [terms[k % len(terms)] for k in range(40)]
    for numbers in (1, 5 * 7 * 30, 5 * 7 * 100):
        found = batches(plan.composed, many, torch.ones(40, dtype=torch.float64), numbers)
        assert all(batch.x.shape[0] <= max(1, numbers // (len(batch.channels) * plan.widest)) for batch in found)
        seen = [index for batch in found for group in batch.groups for index, _ in group.spans]
        assert sorted(set(seen)) == list(range(40))


def test_what_is_not_compiled_ahead() -> None:
    """Networks that "auto" trains by this backend."""
    channels = [ChannelSet.closure(2, [(2, 0)])]
    for sizes, words in (
        ([2, 65, 1], "up to 64 wide .* got 65"),
        ([2, 129, 1], "up to 128 wide"),
        ([2] * 12, "up to 9"),
    ):
        plan = lower(Structure.dense(sizes).layers)
        with pytest.raises(BackendLimit, match=f"{words}.* Backend 'gemm' trains it"):
            check_fused(plan, channels, torch.float32)
    check_fused(lower(Structure.dense([2, 64, 1]).layers), channels, torch.float32)
