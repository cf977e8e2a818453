"""What "auto" gives where a backend has limits that are only known with the network: it, or else another."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

from torch import Tensor

from ..channels import ChannelSet
from ..errors import BackendLimit
from ..plan import Plan
from ..regularizer import Regularizer
from .adam import AdamState
from .base import Backend
from .operations import LossAndGradient, Term, TrainReport


@cache
def say_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)


class WithFallback:
    """``first``; ``second`` does what is beyond the limits of that, and a warning says so once."""

    def __init__(self, first: Backend, second: Backend) -> None:
        self._first, self._second = first, second
        self.name, self.device_types = first.name, first.device_types

    def unavailable(self) -> str | None:
        return self._first.unavailable()

    def jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        result: Tensor = self._do("jets", plan, theta, x, channels)
        return result

    def jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        result: tuple[Tensor, Tensor | None] = self._do("jets_backward", plan, theta, x, channels, grad, need_x)
        return result

    def loss_and_gradient(
        self,
        plan: Plan,
        theta: Tensor,
        coefficients: Tensor,
        terms: Sequence[Term],
        regularizer: Regularizer | None = None,
    ) -> LossAndGradient:
        result: LossAndGradient = self._do("loss_and_gradient", plan, theta, coefficients, terms, regularizer)
        return result

    def train(
        self,
        plan: Plan,
        state: AdamState,
        terms: Sequence[Term],
        steps: int,
        regularizer: Regularizer | None = None,
    ) -> TrainReport:
        result: TrainReport = self._do("train", plan, state, terms, steps, regularizer)
        return result

    def residual_jacobian(
        self, plan: Plan, theta: Tensor, coefficients: Tensor, term: Term, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = self._do("residual_jacobian", plan, theta, coefficients, term, rows)
        return result

    def _do(self, operation: str, *arguments: Any) -> Any:
        try:
            return getattr(self._first, operation)(*arguments)
        except BackendLimit as limit:
            say_once(f"backend {self._first.name!r} is not used, but {self._second.name!r}: {limit}")
            return getattr(self._second, operation)(*arguments)
