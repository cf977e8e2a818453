"""Embeddings with unknown numbers: the reference against nested autograd, and others decline."""

from __future__ import annotations

import pytest
import torch
from helpers import relative_error
from torch import Tensor
from torch.nn import functional as F

import psinn_fast as pf
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.contract.registry import BACKENDS, at_work, or_reference
from psinn_fast.kernels.errors import BackendLimit
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.language.closed_form import ClosedForm
from psinn_fast.kernels.language.program import Adjoint, Jet, Program
from psinn_fast.kernels.language.program import Instruction as I
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure

FLOAT64 = torch.float64
REFERENCE = ReferenceBackend()
# (t, x) and unknown p, q -> t, cos(3 x / p), sin(3 x / p), (t + 2)^q
FORM = ClosedForm(
    2,
    (
        I("const", value=3.0), I("mul", 4, 1), I("div", 5, 2), I("cos", 6), I("sin", 6), I("const", value=2.0),
        I("add", 0, 9), I("pow", 10, 3),
    ),
    (0, 7, 8, 11),
    unknown=(("p", 1.3), ("q", 1.7)),
)  # fmt: skip


def features(x: Tensor, p: Tensor, q: Tensor) -> Tensor:
    phase = 3 * x[:, 1] / p
    return torch.stack([x[:, 0], torch.cos(phase), torch.sin(phase), (x[:, 0] + 2) ** q], 1)


def _made(layers: Structure, slopes: float | None = None) -> Structure:
    return Structure(
        layers.layers, embedding=FORM, wiring=layers.wiring, centre=(0.3,) * 4, output_scale=(2.0, 2.0),
        slope_factor=slopes,
    )  # fmt: skip


def _tied() -> Structure:
    odd = pf.Symmetry(pf.SignedPermutation.flip(4, 2), (1, -1))
    return pf.structure_from_group([odd], [4, 4])


CASES = {
    "dense": _made(Structure.dense([4, 7, 6, 2])),
    "no hidden layer": _made(Structure.dense([4, 2])),
    "tied": Structure(_tied().layers, embedding=FORM),
    "slopes": _made(Structure.dense([4, 7, 6, 2]), 3.0),
    "gated": _made(Structure.dense([4, 6, 6, 2], wiring="gated"), 2.0),
    "residual": _made(Structure.dense([4, 6, 6, 2], wiring="residual")),
}
each_case = pytest.mark.parametrize("name", CASES)


def _theta(structure: Structure) -> Tensor:
    theta = 0.5 * torch.randn(structure.n_parameters, dtype=FLOAT64, generator=torch.Generator().manual_seed(1))
    n = len(structure.ahead)
    theta[:n] = torch.linspace(0.4, 0.6, n, dtype=FLOAT64)
    theta[n - 2 : n] = torch.tensor([1.1, 2.3], dtype=FLOAT64)
    return theta


def _points(n: int) -> Tensor:
    return torch.rand(n, 2, dtype=FLOAT64, generator=torch.Generator().manual_seed(2))


def by_hand(name: str, structure: Structure, theta: Tensor, x: Tensor) -> Tensor:
    n = len(structure.ahead)
    h = phi = features(x, *theta[n - 2 : n])
    layers = structure.expand(theta)
    gates = [torch.tanh(F.linear(phi, *layers.pop(0))) for _ in range(2 * (name == "gated"))]
    *hidden, last = layers
    for number, own in enumerate(hidden):
        a = torch.tanh(F.linear(h, *own))
        past = h if number and name == "residual" else 0
        h = a * gates[0] + (1 - a) * gates[1] if gates else a + past
    return F.linear(h, *last)


def nested(u: Tensor, x: Tensor, orders: tuple[int, ...]) -> Tensor:
    for axis, order in enumerate(orders):
        for _ in range(order):
            u = torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, axis]
    return u


