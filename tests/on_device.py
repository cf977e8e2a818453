"""Tests written for tensors on the CPU, run on another device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from interpreted import IS_INSTALLED, ON_GPU
from torch import Tensor

from psinn_fast.kernels.contract import AdamState, Backend, Term
from psinn_fast.kernels.contract.base import OPERATIONS

__all__ = ["ON_GPU", "OnDevice", "moved", "moved_state"]

if not IS_INSTALLED:  # every test file that needs Triton imports this one
    pytest.skip("triton is not installed", allow_module_level=True)


def moved(terms: Sequence[Term], device: torch.device) -> list[Term]:
    return [
        replace(
            term,
            points=term.points.to(device),
            columns=term.columns.to(device),
            quadrature=None if term.quadrature is None else term.quadrature.to(device),
        )
        for term in terms
    ]


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
    """A backend whose tensors live on ``device``, for callers whose tensors live on the CPU.

    Where that is the CPU too, everything passes as it is: a backend may keep what belongs to the very same terms.
    """

    def __init__(self, backend: Backend, device: torch.device) -> None:
        self.backend, self.device = backend, device
        self.name, self.device_types = backend.name, None

    def unavailable(self) -> str | None:
        return self.backend.unavailable()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in OPERATIONS:
            raise AttributeError(name)
        operation: Callable[..., Any] = getattr(self.backend, name)
        if self.device.type == "cpu":
            return operation

        def run(*arguments: Any, **named: Any) -> Any:
            there = [_moved(argument, self.device) for argument in arguments]
            try:
                return _moved(operation(*there, **_moved(named, self.device)), torch.device("cpu"))
            finally:
                for own, changed in zip(arguments, there, strict=True):
                    if isinstance(own, AdamState):
                        _put_back(own, changed)
                if name == "add_gram":
                    arguments[0].copy_(there[0])

        return run


def _moved(value: Any, device: torch.device) -> Any:
    """The same with all tensors on the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Term):
        return moved([value], device)[0]
    if isinstance(value, AdamState):
        return moved_state(value, device)
    if isinstance(value, dict):
        return {name: _moved(item, device) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_moved(item, device) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _put_back(state: AdamState, own: AdamState) -> None:
    with torch.no_grad():
        for name in ("theta", "coefficients", "first_moment", "second_moment"):
            getattr(state, name).copy_(getattr(own, name))
    state.step = own.step
    state.good = None if own.good is None else tuple(tensor.cpu() for tensor in own.good)
