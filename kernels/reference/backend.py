"""The reference backend: all five operations in plain torch, any device, correct first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..channels import ChannelSet
from ..contract import AdamState, LossAndGradient, Term, TrainReport
from ..contract.checks import check_jets, check_like, check_loss, check_terms, check_training
from ..plan import Plan
from ..regularizer import Regularizer
from . import loss
from .affine import layer_weights
from .jets import backward, forward


class ReferenceBackend:
    """Plain torch. See `psinn_fast.kernels.contract.Backend` for what each operation takes and gives.

    It runs composed plans: in torch a signed sum or a small product costs a pass over all points, more than the
    multiplications that it spares.
    """

    name = "reference"
    device_types: tuple[str, ...] | None = None

    def unavailable(self) -> str | None:
        return None

    @torch.no_grad()
    def jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        check_jets(plan, theta, x, channels)
        plan = plan.composed
        weights = layer_weights(plan, plan.expand(theta))
        chunks = _rows(plan, channels, x)
        return torch.cat([forward(weights, x[rows], channels)[0] for rows in chunks], 1).transpose(0, 1)

    @torch.no_grad()
    def jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        check_jets(plan, theta, x, channels)
        check_like("grad", grad, theta, (x.shape[0], len(channels), plan.d_out))
        plan = plan.composed
        w = plan.expand(theta)
        w_bar = torch.zeros_like(w)
        weights, weights_bar = layer_weights(plan, w), layer_weights(plan, w_bar)
        x_bars = []
        for rows in _rows(plan, channels, x):
            _, tape = forward(weights, x[rows], channels)
            u_bar = grad[rows].transpose(0, 1).contiguous()
            x_bars.append(backward(weights, tape, channels, u_bar, weights_bar, need_x))
        x_bar = torch.cat([part for part in x_bars if part is not None]) if need_x else None
        return plan.pull_back(w, w_bar), x_bar

    @torch.no_grad()
    def loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        regularizer: Regularizer | None = None,
    ) -> LossAndGradient:
        check_loss(plan, theta, coefficients, terms, regularizer)
        plan = plan.composed
        return loss.losses_and_gradient(plan, theta, coefficients, terms, loss.batches(plan, terms), regularizer)

    @torch.no_grad()
    def train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        steps: int,
        regularizer: Regularizer | None = None,
    ) -> TrainReport:
        check_training(plan, state, terms, steps, regularizer)
        plan = plan.composed
        theta, coefficients = state.theta, state.coefficients
        beta1, beta2 = state.betas
        # glibc returns freed memory above twice the largest block freed so far, and each step would page it in anew:
        # up to 5,800 page faults, 6 ms.
        torch.empty(31 << 20, dtype=torch.uint8)
        prepared = loss.batches(plan, terms)
        history: list[Tensor] = []
        failure = None
        for _ in range(steps):
            result = loss.losses_and_gradient(plan, theta, coefficients, terms, prepared, regularizer)
            row = torch.cat([result.losses, result.penalty[None]])
            gradient = torch.cat([result.theta, result.coefficients])
            failure = _first_failure(row, gradient)
            if failure is not None:
                state.restore_good()
                break
            history.append(row)
            state.keep_good()
            rate = state.learning_rate()
            state.step += 1
            state.first_moment.lerp_(gradient, 1 - beta1)
            state.second_moment.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            scale = (state.second_moment / (1 - beta2**state.step)).sqrt_().add_(state.eps)
            change = state.first_moment / scale * (-rate / (1 - beta1**state.step))
            theta += change[: theta.numel()]
            coefficients += change[theta.numel() :]
        losses = torch.stack(history).cpu() if history else torch.empty(0, len(terms) + 1, dtype=theta.dtype)
        return TrainReport(losses, failure)

    @torch.no_grad()
    def residual_jacobian(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        check_terms(plan, theta, coefficients, [term])
        part = Term(term.name, term.program, term.points[:, rows], term.columns[rows], term.weight)
        return loss.residual_jacobian(plan.composed, theta, coefficients, part)


def _first_failure(row: Tensor, gradient: Tensor) -> int | None:
    if bool(torch.isfinite(row).all()):
        return None if bool(torch.isfinite(gradient).all()) else row.numel()
    return int(torch.nonzero(~torch.isfinite(row))[0])


def _rows(plan: Plan, channels: ChannelSet, x: Tensor) -> list[slice]:
    step = loss.chunk_rows(plan, channels)
    return [slice(start, start + step) for start in range(0, max(1, x.shape[0]), step)]
