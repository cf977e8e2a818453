"""Steps with kernels that give their first results again: what no kernel can shorten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol
from unittest.mock import patch

import torch

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.channels import ChannelSet

from ..suite.case import Array
from ..suite.contestant import Clocked, Contestant

OPERATIONS = ("_jets", "_jets_backward", "_residuals_backward")


class Training(Contestant, Clocked, Protocol):
    """Of a library, which does much before its first step."""


class WithoutKernels:
    """Another's steps, of one network in a process. They do not train: all have the results of the first."""

    def __init__(self, inner: Training) -> None:
        self._inner = inner
        self._known: dict[tuple[object, ...], Any] = {}

    @property
    def seconds(self) -> float:
        return self._inner.seconds

    def loss_and_gradient(self) -> tuple[float, Array]:
        return self._inner.loss_and_gradient()

    def steps(self, count: int) -> None:
        with self._first_results():
            self._inner.steps(count)

    @contextmanager
    def _first_results(self) -> Iterator[None]:
        """For the same channels and shapes."""
        with ExitStack() as changed:
            for name in OPERATIONS:
                changed.enter_context(patch.object(CpuBackend, name, self._again(name, getattr(CpuBackend, name))))
            yield

    def _again(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def again(engine: CpuBackend, *arguments: Any) -> Any:
            key: tuple[object, ...] = (
                name,
                *(
                    item.shape
                    if isinstance(item, torch.Tensor)
                    else item
                    if isinstance(item, ChannelSet)
                    else type(item)
                    for item in arguments
                ),
            )
            if key not in self._known:
                self._known[key] = operation(engine, *arguments)
            return self._known[key]

        return again
