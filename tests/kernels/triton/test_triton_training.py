"""`train` in Triton: the tests of the reference backend again, its steps, its failures, launches and graphs."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import torch
from adam_case import STRUCTURE, tensors
from cases import make, some_weights
from helpers import relative_error
from on_device import ON_GPU, OnDevice, moved, moved_state
from torch.utils._python_dispatch import TorchDispatchMode
from triton.runtime.jit import KernelInterface

from psinn_fast.kernels.contract import AdamState, Term
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton import training
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.fused_points import FusedPoints
from psinn_fast.kernels.triton.rates import step_rates

REFERENCE = ReferenceBackend()
TIED = lower(STRUCTURE.layers)
# The first kernel of a step on `dense`: its layers as they are padded, and the derivatives in Burgers' equation.
FIRST = "psinn_loss_2_16_16_1_d0_d1_d11"


@pytest.fixture(scope="module")
def backend(wide: OnDevice) -> OnDevice:
    return wide


def dense(n: int = 37, dtype: torch.dtype = torch.float64) -> tuple[Plan, AdamState, list[Term]]:
    structure, theta, coefficients, own_terms, _ = make("burgers with unknown nu", (7, 5), n, dtype)
    return lower(structure.layers), AdamState(theta, coefficients, 3e-2, (4, 9), gamma=0.3), own_terms


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_bits(direct: TritonBackend, device: torch.device, dtype: torch.dtype) -> None:
    """Again, in two calls, and by another backend of its own."""
    found = []
    another = TritonBackend(configuration=direct._configuration)
    for b, slices in ((direct, (5,)), (direct, (1, 0, 3, 1)), (another, (5,))):
        plan, own, own_terms = dense(40, dtype)
        own, own_terms = moved_state(own, device), moved(own_terms, device)
        found.append(
            (
                torch.cat([b.train(plan, own, own_terms, some_weights(own_terms), k).losses for k in slices]),
                *tensors(own),
            )
        )
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, found[0], strict=True))


def test_failure_far_from_a_look_at_the_device(
    backend: OnDevice, launches: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several steps are under way when one of them fails: they change nothing, and no more follow."""
    monkeypatch.setattr(FusedPoints, "graph_steps", 6)
    plan, own, own_terms = dense()
    backend.train(plan, own, own_terms, some_weights(own_terms), 5)
    expected = tensors(own)
    own.lr = 1e160
    report = backend.train(plan, own, own_terms, some_weights(own_terms), 1000)
    assert ON_GPU or launches["adam"] < 5 + 200
    assert report.failure is not None
    assert report.losses.shape[0] == 1
    assert own.step == 5
    assert all(torch.equal(a, b) for a, b in zip(tensors(own), expected, strict=True))


# Launches, graphs and the host.


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Names of the kernels that are launched."""
    counted: Counter[str] = Counter()
    launch = KernelInterface.__getitem__

    def counting(kernel: KernelInterface, grid: tuple[int, ...]) -> Callable[..., object]:
        counted[kernel.__name__] += 1
        return launch(kernel, grid)

    monkeypatch.setattr(KernelInterface, "__getitem__", counting)
    return counted


@pytest.mark.skipif(ON_GPU, reason="a graph's launches are not seen from outside")
@pytest.mark.parametrize(("steps", "kind"), [(1, None), (4, None), (17, None), (4, "l2"), (4, "l1")])
def test_two_launches_a_step(
    backend: OnDevice, launches: Counter[str], steps: int, kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a PDE with three terms and three programs; the first step by itself, then whole graphs and what is left."""
    monkeypatch.setattr(FusedPoints, "graph_steps", 6)
    plan, own, own_terms = dense(3)
    backend.train(plan, own, own_terms, some_weights(own_terms), steps, Regularizer(kind, 1e-3) if kind else None)
    assert launches == {FIRST: steps, "adam": steps}


VIEWS = ("slice", "detach", "alias", "view", "select", "split_with_sizes")


