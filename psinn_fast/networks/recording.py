"""Who watches the calls of networks while a user's loss is recorded (`psinn_fast.fusing`)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from ..kernels.language.channels import Channel

if TYPE_CHECKING:
    from .mlp import PsiMLP


class Watcher(Protocol):
    """Is told of every call of a network, and gives what it returns."""

    def value(self, net: PsiMLP, x: Tensor) -> Tensor:
        """``net(x)``."""
        ...

    def derivative(self, net: PsiMLP, x: Tensor, found: Tensor, field: int, channel: Channel) -> None:
        """``found`` (N,) is a derivative of an output at x (N, d), from `derivatives`."""
        ...


WATCHER: ContextVar[Watcher | None] = ContextVar("WATCHER", default=None)