@each_case
def test_jets(name: str) -> None:
    structure, x = CASES[name], _points(17)
    channels = ChannelSet.closure(2, [(4, 0), (1, 3), Laplacian((0, 1))])
    theta, own = _theta(structure).requires_grad_(), x.clone().requires_grad_()
    u = by_hand(name, structure, theta, own)
    pure = [[(2, 0), (0, 2)] if isinstance(c, Laplacian) else [c] for c in channels.channels]
    rows = [[sum(nested(u[:, f], own, c) for c in parts) for f in range(2)] for parts in pure]
    right = torch.stack([torch.stack(row, 1) for row in rows], 1)
    plan, weights = structure.plan, theta.detach()
    assert relative_error(REFERENCE.jets(plan, weights, x, channels), right) < 1e-11
    assert relative_error(pf.PsiMLP.with_theta(structure, weights)._expanded(x), u) < 1e-13
    grad = torch.randn(right.shape, dtype=FLOAT64, generator=torch.Generator().manual_seed(3))
    for_theta, for_x = torch.autograd.grad(right, (theta, own), grad)
    theta_bar, x_bar = REFERENCE.jets_backward(plan, weights, x, channels, grad, need_x=True)
    assert x_bar is not None
    n = len(structure.ahead)
    for found, wanted in ((theta_bar, for_theta), (theta_bar[:n], for_theta[:n]), (x_bar, for_x)):
        assert relative_error(found, wanted) < 1e-11
    again = REFERENCE.differentiable_jets(plan, theta, own, channels)
    for found, wanted in zip(torch.autograd.grad(again, (theta, own), grad), (for_theta, for_x), strict=True):
        assert relative_error(found, wanted) < 1e-11


@each_case
def test_jacobian(name: str) -> None:
    """Point by point, of r_1 = u_xx + v^2 and r_2 = v: the way back goes twice through the same features."""
    structure, x = CASES[name], _points(9)
    theta, channels = _theta(structure), ChannelSet.closure(2, [(0, 2)])
    xx, n = channels.position((0, 2)), 4
    program = Program(
        channels, 1, 0, (Jet(0, 0, xx), Jet(0, 1, 0), Adjoint(0), Adjoint(1)),
        (I("mul", 1, 1), I("add", 0, n), I("const", value=2.0), I("mul", n + 2, 1), I("mul", n + 3, 2),
         I("add", n + 4, 3)),
        2, (n + 1, 1), ((0, 2), (1, n + 5)),
    )  # fmt: skip
    term, none = Term("r", program, x[None], torch.empty(9, 0, dtype=FLOAT64)), theta.new_zeros(0)

    def r(weights: Tensor) -> Tensor:
        own = x.clone().requires_grad_()
        u, v = by_hand(name, structure, weights, own).unbind(1)
        return torch.stack([nested(u, own, (0, 2)) + v**2, v], 1)

    engine = or_reference(pf.get_backend("auto"))
    found, jacobian = engine.residual_jacobian(structure.plan, theta, none, term)
    assert at_work(engine) == "reference"
    assert relative_error(found, r(theta)) < 1e-11
    right = torch.autograd.functional.jacobian(r, theta)
    assert relative_error(jacobian, right) < 1e-11
    k = len(structure.ahead)
    assert relative_error(jacobian[..., :k], right[..., :k]) < 1e-11
    penalty, one = Regularizer("l2", 0.1), torch.ones(1, dtype=FLOAT64)
    whole = REFERENCE.loss_and_gradient(structure.plan, theta, none, [term], one, penalty)
    of_weights = penalty.value_and_gradient(structure.plan, theta)[1]
    assert not of_weights[:k].any()
    assert of_weights[k:].any()
    assert relative_error(whole.theta - of_weights, 2 * (found[..., None] * jacobian).sum((0, 1)) / 9) < 1e-11


def test_others_decline() -> None:
    structure = CASES["dense"]
    for name, backend in BACKENDS.items():
        if name == "cpu":
            with pytest.raises(BackendLimit, match="takes embeddings without unknown numbers; backend 'reference'"):
                backend.jets(structure.plan, _theta(structure), _points(3), ChannelSet.closure(2, []))


def test_forms() -> None:
    """What is not given is where it starts; what is read is said without the unknown numbers."""
    x, start = _points(5), torch.tensor([1.3, 1.7], dtype=FLOAT64)
    assert torch.equal(FORM.values(x), FORM.values(x, start))
    assert torch.equal(FORM.values(x), FORM.values(x, start.expand(5, 2)))
    assert FORM.reads == ({0}, {1}, {1}, {0})
    assert FORM.unread == ()
    assert ClosedForm(1, (), (0,), unknown=(("p", 1.0),)).unread == ("p",)
    assert [dict(other.unknown)["p"] for other in FORM.elsewhere] == pytest.approx([1.43, 1.131])
    assert ClosedForm.identity(2).elsewhere == ()
