"""Layouts, other devices and types, machines without what Triton needs, chips without room, threads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from cases import some_weights
from helpers import random_points, random_theta, relative_error
from layouts import CHANNELS, everything, jet_arguments, problem
from on_device import ON_GPU, OnDevice, moved
from triton.runtime.errors import OutOfResources

from psinn_fast.cli.doctor import doctor_report
from psinn_fast.kernels.contract import AdamState, registry
from psinn_fast.kernels.contract.registry import WithFallback
from psinn_fast.kernels.errors import BackendLimit, BackendUnavailable, InputError, say_once
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton import machine as triton_machine
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.borrowing import borrowed
from psinn_fast.kernels.triton.configuration import Configuration
from psinn_fast.kernels.triton.point_kernel import PointKernel
from psinn_fast.networks.derivatives import derivatives
from psinn_fast.networks.mlp import MLP
from psinn_fast.networks.structure import Structure

REFERENCE = ReferenceBackend()
Chip = Callable[[int], list[tuple[int, int]]]


def test_gradients_of_gradients(device: torch.device) -> None:
    """The way back of the way back is torch's, whatever the backend."""
    net = MLP([2, 5, 1], seed=0, dtype=torch.float64, device=device)
    x = random_points(3, 2).to(device).requires_grad_()
    found = []
    for u in (derivatives(net, x, "u", coords="x y", fields="u", backend="triton").u, net(x)[:, 0]):
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        found.append(torch.autograd.grad((u**2).mean() + (slope**2).mean(), net.theta)[0])
    assert relative_error(*found) < 1e-11


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
    monkeypatch.setattr(registry.BACKENDS["triton"], "unavailable", lambda: None)
    engine = registry.get_backend("auto", torch.device("cuda"))
    assert (type(engine), engine.name) == (WithFallback, "triton")
    assert registry.get_backend("triton") is registry.BACKENDS["triton"]


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


WHY_NOT_BUILD = triton_machine.why_not_build


def forget() -> None:
    own = triton_machine
    for cached in (own.installed_triton, own.why_not_gpu, WHY_NOT_BUILD, own.say_untested, say_once):
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
        monkeypatch.setattr(triton_machine, "was_interpreted", lambda: False)
        monkeypatch.setattr(triton_machine, "stand_in", lambda: None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(triton_machine, "why_not_build", lambda: None)
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
    with pytest.warns(RuntimeWarning, match=f"backends 'triton', 'gemm' are not used: {reason}"):
        assert registry.get_backend("auto", torch.device("cuda")).name == "reference"
    assert registry.get_backend("auto", torch.device("cuda")).name == "reference"  # a second warning would be an error


def test_an_old_gpu_beside_a_new_one(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is asked for itself; without a number it is torch's present one, which may change."""
    machine()
    chips = {0: (7, 5), 1: (8, 9)}
    present = [0]
    monkeypatch.setattr(torch.cuda, "current_device", lambda: present[0])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: chips[torch.device(device).index])
    old, new, some = (torch.device(name) for name in ("cuda:0", "cuda:1", "cuda"))
    assert "too old" in str(registry.BACKENDS["triton"].unavailable_on(old))
    assert registry.BACKENDS["triton"].unavailable_on(new) is None
    assert "too old" in str(registry.BACKENDS["triton"].unavailable_on(some))
    with pytest.warns(RuntimeWarning, match="too old"):
        assert registry.get_backend("auto", some).name == "reference"
    assert registry.get_backend("auto", new).name == "triton"
    present[0] = 1
    assert registry.BACKENDS["triton"].unavailable() is None
    assert registry.get_backend("auto", some).name == "triton"


@pytest.mark.parametrize("missing", ["compiler", "named compiler", "headers"])
def test_what_launches_are_built_with(
    machine: Callable[..., None], missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CC", raising=False)
    machine()
    monkeypatch.setattr(triton_machine, "why_not_build", WHY_NOT_BUILD)
    if missing == "headers":
        monkeypatch.setattr(triton_machine.sysconfig, "get_path", lambda name: str(tmp_path))
        reason = rf"Python's headers to launch kernels, and there is no {tmp_path}/Python.h; install them"
    else:
        monkeypatch.setattr(triton_machine.shutil, "which", lambda name: None)
        reason = "a C compiler to launch kernels, and none of cc, gcc, clang is there; install gcc"
    if missing == "named compiler":
        monkeypatch.setenv("CC", "/opt/cc")
        reason = "the one that CC names, '/opt/cc', is not there"
    with pytest.raises(BackendUnavailable, match=reason):
        registry.get_backend("triton")
    with pytest.warns(RuntimeWarning, match=reason):
        assert registry.get_backend("auto", torch.device("cuda")).name == "reference"
    assert re.search(reason, str(registry.available_backends()["triton"]))
    report = doctor_report()
    assert re.search(f"not available: .*{reason}", report["triton backend"])
    assert report["auto backend on the gpu"] == "reference"


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
    with pytest.warns(RuntimeWarning, match=f"backends 'triton', 'gemm' are not used: .*{reason}"):
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
    monkeypatch.setattr(triton_machine, "stand_in", lambda: None if ON_GPU else "a stand-in")
    plan, theta, *_ = problem(3)
    with pytest.warns(RuntimeWarning, match=r"psinn_fast is tested with Triton 3.6 to 3.9, not yet with 4.0"):
        backend.jets(plan, theta, random_points(3, 2), CHANNELS)
    backend.jets(plan, theta, random_points(3, 2), CHANNELS)


def test_buffers_are_lent_to_one_user_at_a_time(direct: TritonBackend) -> None:
    plan, *_ = problem(3)
    lend = partial(borrowed, direct._prepared, ("buffers",), [plan], list)
    with lend() as first, lend() as second:
        assert second is not first
    with lend() as again:
        assert again is first
