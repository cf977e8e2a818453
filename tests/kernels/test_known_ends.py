"""Embeddings of coordinates and ansatzes of fields: every backend against nested autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from helpers import relative_error
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend, Term
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.errors import BackendLimit, InputError
from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian
from psinn_fast.kernels.language.closed_form import ClosedForm
from psinn_fast.kernels.language.program import (
    Adjoint,
    Coefficient,
    Column,
    Coordinate,
    Jet,
    Program,
)
from psinn_fast.kernels.language.program import Instruction as I
from psinn_fast.kernels.network.ansatz import Ansatz
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group
from psinn_fast.networks.structure import Structure

FLOAT64 = torch.float64
BACKENDS = {"reference": ReferenceBackend()} | {f"cpu {isa}": CpuBackend(isa) for isa in instruction_sets()}
each_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
# One instruction set suffices where the base class does the work.
each_kind = pytest.mark.parametrize("backend", [ReferenceBackend(), CpuBackend()], ids=["reference", "cpu"])

# (t, x) -> t, cos(3 x), sin(3 x), t^2 exp(-x)
FEATURES = ClosedForm(
    2,
    (
        I("const", value=3.0), I("mul", 2, 1), I("cos", 3), I("sin", 3), I("neg", 1), I("exp", 6), I("mul", 0, 0),
        I("mul", 7, 8),
    ),
    (0, 4, 5, 9),
)  # fmt: skip
# g = (sin t, 0), d = (t x, 1)
ANSATZ = Ansatz(
    ClosedForm(2, (I("sin", 0), I("const", value=0.0)), (2, 3)),
    ClosedForm(2, (I("mul", 0, 1), I("const", value=1.0)), (2, 3)),
)


def features(x: Tensor) -> Tensor:
    t, y = x[:, 0], x[:, 1]
    return torch.stack([t, torch.cos(3 * y), torch.sin(3 * y), t**2 * torch.exp(-y)], 1)


def with_ansatz(x: Tensor, n: Tensor) -> Tensor:
    return torch.stack([torch.sin(x[:, 0]) + x[:, 0] * x[:, 1] * n[:, 0], n[:, 1]], 1)


def nested(u: Tensor, x: Tensor, channel: Channel) -> Tensor:
    """(N,), a derivative of u (N,)."""
    if isinstance(channel, Laplacian):
        pure = [tuple(2 * (i == axis) for i in range(x.shape[1])) for axis in channel.axes]
        return sum((nested(u, x, own) for own in pure), torch.zeros_like(u))
    for axis, order in enumerate(channel):
        for _ in range(order):
            if not u.requires_grad:
                return torch.zeros_like(u)
            u = torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, axis]
    return u


def dense(structure: Structure, theta: Tensor, h: Tensor) -> Tensor:
    *hidden, (weight, bias) = structure.expand(theta)
    for w, b in hidden:
        h = torch.tanh(h @ w.T + b)
    return h @ weight.T + bias


# Structure, and the same network by hand.
def _of(structure: Structure, embedded: bool, ansatz: bool) -> Callable[[Tensor, Tensor], Tensor]:
    def u(theta: Tensor, x: Tensor) -> Tensor:
        n = dense(structure, theta, features(x) if embedded else x)
        return with_ansatz(x, n) if ansatz else n

    return u


def _tied() -> Structure:
    """Even in its second feature, which is odd in x where that is a sine: with fewer and other products."""
    even = Symmetry(SignedPermutation.flip(4, 2), (1, 1))
    return structure_from_group([even], [5, 4])


def _mixed() -> Structure:
    """Two reflections of features: the first layer has neurons that are mixed behind its products."""
    signs = [Symmetry(SignedPermutation.flip(4, axis), (1, -1)) for axis in (0, 2)]
    return structure_from_group(signs, [6, 6])


CASES = {
    "embedding": (Structure.dense([4, 9, 7, 2]), True, False),
    "ansatz": (Structure.dense([2, 9, 7, 2]), False, True),
    "both": (Structure.dense([4, 8, 2]), True, True),
    "both, no hidden layer": (Structure.dense([4, 2]), True, True),
    "tied": (_tied(), True, True),
    "mixed": (_mixed(), True, True),
}
each_case = pytest.mark.parametrize(("structure", "embedded", "ansatz"), CASES.values(), ids=CASES)
SETS: list[Sequence[Channel]] = [[(2, 0), (0, 2)], [(4, 0), (2, 2), Laplacian((0, 1))], [(0, 0)], [(0, 3)]]


def _made(structure: Structure, embedded: bool, ansatz: bool) -> tuple[Plan, Callable[[Tensor, Tensor], Tensor]]:
    own = Structure(
        structure.layers, embedding=FEATURES if embedded else None, ansatz=ANSATZ if ansatz else None,
        centre=(0.1,) * structure.n_features, output_scale=(3.0,) * structure.n_outputs,
    )  # fmt: skip
    framed = Structure(structure.layers, centre=own.centre, output_scale=own.output_scale)
    return own.plan, _of(framed, embedded, ansatz)


def _theta(plan: Plan, scale: float = 0.7) -> Tensor:
    return scale * torch.randn(plan.n_parameters, dtype=FLOAT64, generator=torch.Generator().manual_seed(1))


def _points(n: int, d: int = 2) -> Tensor:
    return torch.rand(n, d, dtype=FLOAT64, generator=torch.Generator().manual_seed(2)) + 0.2


@each_kind
@each_case
@pytest.mark.parametrize("wanted", SETS)
def test_jets(backend: Backend, structure: Structure, embedded: bool, ansatz: bool, wanted: Sequence[Channel]) -> None:
    (plan, u), channels, x = _made(structure, embedded, ansatz), ChannelSet.closure(2, wanted), _points(37)
    theta = _theta(plan)
    own = x.clone().requires_grad_()
    value = u(theta, own)
    right = torch.stack([torch.stack([nested(value[:, f], own, c) for f in range(2)], 1) for c in channels.channels], 1)
    found = backend.jets(plan, theta, x, channels)
    assert relative_error(found, right.detach()) < 1e-11
    assert relative_error(backend.differentiable_jets(plan, theta, x, channels), right.detach()) < 1e-11

    weights = theta.clone().requires_grad_()
    grad = torch.randn(found.shape, dtype=FLOAT64, generator=torch.Generator().manual_seed(3))
    again = backend.differentiable_jets(plan, weights, own, channels)
    theta_bar, x_bar = torch.autograd.grad(again, (weights, own), grad)
    by_kernels = backend.jets_backward(plan, theta, x, channels, grad, need_x=True)
    assert relative_error(by_kernels[0], theta_bar) < 1e-11
    assert by_kernels[1] is not None
    assert relative_error(by_kernels[1], x_bar) < 1e-11


def _program(channels: ChannelSet, n_sites: int = 1) -> Program:
    """r = u_tt - c v_x u + column * x, at two sites u - u' besides."""
    tt, x = channels.position((2, 0)), channels.position((0, 1))
    inputs = [Jet(0, 0, tt), Jet(0, 1, x), Jet(0, 0, 0), Coefficient(0), Column(0), Coordinate(0, 1), Adjoint(0)]
    if n_sites == 2:
        inputs += [Jet(1, 0, 0), Adjoint(1)]
    n = len(inputs)
    forward = [
        I("mul", 1, 2),
        I("mul", n, 3),
        I("neg", n + 1),
        I("add", 0, n + 2),
        I("mul", 4, 5),
        I("add", n + 3, n + 4),
    ]
    residuals = [n + 5]
    if n_sites == 2:
        forward += [I("neg", 7), I("add", 2, n + 6)]
        residuals.append(n + 7)
    k = n + len(forward)
    # u_tt: bar; v_x: -c u bar; u: -c v_x bar; c: -u v_x bar
    backward = [I("neg", 6), I("mul", k, 3), I("mul", k + 1, 2), I("mul", k + 1, 1), I("mul", k, n)]
    gradients = [(0, 6), (1, k + 2), (2, k + 3), (3, k + 4)]
    if n_sites == 2:
        backward += [I("add", k + 3, 8), I("neg", 8)]
        gradients[2] = (2, k + 5)
        gradients.append((7, k + 6))
    return Program(
        channels, n_sites, 1, tuple(inputs), (*forward, *backward), len(forward), tuple(residuals), tuple(gradients)
    )


