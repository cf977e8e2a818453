"""Tests written for tensors on the CPU, run on another device."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend, LossAndGradient, Term, TrainReport
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.language.regularizer import Regularizer
from psinn_fast.kernels.network.plan import Plan

# The tests run on a GPU instead of in Triton's interpreter.
ON_GPU = os.environ.get("PSINN_FAST_GPU_TESTS") == "1"
_spec = importlib.util.find_spec("triton")
if _spec is None or _spec.origin is None:  # every test file of this folder imports this one
    pytest.skip("triton is not installed", allow_module_level=True)


def moved(terms: Sequence[Term], device: torch.device) -> list[Term]:
    return [replace(term, points=term.points.to(device), columns=term.columns.to(device)) for term in terms]


def moved_state(state: AdamState, device: torch.device) -> AdamState:
    """A state of its own only where the device is another one."""
    return replace(
        state,
        theta=state.theta.to(device),
        coefficients=state.coefficients.to(device),
        first_moment=state.first_moment.to(device),
        second_moment=state.second_moment.to(device),
        good=None if state.good is None else tuple(tensor.to(device) for tensor in state.good),
    )


class OnDevice:
    """A backend whose tensors live on ``device``, for callers whose tensors live on the CPU."""

    def __init__(self, backend: Backend, device: torch.device) -> None:
        self.backend, self.device = backend, device
        self.name, self.device_types = backend.name, None
        self._is_here = device.type == "cpu"

    def unavailable(self) -> str | None:
        return self.backend.unavailable()

    def jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        return self.backend.jets(plan, theta.to(self.device), x.to(self.device), channels).cpu()

    def jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        theta, x, grad = (tensor.to(self.device) for tensor in (theta, x, grad))
        theta_bar, x_bar = self.backend.jets_backward(plan, theta, x, channels, grad, need_x)
        return theta_bar.cpu(), None if x_bar is None else x_bar.cpu()

    def loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        weights: Tensor,
        regularizer: Regularizer | None = None,
    ) -> LossAndGradient:
        theta, coefficients = theta.to(self.device), coefficients.to(self.device)
        result = self.backend.loss_and_gradient(
            plan, theta, coefficients, self._own(terms), weights.to(self.device), regularizer
        )
        return LossAndGradient(*(tensor.cpu() for tensor in result))

    def train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        weights: Tensor,
        steps: int,
        regularizer: Regularizer | None = None,
    ) -> TrainReport:
        if self._is_here:
            return self.backend.train(plan, state, terms, weights, steps, regularizer)
        own = moved_state(state, self.device)
        try:
            return self.backend.train(plan, own, self._own(terms), weights.to(self.device), steps, regularizer)
        finally:
            with torch.no_grad():
                for name in ("theta", "coefficients", "first_moment", "second_moment"):
                    getattr(state, name).copy_(getattr(own, name))
            state.step = own.step
            state.good = None if own.good is None else tuple(tensor.cpu() for tensor in own.good)

    def residual_jacobian(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        theta, coefficients = theta.to(self.device), coefficients.to(self.device)
        residuals, jacobian = self.backend.residual_jacobian(plan, theta, coefficients, *self._own([term]), rows)
        return residuals.cpu(), jacobian.cpu()

    def _own(self, terms: Sequence[Term]) -> Sequence[Term]:
        """The very same terms where nothing has to move: a backend may keep what belongs to them."""
        return terms if self._is_here else moved(terms, self.device)
