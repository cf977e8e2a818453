"""Trained slopes on every backend: a(n s_l (W h + b)) by hand and by nested autograd, and all of its gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import CASES, some_weights
from helpers import random_points, relative_error
from torch import Tensor

import psinn_fast as pf
from psinn_fast.kernels.contract import AdamState, Backend
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.networks.structure import Structure

FLOAT64 = torch.float64
FACTOR = 3.0
ADAPTIVE = pf.Adaptive("tanh", FACTOR)
CASE = CASES["burgers with unknown nu"]
NU = torch.tensor([0.4], dtype=FLOAT64)


def _framed() -> Structure:
    own = Structure.dense([2, 7, 5, 1], activation=ADAPTIVE)
    return replace(own, centre=(0.3, -0.1), input_scale=(2.0, 0.5), output_scale=(1.5,))


STRUCTURES = {
    "dense": _framed(),
    "tied": pf.published_structure("burgers").with_width(2).with_activation(ADAPTIVE),
    "constant neurons": pf.published_structure("laplace").with_width(2).with_activation(ADAPTIVE),
}
each_structure = pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)


def _theta(structure: Structure) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    theta = 0.6 * torch.randn(structure.n_parameters, dtype=FLOAT64, generator=generator)
    theta[: len(structure.ahead)] = 0.3 + 0.2 * torch.rand(len(structure.ahead), dtype=FLOAT64, generator=generator)
    return theta


def by_hand(structure: Structure, theta: Tensor, x: Tensor) -> Tensor:
    n = len(structure.layers) - 1
    *hidden, last = structure.without_slopes.expand(theta[n:])
    for slope, (w, b) in zip(theta[:n], hidden, strict=True):
        x = torch.tanh(FACTOR * slope * (x @ w.T + b))
    return x @ last[0].T + last[1]


def nested(u: Tensor, x: Tensor, orders: tuple[int, ...]) -> Tensor:
    for axis, order in enumerate(orders):
        for _ in range(order):
            u = torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, axis]
    return u


@each_structure
def test_jets(backend: Backend, structure: Structure) -> None:
    """To order 4, and their gradients for slopes, weights and points."""
    channels, x = ChannelSet.closure(2, [(4, 0), (1, 3), Laplacian((0, 1))]), random_points(11, 2)
    theta, own = _theta(structure).requires_grad_(), x.clone().requires_grad_()
    u = by_hand(structure, theta, own)[:, 0]
    pure = [[(2, 0), (0, 2)] if isinstance(c, Laplacian) else [c] for c in channels.channels]
    right = torch.stack([torch.stack([nested(u, own, c) for c in parts]).sum(0) for parts in pure], 1)[..., None]
    plan, weights = structure.plan, theta.detach()
    assert relative_error(backend.jets(plan, weights, x, channels), right) < 1e-11
    assert relative_error(backend.differentiable_jets(plan, weights, x, channels), right) < 1e-11
    grad = random_points(right.numel(), 1, 1).view(right.shape)
    for_theta, for_x = torch.autograd.grad(right, (theta, own), grad)
    theta_bar, x_bar = backend.jets_backward(plan, weights, x, channels, grad, need_x=True)
    assert relative_error(theta_bar, for_theta) < 1e-11
    n = len(structure.ahead)
    assert relative_error(theta_bar[:n], for_theta[:n]) < 1e-11
    assert x_bar is not None
    assert relative_error(x_bar, for_x) < 1e-11


@each_structure
def test_residuals(backend: Backend, structure: Structure) -> None:
    """Jacobian, losses, their gradients and a penalty: of the residuals u_t + u u_x - nu u_xx, and of values."""
    terms, plain, _ = CASE.build(13)
    theta, plan = _theta(structure), structure.plan

    def residuals(weights: Tensor, nu: Tensor, number: int) -> Tensor:
        x = terms[number].points.clone().requires_grad_()
        u = by_hand(structure, weights, x[0])[:, 0]

        def d(*orders: int, field: int = 0, site: int = 0) -> Tensor:
            value = u
            for axis, order in enumerate(orders):
                for _ in range(order):
                    value = torch.autograd.grad(value.sum(), x, create_graph=True)[0][0, :, axis]
            return value

        return torch.stack([*plain[number](d, x, terms[number].columns, nu)], 1)

    for number, term in enumerate(terms):
        right = torch.autograd.functional.jacobian(lambda w, nu, k=number: residuals(w, nu, k), (theta, NU))
        r, jacobian = backend.residual_jacobian(plan, theta, NU, term)
        assert relative_error(r, residuals(theta, NU, number)) < 1e-11
        assert relative_error(jacobian, torch.cat(right, 2)) < 1e-11
        s = random_points(r.numel(), 1, 2).view(r.shape)
        found = backend.residuals_backward(plan, theta, NU, term, s, need_r=True)
        assert relative_error(found.theta, torch.einsum("nm,nmp->p", s, right[0])) < 1e-11
        assert found.residuals is not None
        assert relative_error(found.residuals, r) < 1e-12

    weights, penalty = some_weights(terms), Regularizer("l2", 0.1)
    own, nu = theta.clone().requires_grad_(), NU.clone().requires_grad_()
    losses = torch.stack([residuals(own, nu, k).square().sum(1).mean() for k in range(len(terms))])
    inner, n = structure.without_slopes.plan, len(structure.ahead)
    norms = torch.stack([own[n:][part].norm() for part in inner.weight_slices])
    right = torch.autograd.grad(losses @ weights + 0.1 * norms.sum(), (own, nu))
    found = backend.loss_and_gradient(plan, theta, NU, terms, weights, penalty)
    assert relative_error(found.losses, losses) < 1e-11
    assert relative_error(found.penalty, 0.1 * norms.sum()) < 1e-12
    assert relative_error(found.theta, right[0]) < 1e-11
    assert relative_error(found.coefficients, right[1]) < 1e-11
    by_term = backend.term_gradients(plan, theta, NU, terms)[1]
    without = backend.loss_and_gradient(plan, theta, NU, terms, weights)
    assert relative_error(weights @ by_term, torch.cat([without.theta, without.coefficients])) < 1e-12


def test_adam(backend: Backend) -> None:
    """The steps of torch.optim.Adam on (s, v)."""
    structure = STRUCTURES["dense"]
    terms, _, _ = CASE.build(9)
    theta, weights = _theta(structure), some_weights(terms)
    state = AdamState(theta.clone(), NU.clone(), 1e-2)
    report = backend.train(structure.plan, state, terms, weights, 3, Regularizer("l1", 0.01))
    own, nu = theta.clone().requires_grad_(), NU.clone().requires_grad_()
    optimizer = torch.optim.Adam([own, nu], 1e-2)
    for row in report.losses:
        found = backend.loss_and_gradient(structure.plan, own, nu, terms, weights, Regularizer("l1", 0.01))
        assert relative_error(row[:-1], found.losses) < 1e-12
        own.grad, nu.grad = found.theta, found.coefficients
        optimizer.step()
    assert relative_error(state.theta, own) < 1e-12
    assert relative_error(state.coefficients, nu) < 1e-12


def test_wrong_size(backend: Backend) -> None:
    structure = STRUCTURES["dense"]
    short = _theta(structure)[2:]
    with pytest.raises(pf.InputError, match=rf"theta: expected shape \({len(short) + 2},\), got \({len(short)},\)"):
        backend.jets(structure.plan, short, random_points(3, 2), ChannelSet.closure(2, []))
