"""The same numbers in other layouts of memory, and all operations on them."""

from __future__ import annotations

import torch
from cases import make, some_weights
from helpers import random_points, relative_error
from torch import Tensor

from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan

CHANNELS = ChannelSet.closure(2, [(1, 1), (0, 2)])


def problem(n: int = 37, dtype: torch.dtype = torch.float64) -> tuple[Plan, Tensor, Tensor, list[Term]]:
    structure, theta, coefficients, terms, _ = make("burgers with unknown nu", (9, 5), n, dtype)
    return lower(structure.layers), theta, coefficients, terms


def jet_arguments(n: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Points, and the adjoint of jets in them."""
    return random_points(n, 2).to(dtype), random_points(n, len(CHANNELS)).to(dtype)[:, :, None]


def everything(
    backend, plan: Plan, theta: Tensor, coefficients: Tensor, terms: list[Term], x: Tensor, grad: Tensor
) -> list[Tensor]:
    """Results of all operations but `train`."""
    x_bar = backend.jets_backward(plan, theta, x, CHANNELS, grad, need_x=True)
    jacobians = [backend.residual_jacobian(plan, theta, coefficients, term) for term in terms]
    return [
        backend.jets(plan, theta, x, CHANNELS),
        *x_bar,
        *backend.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms), Regularizer("l2", 0.1)),
        *(part for pair in jacobians for part in pair),
    ]


def strided(t: Tensor) -> Tensor:
    return t.repeat_interleave(2, -1)[..., ::2]


def transposed(t: Tensor) -> Tensor:
    return t.mT.contiguous().mT if t.ndim > 1 else t


def within_another(t: Tensor) -> Tensor:
    """Contiguous, but not on any boundary."""
    return torch.cat([t.new_full((3,), torch.nan), t.flatten(), t.new_full((5,), torch.nan)])[3:-5].view(t.shape)


def reversed_twice(t: Tensor) -> Tensor:
    return t.flip(0).contiguous().flip(0)


def requiring_gradients(t: Tensor) -> Tensor:
    return t.clone().requires_grad_()


def with_history(t: Tensor) -> Tensor:
    return t.clone().requires_grad_() * 1


def parameter(t: Tensor) -> Tensor:
    return torch.nn.Parameter(t.clone())


class Labelled(Tensor):
    """A subclass as users make them."""


def labelled(t: Tensor) -> Tensor:
    return t.clone().as_subclass(Labelled)


def same_kind(ours: Tensor, theirs: Tensor) -> None:
    """Finite in the same places, and there equal. (NaN or infinity: the order of operations decides.)"""
    finite = theirs.isfinite()
    assert torch.equal(ours.isfinite(), finite)
    assert relative_error(ours[finite], theirs[finite], floor=1e-2) < 1e-12
