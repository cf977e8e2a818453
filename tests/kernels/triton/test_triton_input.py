"""Layouts, other devices and types, machines without what Triton needs, chips without room, threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from cases import some_weights
from helpers import negated, random_points, random_theta, relative_error
from on_device import ON_GPU, OnDevice, moved
from test_cpu_input import CHANNELS, everything, problem, requiring_gradients, same_kind, strided, transposed
from torch import Tensor
from triton.runtime.errors import OutOfResources

from psinn_fast.kernels.contract import AdamState, Term, registry
from psinn_fast.kernels.contract.registry import WithFallback
from psinn_fast.kernels.errors import BackendLimit, BackendUnavailable, InputError, say_once
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton import machine as triton_machine
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.configuration import Configuration
from psinn_fast.kernels.triton.point_kernel import PointKernel
from psinn_fast.networks.derivatives import derivatives
from psinn_fast.networks.mlp import TanhMLP
from psinn_fast.networks.structure import Structure

REFERENCE = ReferenceBackend()
Chip = Callable[[int], list[tuple[int, int]]]


def jet_arguments(n: int) -> tuple[Tensor, Tensor]:
    return random_points(n, 2), random_points(n, len(CHANNELS))[:, :, None]


@pytest.mark.parametrize("change", [strided, transposed, negated, requiring_gradients])
def test_layouts(backend: OnDevice, change: Callable[[Tensor], Tensor]) -> None:
    plan, theta, coefficients, terms = problem(9)
    plain = everything(backend, plan, theta, coefficients, terms, *jet_arguments(9))
    changed = [Term(t.name, t.program, change(t.points), change(t.columns)) for t in terms]
    x, grad = jet_arguments(9)
    results = everything(backend, plan, change(theta), change(coefficients), changed, change(x), change(grad))
    for a, b in zip(results, plain, strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad


def test_gradients_of_gradients(device: torch.device) -> None:
    """The way back of the way back is torch's, whatever the backend."""
    net = TanhMLP([2, 5, 1], seed=0, dtype=torch.float64, device=device)
    x = random_points(3, 2).to(device).requires_grad_()
    found = []
    for u in (derivatives(net, x, "u", coords="x y", fields="u", backend="triton").u, net(x)[:, 0]):
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        found.append(torch.autograd.grad((u**2).mean() + (slope**2).mean(), net.theta)[0])
    assert relative_error(*found) < 1e-11


def test_inside_inference_mode(backend: OnDevice) -> None:
    """Also the first time, when buffers are made that are used outside of it too."""
    plan, theta, coefficients, terms = problem(9)
    with torch.inference_mode():
        inside = everything(backend, plan, theta, coefficients, terms, *jet_arguments(9))
    outside = everything(backend, plan, theta, coefficients, terms, *jet_arguments(9))
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))


def test_bad_points_spoil_their_own_rows(backend: OnDevice) -> None:
    """The last point is also what fills up its tile."""
    plan, theta, coefficients, terms = problem(37)
    x, grad = jet_arguments(37)
    x[36, 1] = terms[0].points[0, 36, 1] = torch.nan
    same_kind(backend.jets(plan, theta, x, CHANNELS), REFERENCE.jets(plan, theta, x, CHANNELS))
    theta_bar, x_bar = backend.jets_backward(plan, theta, x, CHANNELS, grad, need_x=True)
    assert theta_bar.isnan().any()
    assert x_bar is not None
    assert x_bar[:36].isfinite().all()
    for a, b in zip(
        *(b.residual_jacobian(plan, theta, coefficients, terms[0]) for b in (backend, REFERENCE)), strict=True
    ):
        same_kind(a[:36], b[:36])
        assert a[36].isnan().any()
    result = backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    assert result.losses.isnan().tolist() == [True, False, False]
    assert result.theta.isnan().any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64])
def test_other_types_of_numbers(direct: TritonBackend, dtype: torch.dtype) -> None:
    plan, theta, coefficients, terms = problem(3)
    with pytest.raises(InputError, match=f"theta: expected float32 or float64, got {dtype}"):
        direct.jets(plan, theta.to(dtype), random_points(3, 2).to(dtype), CHANNELS)
    with pytest.raises(InputError, match=f"theta: expected float32 or float64, got {dtype}"):
        direct.train(plan, AdamState(theta.to(dtype), coefficients, 1e-3), terms, some_weights(terms), 1)


def test_other_devices(direct: TritonBackend) -> None:
    plan, theta, coefficients, terms = problem(3)
    there = torch.device("cpu" if ON_GPU else "meta")
    theta, coefficients, terms = theta.to(there), coefficients.to(there), moved(terms, there)
    message = f"theta: backend 'triton' needs tensors on .*, got {there.type}"
    with pytest.raises(InputError, match=message):
        direct.jets(plan, theta, random_points(3, 2).to(there), CHANNELS)
    with pytest.raises(InputError, match=message):
        direct.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    with pytest.raises(InputError, match=message):
        direct.residual_jacobian(plan, theta, coefficients, terms[0])
    with pytest.raises(InputError, match=message):
        direct.train(plan, AdamState(theta, coefficients, 1e-3), terms, some_weights(terms), 1)


