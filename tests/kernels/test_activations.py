"""Activations as data: every backend against nested autograd, ties that hold, neurons that become one or constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from helpers import relative_error
from torch import Tensor
from torch.nn import functional as F

from psinn_fast.kernels.contract import Backend
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.errors import BackendLimit, InputError
from psinn_fast.kernels.language.activations import ACTIVATIONS, HIGHEST, activation_of
from psinn_fast.kernels.language.channels import Channel, ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import expanded_plan
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure

FLOAT64 = torch.float64
IN_TORCH: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sin": torch.sin,
    "silu": F.silu,
    "gelu": F.gelu,
    "softplus": lambda z: F.softplus(z, threshold=50),
}
BACKENDS = {"reference": ReferenceBackend()} | {f"cpu {isa}": CpuBackend(isa) for isa in instruction_sets()}
each_activation = pytest.mark.parametrize("name", ACTIVATIONS)
# One set that is known at compile time, one of its channels alone, one that is not known, one input.
SETS: list[tuple[int, Sequence[Channel]]] = [
    (2, [(2, 0), (0, 2)]), (2, [(4, 0), (2, 2)]), (3, [(1, 1, 1)]), (1, [(3,)])
]  # fmt: skip


def plain(structure: Structure, theta: Tensor, name: str, x: Tensor) -> Tensor:
    *hidden, (weight, bias) = structure.expand(theta)
    for w, b in hidden:
        x = IN_TORCH[name](F.linear(x, w, b))
    return F.linear(x, weight, bias)


def nested(u: Tensor, x: Tensor, orders: Sequence[int]) -> Tensor:
    for axis, order in enumerate(orders):
        for _ in range(order):
            u = torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, axis : axis + 1]
    return u


def test_all_are_there() -> None:
    assert IN_TORCH.keys() == ACTIVATIONS.keys()


@each_activation
def test_derivatives(name: str) -> None:
    """Of the description, by torch's derivatives of torch's own function; parity, and the value at 0."""
    z = torch.linspace(-30, 30, 601, dtype=FLOAT64, requires_grad=True)
    own, right = activation_of(name), IN_TORCH[name](z)
    found = own.derivatives(own.keep(z.detach()), HIGHEST)
    for k in range(HIGHEST + 1):
        assert (found[k] - right).abs().max() < 1e-13, k
        (right,) = torch.autograd.grad(right.sum(), z, create_graph=True)
    zero = torch.zeros(1, dtype=FLOAT64)
    assert float(own.value(zero)) == pytest.approx(own.zero, abs=1e-16)
    is_odd = bool((own.value(-z) + own.value(z)).abs().max() < 1e-12)
    assert is_odd == own.is_odd


@each_activation
@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
@pytest.mark.parametrize(("d", "wanted"), SETS)
def test_jets(backend: Backend, name: str, d: int, wanted: Sequence[Channel]) -> None:
    channels, structure = ChannelSet.closure(d, wanted), Structure.dense([d, 9, 7, 2])
    generator = torch.Generator().manual_seed(1)
    theta = torch.randn(structure.n_parameters, dtype=FLOAT64, generator=generator)
    x = torch.randn(19, d, dtype=FLOAT64, generator=generator).requires_grad_()
    grad = torch.randn(19, len(channels), 2, dtype=FLOAT64, generator=generator)
    own = theta.clone().requires_grad_()
    u = plain(structure, own, name, x)
    right = torch.stack([torch.cat([nested(u[:, f : f + 1], x, c) for f in range(2)], 1) for c in channels.channels], 1)
    theta_bar, x_bar = torch.autograd.grad((right * grad).sum(), (own, x))
    plan = lower(structure.layers, name)
    assert relative_error(backend.jets(plan, theta, x.detach(), channels), right.detach()) < 1e-11
    found = backend.jets_backward(plan, theta, x.detach(), channels, grad, True)
    assert relative_error(found[0], theta_bar) < 1e-11
    assert relative_error(found[1], x_bar) < 1e-11


@each_activation
@pytest.mark.parametrize("isa", instruction_sets())
def test_float32(isa: str, name: str) -> None:
    """At most twice the error of plain float32 torch, means over some weights."""
    channels, structure = ChannelSet.closure(2, [(2, 0), (0, 2)]), Structure.dense([2, 16, 16, 1])
    plan, ours, theirs = lower(structure.layers, name), [], []
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        theta = torch.randn(structure.n_parameters, dtype=FLOAT64, generator=generator).float() * 0.5
        x = torch.randn(257, 2, generator=generator)
        right = ReferenceBackend().jets(plan, theta.double(), x.double(), channels)
        ours.append(relative_error(CpuBackend(isa).jets(plan, theta, x, channels).double(), right))
        theirs.append(relative_error(ReferenceBackend().jets(plan, theta, x, channels).double(), right))
    assert sum(ours) <= 2 * sum(theirs)


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT64])
@each_activation
@pytest.mark.parametrize("isa", instruction_sets())
def test_large_and_small_numbers(isa: str, name: str, dtype: torch.dtype) -> None:
    """u = a(x) and u' over all sizes, also where the sine's argument is reduced by the library; NaN stays NaN."""
    layers = (SymbolLayer.of([[1]], [0]), SymbolLayer.of([[1]], [0]))
    plan, theta = lower(layers, name), torch.ones(2, dtype=dtype)
    x = torch.cat([s * torch.logspace(-30, 7, 500, dtype=FLOAT64) for s in (1, -1)]).to(dtype)[:, None]
    channels = ChannelSet.closure(1, [(1,)])
    found = CpuBackend(isa).jets(plan, theta, x, channels)[..., 0].double()
    z = x.double().squeeze(1)
    right = torch.stack(activation_of(name).derivatives(activation_of(name).keep(z), 1), 1)
    unit = torch.finfo(dtype).eps
    assert bool(((found - right).abs() <= 8 * unit * right.abs().clamp(min=1)).all())
    if name in ("silu", "sin", "tanh"):  # relative, where they are small
        small = (z.abs() < 1) | ((z < 0) & (z > -60) if name == "silu" else z.abs() < 1)
        assert bool(((found - right)[small, 0].abs() <= 8 * unit * right[small, 0].abs() + 1e-37).all())
    bad = CpuBackend(isa).jets(plan, theta, torch.full((1, 1), torch.nan, dtype=dtype), channels)
    assert bad.isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT64])
@pytest.mark.parametrize("name", ["tanh", "silu", "gelu", "softplus"])
@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_huge_numbers_are_far_out(backend: Backend, name: str, dtype: torch.dtype) -> None:
    """Straight to the last bit: no product of a vanishing derivative with what is huge. sin has no such place."""
    layers = (SymbolLayer.of([[1]], [0]), SymbolLayer.of([[1]], [0]))
    plan, theta = lower(layers, name), torch.ones(2, dtype=dtype)
    channels = ChannelSet.closure(1, [(4,)])
    size = torch.logspace(3, 37, 200, dtype=FLOAT64).to(dtype)
    for x in (size, -size):
        found = backend.jets(plan, theta, x[:, None], channels)[..., 0]
        up, is_bounded = x > 0, name == "tanh"
        value = torch.sign(x) if is_bounded else torch.where(up, x, 0.0)
        slope = torch.zeros_like(x) if is_bounded else torch.where(up, 1.0, 0.0)
        assert torch.equal(found, torch.stack([value, slope, *[torch.zeros_like(x)] * 3], 1))
        for order in (2, 3, 4):
            grad = torch.zeros(len(x), 5, 1, dtype=dtype)
            grad[:, order] = 1
            theta_bar, x_bar = backend.jets_backward(plan, theta, x[:, None], channels, grad, True)
            assert not theta_bar.any()
            assert not x_bar.any()


@each_activation
def test_ties(name: str) -> None:
    """Equal neurons become one; opposite ones only where the activation is odd; always the same function."""
    equal = (SymbolLayer.of([[1, 2], [1, 2]], [1, 1]), SymbolLayer.of([[1, 2]], [1]))
    opposite = (SymbolLayer.of([[1, 2], [-1, -2]], [1, -1]), SymbolLayer.of([[1, 2]], [1]))
    last = SymbolLayer.of([[1, 2]], [1])
    nothing = (SymbolLayer.of([[1, 2], [0, 0]], [1, 0]), SymbolLayer.of([[1, 2], [3, 4]], [1, 2]), last)
    constant = (SymbolLayer.of([[1, 2], [0, 0]], [1, 2]), SymbolLayer.of([[1, 2], [3, 4]], [0, 1]), last)
    x = torch.randn(7, 2, dtype=FLOAT64, generator=torch.Generator().manual_seed(2))
    channels = ChannelSet.closure(2, [(1, 1)])
    for layers in (equal, opposite, nothing, constant):
        plan, plain_plan = lower(layers, name), expanded_plan(layers, name)
        theta = torch.linspace(-1, 1.5, plan.n_parameters, dtype=FLOAT64)
        grad = torch.ones(7, len(channels), 1, dtype=FLOAT64)
        right = ReferenceBackend().jets(plain_plan, theta, x, channels)
        slope = ReferenceBackend().jets_backward(plain_plan, theta, x, channels, grad)[0]
        for backend in BACKENDS.values():
            assert relative_error(backend.jets(plan, theta, x, channels), right) < 1e-13
            assert relative_error(backend.jets_backward(plan, theta, x, channels, grad)[0], slope) < 1e-12
    assert lower(equal, name).layers[0].fan_out == 1
    assert lower(opposite, name).layers[0].fan_out == (1 if ACTIVATIONS[name].is_odd else 2)
    assert (len(lower(nothing, name).folds) > 0) == (ACTIVATIONS[name].zero != 0)
    assert len(lower(constant, name).folds) > 0


def test_a_backend_that_has_not_all() -> None:
    class Own(ReferenceBackend, is_checked=False):
        name = "own"
        activations = ("tanh",)

    plan, x = lower(Structure.dense([1, 3, 1]).layers, "gelu"), torch.zeros(2, 1, dtype=FLOAT64)
    theta = torch.zeros(plan.n_parameters, dtype=FLOAT64)
    with pytest.raises(BackendLimit, match="backend 'own' has the activation tanh, not 'gelu'"):
        Own().jets(plan, theta, x, ChannelSet.closure(1, []))
    with pytest.raises(
        InputError, match=r"activation: expected one of \['tanh', .*\], got 'Sin'; write activation='sin'"
    ):
        activation_of("Sin")