@each_backend
@each_case
@pytest.mark.parametrize("n_sites", [2])
def test_losses(backend: Backend, structure: Structure, embedded: bool, ansatz: bool, n_sites: int) -> None:
    """Loss, gradient, Jacobian and a few steps of Adam of a residual with columns, coordinates and a coefficient."""
    plan, u = _made(structure, embedded, ansatz)
    channels = ChannelSet.closure(2, [(2, 0), (0, 1)])
    points = torch.stack([_points(45), _points(45) + 0.3])[:n_sites]
    column = torch.linspace(-1, 1, 45, dtype=FLOAT64)[:, None]
    term = Term("r", _program(channels, n_sites), points, column)
    theta, c, weights = _theta(plan), torch.tensor([0.7], dtype=FLOAT64), torch.tensor([2.0], dtype=FLOAT64)

    def residuals(theta: Tensor, c: Tensor) -> Tensor:
        x = points[0].clone().requires_grad_()
        value = u(theta, x)
        r = [
            nested(value[:, 0], x, (2, 0))
            - c[0] * nested(value[:, 1], x, (0, 1)) * value[:, 0]
            + column[:, 0] * x[:, 1]
        ]
        if n_sites == 2:
            r.append(value[:, 0] - u(theta, points[1])[:, 0])
        return torch.stack(r, 1)

    own, c_own = theta.clone().requires_grad_(), c.clone().requires_grad_()
    loss = residuals(own, c_own).square().sum(1).mean()
    theta_bar, c_bar = torch.autograd.grad(2 * loss, (own, c_own))
    found = backend.loss_and_gradient(plan, theta, c, [term], weights)
    assert relative_error(found.losses, loss.detach()[None]) < 1e-11
    assert relative_error(found.theta, theta_bar) < 1e-10
    assert relative_error(found.coefficients, c_bar) < 1e-10
    jacobian = torch.autograd.functional.jacobian(lambda w: residuals(w, c), theta)
    r, by_kernels = backend.residual_jacobian(plan, theta, c, term)
    assert relative_error(r, residuals(theta, c).detach()) < 1e-11
    assert relative_error(by_kernels[..., :-1], jacobian) < 1e-10
    r, part = backend.residual_jacobian(plan, theta, c, term, slice(7, 21))
    assert relative_error(part, by_kernels[7:21]) < 1e-12
    assert relative_error(backend.residuals(plan, theta, c, term), residuals(theta, c).detach()) < 1e-11

    state, other = (AdamState(theta.clone(), c.clone(), 1e-3) for _ in range(2))
    report = backend.train(plan, state, [term], weights, 3)
    right = ReferenceBackend().train(plan, other, [term], weights, 3)
    assert relative_error(report.losses, right.losses) < 1e-10
    assert relative_error(state.theta, other.theta) < 1e-10