def test_beyond_the_limits(direct: TritonBackend, device: torch.device) -> None:
    for sizes, message in [
        ([1, 129, 1], "plan: backend 'triton' takes layers up to 128 wide, got 129; backend 'reference' takes any"),
        ([1, *[2] * 9, 1], "plan: backend 'triton' takes up to 9 layers, got 10; backend 'reference' takes any"),
    ]:
        structure, channels = Structure.dense(sizes), ChannelSet.closure(1, [])
        plan, theta, x = lower(structure.layers), random_theta(structure, 0).to(device), random_points(3, 1).to(device)
        with pytest.raises(BackendLimit, match=message):
            direct.jets(plan, theta, x, channels)
        say_once.cache_clear()
        engine = WithFallback(direct)
        with pytest.warns(RuntimeWarning, match="backend 'triton' is not used, but 'reference'"):
            jets = engine.jets(plan, theta, x, channels)
        assert torch.equal(jets, REFERENCE.jets(plan, theta, x, channels))
    with pytest.raises(InputError, match="precision: expected one of ieee, tf32x3, tf32, got 'fp16'"):
        TritonBackend("fp16")


def test_auto_on_a_gpu_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry._BACKENDS["triton"], "unavailable", lambda: None)
    engine = registry.get_backend("auto", torch.device("cuda"))
    assert (type(engine), engine.name) == (WithFallback, "triton")
    assert registry.get_backend("triton") is registry._BACKENDS["triton"]


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    """Makes a chip with room for tiles of so many points; what was tried on it, as (block, warps)."""

    def with_room_for(points: int) -> list[tuple[int, int]]:
        tried: list[tuple[int, int]] = []
        launch = PointKernel.__call__

        def limited(self: PointKernel, *args: object, **kwargs: object) -> None:
            configuration = self._configuration
            tried.append((configuration.block, configuration.warps))
            if configuration.block > points:
                raise OutOfResources(300_000, 101_376, "shared memory")
            launch(self, *args, **kwargs)

        monkeypatch.setattr(PointKernel, "__call__", limited)
        return tried

    return with_room_for


def test_smaller_tiles_where_memory_is_short(chip: Chip, device: torch.device) -> None:
    tried = chip(16)
    own = TritonBackend(configuration=Configuration(64, 4, 4))
    plan, theta, coefficients, terms = problem(37)
    arguments = plan, theta, coefficients, terms
    expected = everything(REFERENCE, *arguments, *jet_arguments(37))
    for _ in range(2):
        results = everything(OnDevice(own, device), *arguments, *jet_arguments(37))
        assert all(torch.allclose(a, b) for a, b in zip(results, expected, strict=True))
    assert tried[:3] == [(64, 4), (32, 4), (16, 4)]
    assert tried.count((32, 4)) == tried.count((64, 4)) < 10  # what fits is remembered
    state = AdamState(theta.to(device), coefficients.to(device), 1e-3)
    own.train(plan, state, moved(terms, device), some_weights(moved(terms, device)), 3)
    assert state.step == 3


def test_no_room_at_all(chip: Chip, device: torch.device) -> None:
    tried = chip(8)
    own = TritonBackend(configuration=Configuration(32, 4, 4))
    plan, theta, coefficients, terms = problem(5)
    state = AdamState(theta.to(device), coefficients.to(device), 1e-3)
    before = state.theta.clone()
    message = (
        r"plan: backend 'triton' has no room on this GPU for layers 9 wide in torch.float64 with these derivatives "
        r"\(out of resource: shared memory.*narrower layers, fewer derivatives, float32 or backend 'reference' would"
    )
    with pytest.raises(BackendLimit, match=message):
        own.train(plan, state, moved(terms, device), some_weights(moved(terms, device)), 3)
    assert tried == [(32, 4), (16, 4), (16, 8)]
    assert (state.step, state.good) == (0, None)
    assert torch.equal(state.theta, before)


# Machines.


