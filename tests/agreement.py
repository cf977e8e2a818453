"""A backend's results against the reference backend's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from cases import some_weights
from helpers import random_points, relative_error
from torch import Tensor

from psinn_fast.kernels.contract import Backend, Term
from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend

REFERENCE = ReferenceBackend()


def agree(ours: Sequence[Tensor | None], theirs: Sequence[Tensor | None], tolerance: float = 1e-12) -> None:
    """``floor``: where all cancels, rounding errors are what is left."""
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert (a is None) == (b is None)
        if a is None or b is None:
            continue
        assert (a.shape, a.dtype, a.requires_grad) == (b.shape, b.dtype, False)
        error = relative_error(a, b, floor=1e-2)
        assert error < tolerance, f"result {number}: relative error {error:.1e}"


def check_jets(backend: Backend, plan: Plan, theta: Tensor, channels: ChannelSet, n: int) -> None:
    """Each channel has to be right by itself: fourth derivatives are far larger than the value."""
    x = random_points(n, plan.d_in, n)
    grad = random_points(n * len(channels), plan.d_out, 1).view(n, len(channels), plan.d_out)
    ours, theirs = (b.jets(plan, theta, x, channels) for b in (backend, REFERENCE))
    assert ours.shape == theirs.shape
    agree(ours.unbind(1), theirs.unbind(1), 1e-11 if channels.order > 2 else 1e-12)
    agree(*(b.jets_backward(plan, theta, x, channels, grad, need_x=True) for b in (backend, REFERENCE)))
    agree(*(b.jets_backward(plan, theta, x, channels, grad) for b in (backend, REFERENCE)))


def check_losses(
    backend: Backend,
    plan: Plan,
    theta: Tensor,
    coefficients: Tensor,
    terms: Sequence[Term],
    jacobian: bool = True,
    regularizer: Regularizer | None = None,
) -> None:
    arguments = plan, theta, coefficients
    agree(*(b.loss_and_gradient(*arguments, terms, some_weights(terms), regularizer) for b in (backend, REFERENCE)))
    for term in terms if jacobian else ():
        agree(*(b.residual_jacobian(*arguments, term) for b in (backend, REFERENCE)))


def unit(d: int, axis: int, order: int = 1) -> tuple[int, ...]:
    return tuple(order * (i == axis) for i in range(d))


def channel_sets(d: int) -> dict[str, ChannelSet]:
    """Those with code of their own (value; u_x, u_xx; u_t, u_x, u_xx; Laplacian in 2d and 3d) and others."""
    firsts: list[Channel] = [unit(d, axis) for axis in range(d)]
    wanted: dict[str, list[Channel]] = {
        "value": [],
        "first": firsts[:1],
        "all first": firsts,
        "heat": [*firsts, unit(d, d - 1, 2)],
        "laplacian": [Laplacian(tuple(range(d)))],
        "some": [Laplacian((0,)), unit(d, d - 1, 3), tuple(1 for _ in range(d))],
        "second": [
            tuple(a + b for a, b in zip(unit(d, i), unit(d, j), strict=True)) for i in range(d) for j in range(i)
        ],
        "all": [index for index in product(range(5), repeat=d) if sum(index) == 4],
    }
    return {name: ChannelSet.closure(d, channels) for name, channels in wanted.items()}
