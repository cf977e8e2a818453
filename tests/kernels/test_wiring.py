"""Gated and residual layers: the reference against nested autograd of the formulas; who does not have them declines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers import relative_error
from torch import Tensor
from torch.nn import functional as F
from toy_backend import Toy

import psinn_fast as pf
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.errors import BackendLimit, InputError
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.language.closed_form import ClosedForm
from psinn_fast.kernels.language.program import Adjoint, Instruction, Jet, Program
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure

FLOAT64 = torch.float64
REFERENCE = ReferenceBackend()
FEATURES = ClosedForm(2, (Instruction("cos", 1), Instruction("sin", 1)), (0, 2, 3))


def gated(layers: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    (wu, bu), (wv, bv), *hidden, (w, b) = layers
    u, v, h = torch.tanh(F.linear(x, wu, bu)), torch.tanh(F.linear(x, wv, bv)), x
    for own, bias in hidden:
        a = torch.tanh(F.linear(h, own, bias))
        h = a * u + (1 - a) * v
    return F.linear(h, w, b)


def residual(layers: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    (first, bias0), *hidden, (w, b) = layers
    h = torch.tanh(F.linear(x, first, bias0))
    for own, bias in hidden:
        h = h + torch.tanh(F.linear(h, own, bias))
    return F.linear(h, w, b)


FORMULAS: dict[str, Callable[[list[tuple[Tensor, Tensor]], Tensor], Tensor]] = {"gated": gated, "residual": residual}
each_wiring = pytest.mark.parametrize("wiring", FORMULAS)
embeddings = pytest.mark.parametrize("embedding", [None, FEATURES], ids=["coordinates", "features"])


def _case(wiring: str, embedding: ClosedForm | None) -> tuple[Structure, Tensor, Tensor]:
    plain = Structure.dense([2 if embedding is None else 3, 7, 7, 7, 2], wiring=wiring)
    structure = Structure(
        plain.layers, embedding=embedding, wiring=wiring, centre=(0.3,) * plain.n_features, output_scale=(2.0, 2.0)
    )
    generator = torch.Generator().manual_seed(0)
    theta = 0.6 * torch.randn(structure.n_parameters, dtype=FLOAT64, generator=generator)
    return structure, theta, torch.rand(23, 2, dtype=FLOAT64, generator=generator)


def _by_hand(wiring: str, structure: Structure, theta: Tensor, x: Tensor) -> Tensor:
    h = x if structure.embedding is None else torch.stack([x[:, 0], torch.cos(x[:, 1]), torch.sin(x[:, 1])], 1)
    return FORMULAS[wiring](structure.expand(theta), h)


@each_wiring
@embeddings
def test_jets(wiring: str, embedding: ClosedForm | None) -> None:
    structure, theta, x = _case(wiring, embedding)
    channels = ChannelSet.closure(2, [(3, 1), (0, 4), Laplacian((0, 1))])
    own, weights = x.clone().requires_grad_(), theta.clone().requires_grad_()
    value = _by_hand(wiring, structure, weights, own)
    assert relative_error(pf.MLP.with_theta(structure, theta)(x).detach(), value.detach()) < 1e-12
    rows = []
    for channel in channels.channels:
        pure = [(2, 0), (0, 2)] if isinstance(channel, Laplacian) else [channel]
        rows.append(sum(_nested(value, own, orders) for orders in pure))
    right = torch.stack(rows, 1)
    assert relative_error(REFERENCE.jets(structure.plan, theta, x, channels), right.detach()) < 1e-11
    grad = torch.randn(right.shape, dtype=FLOAT64, generator=torch.Generator().manual_seed(1))
    theta_bar, x_bar = torch.autograd.grad(right, (weights, own), grad)
    found = REFERENCE.jets_backward(structure.plan, theta, x, channels, grad, need_x=True)
    assert relative_error(found[0], theta_bar) < 1e-11
    assert found[1] is not None
    assert relative_error(found[1], x_bar) < 1e-11


def _nested(u: Tensor, x: Tensor, orders: tuple[int, ...]) -> Tensor:
    columns = []
    for own in u.unbind(1):
        for axis, order in enumerate(orders):
            for _ in range(order):
                own = torch.autograd.grad(own.sum(), x, create_graph=True)[0][:, axis]
        columns.append(own)
    return torch.stack(columns, 1)


@each_wiring
@embeddings
def test_jacobian(wiring: str, embedding: ClosedForm | None) -> None:
    """Point by point, of r = u_xx + v^2."""
    structure, theta, x = _case(wiring, embedding)
    channels = ChannelSet.closure(2, [(2, 0)])
    xx, n = channels.position((2, 0)), 3
    program = Program(
        channels, 1, 0, (Jet(0, 0, xx), Jet(0, 1, 0), Adjoint(0)),
        (Instruction("mul", 1, 1), Instruction("add", 0, n), Instruction("const", value=2.0),
         Instruction("mul", n + 2, 1), Instruction("mul", n + 3, 2)),
        2, (n + 1,), ((0, 2), (1, n + 4)),
    )  # fmt: skip
    term = Term("r", program, x[None, :9], torch.empty(9, 0, dtype=FLOAT64))

    def r(weights: Tensor) -> Tensor:
        own = x[:9].clone().requires_grad_()
        value = _by_hand(wiring, structure, weights, own)
        return _nested(value[:, :1], own, (2, 0)) + value[:, 1:] ** 2

    none = theta.new_zeros(0)
    found, jacobian = REFERENCE.residual_jacobian(structure.plan, theta, none, term)
    assert relative_error(found, r(theta).detach()) < 1e-11
    assert relative_error(jacobian, torch.autograd.functional.jacobian(r, theta)) < 1e-10
    whole = REFERENCE.loss_and_gradient(structure.plan, theta, none, [term], torch.ones(1, dtype=FLOAT64))
    assert relative_error(whole.theta, 2 * (found[..., None] * jacobian).sum((0, 1)) / 9) < 1e-11


def test_networks() -> None:
    """Made for a problem, written and read again."""
    box = pf.Box(x=(0, 1), y=(0, 1))
    problem = pf.Problem("wired", pf.PDE("x y", "u", lambda u: u.lap), box, [pf.Residual(box.random(60, 0))])
    net = pf.build_network(problem, Structure.dense([2, 6, 6, 1], wiring="gated"))
    again = pf.Structure.from_json(net.structure.to_json())
    assert again == net.structure
    assert again.layer_sizes == (2, 6, 6, 1)
    assert again.with_wiring("plain") == Structure.dense([2, 6, 6, 1])
    assert pf.MLP([2, 6, 6, 1], wiring="residual").structure.wiring == "residual"


@each_wiring
def test_who_does_not_have_them_declines(wiring: str) -> None:
    structure, theta, x = _case(wiring, None)
    channels = ChannelSet.closure(2, [])
    match = f"takes plain layers, not {wiring} ones; backend 'reference' takes any"
    with pytest.raises(BackendLimit, match=match):
        Toy().jets(structure.plan, theta, x, channels)


def test_refusals() -> None:
    for sizes, wiring, match in (
        ([2, 4, 5, 1], "gated", r"gated layers are hidden ones of one width, got \[4, 5\]"),
        ([2, 4, 5, 1], "residual", "residual layers are hidden ones of one width"),
        ([2, 1], "residual", "there is no hidden layer"),
        ([2, 4, 1], "gates", "wiring: expected one of"),
    ):
        with pytest.raises(InputError, match=match):
            Structure.dense(sizes, wiring=wiring)
    tied = pf.published_structure("laplace")
    with pytest.raises(InputError, match="residual layers have no relations; this structure has some"):
        tied.with_wiring("residual")
    with pytest.raises(InputError, match="has no embedding, ansatz or gates"):
        pf.MLP([2, 4, 1], wiring="gated").to_sequential()