def forget() -> None:
    for cached in (triton_machine._triton, triton_machine._why_not_gpu, triton_machine.say_untested, say_once):
        cached.cache_clear()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A machine without the interpreter, with this Triton and this GPU."""

    def pretend(
        version: str | None = "3.6.0", cuda: bool = True, hip: str | None = None, chip: tuple[int, int] = (9, 0)
    ) -> None:
        def find(name: str) -> SimpleNamespace:
            if version is None:
                raise ImportError(name)
            return SimpleNamespace(__version__=version, jit=None)

        monkeypatch.setattr(triton_machine, "import_module", find)
        monkeypatch.setattr(triton_machine, "is_interpreted", lambda: False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: chip)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "GeForce")
        forget()

    yield pretend
    forget()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"version": None}, "Triton is not installed; a CUDA build of PyTorch brings the one that fits"),
        ({"version": "3.5.1"}, "Triton 3.5 is too old; 3.6 and newer work"),
        ({"cuda": False}, "no NVIDIA GPU that torch can use"),
        ({"hip": "6.4"}, "no NVIDIA GPU that torch can use"),
        ({"chip": (7, 5)}, r"GeForce is too old \(sm_75\); sm_80 \(A100, RTX 30\) and newer work"),
    ],
)
def test_machines_that_cannot(machine: Callable[..., None], options: dict[str, object], reason: str) -> None:
    """By name it raises and says why; "auto" takes another and says so once."""
    machine(**options)
    with pytest.raises(BackendUnavailable, match=f"backend 'triton' cannot run here: {reason}"):
        registry.get_backend("triton")
    plan, theta, coefficients, terms = problem(3)
    with pytest.raises(BackendUnavailable, match=f"backend 'triton' cannot run here: {reason}"):
        TritonBackend().loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms))
    with pytest.warns(RuntimeWarning, match=f"backend 'triton' is not used: {reason}"):
        assert registry.get_backend("auto", torch.device("cuda")).name == "reference"
    assert registry.get_backend("auto", torch.device("cuda")).name == "reference"  # a second warning would be an error


def not_found() -> None:
    raise ModuleNotFoundError("No module named 'llvm'", name="llvm")


@pytest.mark.parametrize(
    ("imported", "reason"),
    [
        (
            lambda: SimpleNamespace(__path__=["/home/triton"]),
            "imports as `triton` is not Triton, but /home/tri",
        ),
        (lambda: SimpleNamespace(__file__="/home/triton.py"), "is not Triton, but /home/triton.py; rename that"),
        (lambda: SimpleNamespace(__version__="3.6.0"), "is not Triton, but an unknown place"),
        (lambda: SimpleNamespace(__version__=None, jit=None), "is not Triton"),
        (lambda: SimpleNamespace(__version__="main", jit=None), "is not Triton"),
        (lambda: 1 / 0, "what Python imports as `triton` fails: ZeroDivisionError: division by zero"),
        (not_found, r"Triton cannot be imported \(No module named 'llvm'\)"),
    ],
)
def test_what_is_not_triton(
    machine: Callable[..., None],
    imported: Callable[[], object],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine()
    monkeypatch.setattr(triton_machine, "import_module", lambda name: imported())
    with pytest.raises(BackendUnavailable, match=f"backend 'triton' cannot run here: .*{reason}"):
        registry.get_backend("triton")
    with pytest.warns(RuntimeWarning, match=f"backend 'triton' is not used: .*{reason}"):
        assert registry.get_backend("auto", torch.device("cuda")).name == "reference"
    assert registry.available_backends()["reference"] is None


def test_newer_versions_work_and_say_so_once(
    machine: Callable[..., None], backend: OnDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("4.0.0+git123")
    assert TritonBackend().unavailable() is None
    if ON_GPU:
        monkeypatch.undo()
        machine("4.0.0+git123")
    monkeypatch.setattr(triton_machine, "is_interpreted", lambda: not ON_GPU)
    plan, theta, *_ = problem(3)
    with pytest.warns(RuntimeWarning, match=r"psinn_fast is tested with Triton 3.6 to 3.7, not yet with 4.0"):
        backend.jets(plan, theta, random_points(3, 2), CHANNELS)
    backend.jets(plan, theta, random_points(3, 2), CHANNELS)


def test_buffers_are_lent_to_one_user_at_a_time(direct: TritonBackend) -> None:
    plan, *_ = problem(3)
    lend = partial(direct._borrowed, ("buffers",), [plan], list)
    with lend() as first, lend() as second:
        assert second is not first
    with lend() as again:
        assert again is first


def test_calls_from_several_threads(backend: OnDevice) -> None:
    """With one plan and the same terms."""
    plan, theta, coefficients, terms = problem(9)

    def job(number: int) -> list[Tensor]:
        state = AdamState(theta * (1 + number), coefficients.clone(), 1e-2)
        losses = backend.train(plan, state, terms, some_weights(terms), 2).losses
        return [
            losses,
            state.theta,
            *backend.loss_and_gradient(plan, state.theta, state.coefficients, terms, some_weights(terms)),
        ]

    alone = [job(number) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(job, range(2)))
    for ours, expected in zip(together, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


def test_no_points(backend: OnDevice) -> None:
    plan, theta, coefficients, terms = problem(3)
    channels = ChannelSet.closure(2, [Laplacian((0, 1))])
    assert backend.jets(plan, theta, torch.empty(0, 2).double(), channels).shape == (0, 4, 1)
    assert backend.residual_jacobian(plan, theta, coefficients, terms[0], slice(0, 0))[0].shape == (0, 1)