@each_kind
def test_pulled_back(backend: Backend) -> None:
    """J^T s with gradients of the points, also of integrals."""
    plan, _ = _made(*CASES["both"])
    term = Term(
        "r", _program(ChannelSet.closure(2, [(2, 0), (0, 1)])), _points(9)[None], torch.zeros(9, 1, dtype=FLOAT64)
    )
    theta, c = _theta(plan), torch.tensor([0.7], dtype=FLOAT64)
    rule = torch.linspace(0.1, 0.4, 9, dtype=FLOAT64)
    whole = Term(term.name, term.program, term.points, term.columns, rule)
    s = torch.tensor([[0.3]], dtype=FLOAT64)
    found = backend.residuals_backward(plan, theta, c, whole, s, need_x=True, need_r=True)
    by_points = backend.residuals_backward(plan, theta, c, term, rule[:, None] * s, need_x=True, need_r=True)
    for a, b in zip(found[:3], by_points[:3], strict=True):
        assert a is not None
        assert b is not None
        assert relative_error(a, b) < 1e-12
    x = term.points[0].clone().requires_grad_()
    jets = backend.differentiable_jets(plan, theta, x, term.program.channels)
    u_tt, v_x, u = jets[:, term.program.channels.position((2, 0)), 0], jets[:, 2, 1], jets[:, 0, 0]
    (right,) = torch.autograd.grad(u_tt - c * v_x * u, x, (rule[:, None] * s)[:, 0])
    assert found.points is not None
    assert relative_error(found.points[0], right) < 1e-11