class Operations(TorchDispatchMode):
    """Names of torch's operations, some views left out."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ not in ("slice", "detach", "alias"):
            self.seen.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_nothing_waits_within_a_slice(backend: OnDevice, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are launches and nothing else: no number comes to the host between two looks at the device."""
    graphs: list[list[str]] = []
    replayed: list[int] = []

    def fake(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
        """What a capture would record, without running it."""
        launched: list[str] = []
        with pytest.MonkeyPatch.context() as patch, Operations() as operations:
            patch.setattr(
                KernelInterface, "__getitem__", lambda kernel, grid: lambda *a, **k: launched.append(kernel.__name__)
            )
            work()
        assert operations.seen == []
        graphs.append(launched)
        return lambda: replayed.append(len(launched) // 2)

    monkeypatch.setattr(training, "captured", fake)
    looks: list[int] = []
    monkeypatch.setattr(training.StepKernels, "_look", lambda self: looks.append(sum(replayed)) or [0, -1, 0, 0])
    plan, own, own_terms = dense(3)
    backend.train(plan, own, own_terms, some_weights(own_terms), 1 + 3 * FusedPoints.graph_steps + 2)
    size = FusedPoints.graph_steps
    assert graphs == [[FIRST, "adam"] * size, [FIRST, "adam"]]
    assert replayed == [size] * 3 + [1, 1]
    assert looks[-1] == 3 * size + 2
    assert len(looks) <= 4  # of slices, and of what is kept in the end
    # The second call finds the graphs of the first.
    backend.train(plan, own, own_terms, some_weights(own_terms), size + 1)
    assert len(graphs) == 2
    assert sum(replayed) == 4 * size + 3
    # A regulariser has graphs of its own, as has a longer history, whose buffer is another.
    backend.train(plan, own, own_terms, some_weights(own_terms), 2 * training.LEAST_ROOM)
    assert len(graphs) == 4


def test_calls_that_follow_one_another_send_no_numbers(
    direct: TritonBackend, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history asks for hundreds of calls: each waits for the device twice, when its work is done, and to read losses.

    Steps are pretended: what is counted is what is done around them.
    """

    def step(self: training.StepKernels, regularizer: Regularizer | None) -> None:
        self.state.numpy()[[0, 2]] += 1

    waits: Counter[str] = Counter()

    def counted(own: Callable[..., object]) -> Callable[..., object]:
        return lambda *arguments: waits.update([own.__name__]) or own(*arguments)

    for own_way in (training.sent, training.read):
        monkeypatch.setattr(training, own_way.__name__, counted(own_way))
    monkeypatch.setattr(training, "captured", lambda work, device: work)
    monkeypatch.setattr(training.StepKernels, "_step", step)
    plan, own, own_terms = dense(3, torch.float32)
    own, own_terms = moved_state(own, device), moved(own_terms, device)
    weights, calls, size = some_weights(own_terms), 100, FusedPoints.graph_steps
    for _ in range(calls):
        with Operations() as operations:
            direct.train(plan, own, own_terms, weights, size)
    windows = -(-calls * size // training.LEAST_ROOM)
    assert own.step == calls * size
    # Rates and counters with each window, settings once; of no call but these.
    assert waits == {"read": 2 * calls, "sent": 2 * windows + 1}
    assert Counter(operations.seen)["_to_copy"] == 2
    assert not {"_local_scalar_dense", "lift_fresh", "item", "nonzero"} & set(operations.seen)
    # Points and columns of three terms, weights, tiles, state and good state; there and back.
    assert len([name for name in operations.seen if name not in VIEWS]) <= 20


@pytest.mark.parametrize("milestones", [(), (3, 40), (40, 3)])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.99999, 0.9)])
@pytest.mark.parametrize("step", [0, 39, 36_990])
def test_rates_of_many_steps(milestones: tuple[int, ...], betas: tuple[float, float], step: int) -> None:
    own = AdamState(torch.zeros(1), torch.zeros(0), 3e-3, milestones, 0.3, betas, step=step)
    own.first_moment = own.second_moment = torch.zeros(1)
    found = step_rates(own, 400)
    for row in found.tolist():
        rate = own.learning_rate()
        own.step += 1
        assert row == [rate / (1 - betas[0] ** own.step), 1 / (1 - betas[1] ** own.step)]


def test_rates_that_no_step_reaches() -> None:
    own = AdamState(torch.zeros(1), torch.zeros(0), 1.0, (5, 9), gamma=1e200)
    assert step_rates(own, 12)[:, 0].tolist()[9:] == [math.inf] * 3


def test_another_state_and_another_rate_between_two_calls(backend: OnDevice) -> None:
    """What the device remembers is that of the call before: whatever is new is sent."""
    plan, own, own_terms = dense()
    _, other, _ = dense()
    own_2, other_2 = dense()[1], dense()[1]
    other.lr = other_2.lr = 1e-3
    weights = some_weights(own_terms)
    for k in range(2):
        for state, expected in ((own, own_2), (other, other_2)):
            state.lr = expected.lr = state.lr * (1.5 if k else 1)
            losses = backend.train(plan, state, own_terms, weights, 2).losses
            backend.loss_and_gradient(plan, state.theta, state.coefficients, own_terms, weights)
            assert relative_error(losses, REFERENCE.train(plan, expected, own_terms, weights, 2).losses) < 1e-10
            assert relative_error(state.theta, expected.theta) < 1e-10
    own.theta.data.mul_(1.1)
    own_2.theta.data.mul_(1.1)
    for b, state in ((backend, own), (REFERENCE, own_2)):
        b.train(plan, state, own_terms, weights, 2)
    assert relative_error(own.theta, own_2.theta) < 1e-10


def test_regularizers_are_part_of_the_graph(backend: OnDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of L1 and L2 nothing runs in torch, of GrOWL nothing that waits for a number."""
    seen: list[str] = []
    captured = training.captured

    def watched(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
        with Operations() as operations:
            work()
        seen.extend(operations.seen)
        return captured(work, device)

    monkeypatch.setattr(training, "captured", watched)
    by_kind: dict[str | None, set[str]] = {}
    for kind in (None, "l2", "l1", "growl"):
        seen.clear()
        plan, own, own_terms = dense(3)
        backend.train(plan, own, own_terms, some_weights(own_terms), 3, Regularizer(kind, 1e-3) if kind else None)
        by_kind[kind] = set(seen)
    # The interpreter has operations of its own.
    assert by_kind["l2"] == by_kind["l1"] == by_kind[None]
    assert "zero_" in by_kind["growl"] - by_kind[None]
    assert not {"_local_scalar_dense", "_to_copy", "nonzero", "item"} & by_kind["growl"]


@pytest.mark.parametrize("stop", [1, 2, 5, 6])
def test_an_interrupted_state_knows_its_step(
    backend: OnDevice, launches: Counter[str], monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Ctrl-C before any launch, also between the two of a step: what is left is the last whole step."""
    plan, own, own_terms = dense()
    launch = KernelInterface.__getitem__

    def interrupting(kernel: KernelInterface, grid: tuple[int, ...]) -> Callable[..., object]:
        if sum(launches.values()) == stop:
            raise KeyboardInterrupt
        return launch(kernel, grid)

    with monkeypatch.context() as patch:
        # Replays of a graph are not launches that could be stopped.
        patch.setattr(training, "captured", lambda work, device: work)
        patch.setattr(KernelInterface, "__getitem__", interrupting)
        with pytest.raises(KeyboardInterrupt):
            backend.train(plan, own, own_terms, some_weights(own_terms), 20)
    assert own.step == stop // 2
    _, expected, _ = dense()
    backend.train(plan, expected, own_terms, some_weights(own_terms), own.step)
    assert all(torch.equal(a, b) for a, b in zip(tensors(own), tensors(expected), strict=True))
    for s in (own, expected):
        backend.train(plan, s, own_terms, some_weights(own_terms), 3)
    assert all(torch.equal(a, b) for a, b in zip(tensors(own), tensors(expected), strict=True))


def test_weights_changed_between_calls(backend: OnDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read from the device's memory: no kernel, buffer or graph is made anew."""
    made: list[int] = []
    capture = training.captured
    monkeypatch.setattr(training, "captured", lambda work, device: made.append(1) or capture(work, device))
    plan, ours, own_terms = dense()
    _, theirs, _ = dense()
    for number in range(4):
        weights = some_weights(own_terms)
        weights[1] = 0.0 if number == 2 else 10.0**number
        losses = [b.train(plan, s, own_terms, weights, 4).losses for b, s in ((backend, ours), (REFERENCE, theirs))]
        assert relative_error(*losses) < 1e-10
        assert relative_error(ours.theta, theirs.theta) < 1e-10
        if number == 0:
            made.clear()
    assert not made


def test_what_is_kept_goes_with_the_plan(direct: TritonBackend, device: torch.device) -> None:
    own_backend = TritonBackend(configuration=direct._configuration)
    for k in (3, 4):
        structure, theta, coefficients, own_terms, _ = make("laplace", (k, 5), 9)
        plan, own_terms = lower(structure.layers), moved(own_terms, device)
        own = AdamState(theta.to(device), coefficients.to(device), 1e-3)
        own_backend.train(plan, own, own_terms, some_weights(own_terms), 3)
        own_backend.loss_and_gradient(plan, own.theta, own.coefficients, own_terms, some_weights(own_terms))
        own_backend.residual_jacobian(plan, own.theta, own.coefficients, own_terms[0])
        own_backend.jets(plan, own.theta, own_terms[0].points[0], own_terms[0].program.channels)
        assert own_backend._prepared
        del plan, own_terms
        gc.collect()
        assert not own_backend._prepared