@each_kind
@pytest.mark.parametrize("d", [5, 8])
def test_many_coordinates(backend: Backend, d: int) -> None:
    structure = Structure.dense([d, 9, 8, 1])
    channels = ChannelSet.closure(d, [Laplacian(tuple(range(4))), tuple(int(i == d - 1) for i in range(d))])
    theta, x = _theta(structure.plan, 0.4), _points(21, d)
    own = x.clone().requires_grad_()
    value = dense(structure, theta, own)[:, 0]
    right = torch.stack([nested(value, own, c) for c in channels.channels], 1)[..., None].detach()
    found = backend.jets(structure.plan, theta, x, channels)
    assert relative_error(found, right) < 1e-11
    grad = torch.ones_like(found)
    theta_bar, x_bar = backend.jets_backward(structure.plan, theta, x, channels, grad, need_x=True)
    weights = theta.clone().requires_grad_()
    again = ReferenceBackend().differentiable_jets(structure.plan, weights, own, channels)
    slopes = torch.autograd.grad(again.sum(), (weights, own))
    assert relative_error(theta_bar, slopes[0]) < 1e-11
    assert x_bar is not None
    assert relative_error(x_bar, slopes[1]) < 1e-11


def test_closed_form() -> None:
    """Each function's derivatives to order 4, against torch's own."""
    channels = ChannelSet.closure(2, [(4, 0), (1, 3), Laplacian((0, 1))])
    by_torch: dict[str, Callable[[Tensor], Tensor]] = {"neg": torch.neg, "reciprocal": torch.reciprocal}
    names = ("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "abs")
    for name in (*by_torch, *names):
        function = by_torch.get(name, getattr(torch, name))
        form = ClosedForm(
            2,
            (
                I("mul", 0, 1), I("add", 2, 0), I(name, 3), I("mul", 4, 1), I("const", value=3.0), I("pow", 1, 6),
                I("add", 5, 7), I("pow", 0, 1), I("add", 8, 9), I("div", 10, 3), I("max", 11, 0), I("gt", 0, 1),
                I("mul", 12, 13), I("min", 14, 4), I("add", 14, 15), I("sign", 1), I("add", 16, 17),
            ),
            (18, 0, 6),
        )  # fmt: skip
        x = _points(11).requires_grad_()
        a, b = x[:, 0], x[:, 1]
        z = a * b + a
        c = torch.maximum((function(z) * b + b**3 + a**b) / z, a) * (a > b)
        right = c + torch.minimum(c, function(z)) + torch.sign(b)
        found = form.jets(x.detach(), channels)
        for k, channel in enumerate(channels.channels):
            assert relative_error(found[k, :, 0], nested(right, x, channel).detach()) < 1e-12, (name, channel)
        assert form.support(channels)[1:] == (frozenset((0, 1)), frozenset((0,)))
        assert form.reads == ({0, 1}, {0}, set())


def test_polynomials_at_zero() -> None:
    """Powers that end have no poles."""
    square = ClosedForm(1, (I("const", value=2.0), I("pow", 0, 1)), (2,))
    found = square.jets(torch.zeros(1, 1, dtype=FLOAT64), ChannelSet.closure(1, [(4,)]))
    assert found[:, 0, 0].tolist() == [0, 0, 2, 0, 0]


def test_refusals() -> None:
    plan, _ = _made(*CASES["embedding"])
    with pytest.raises(BackendLimit, match="takes coordinates, not embeddings"):
        TritonBackend().jets(plan, _theta(plan), _points(4), ChannelSet.closure(2, []))
    wide = Structure.dense([5, 4, 1]).plan
    with pytest.raises(BackendLimit, match="takes up to 4 coordinates, got 5"):
        TritonBackend().jets(wide, _theta(wide), _points(4, 5), ChannelSet.closure(5, []))
    with pytest.raises(InputError, match="it gives 4 features, the first layer takes 3"):
        Structure(Structure.dense([3, 4, 2]).layers, embedding=FEATURES)
    with pytest.raises(InputError, match="it has 2 inputs and 2 outputs, the network 3 and 2"):
        Structure(Structure.dense([3, 4, 2]).layers, ansatz=ANSATZ)
    for instructions, match in (((I("sine", 0),), "unknown operation"), ((I("mul", 0, 1),), "not computed yet")):
        with pytest.raises(InputError, match=match):
            ClosedForm(1, instructions, (0,))
    with pytest.raises(InputError, match="a register that is not there"):
        ClosedForm(1, (), (1,))
