"""Activations as torch's users know them: functions, modules, and which of ours a module is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Beyond it torch takes softplus(z) for z; at 20, which is its default, that is off by 2e-9.
EXACT = 50.0


class Sine(nn.Module):
    """sin z, for ``nn.Sequential(nn.Linear(...), pf.Sine(), ...)``; torch has no module of it."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sin(z)


def _softplus(z: Tensor) -> Tensor:
    return F.softplus(z, threshold=EXACT)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sin": torch.sin,
    "silu": F.silu,
    "gelu": F.gelu,
    "softplus": _softplus,
}
_MODULES: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "sin": Sine,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": lambda: nn.Softplus(threshold=EXACT),
}
_KINDS: dict[type[nn.Module], str] = {
    nn.Tanh: "tanh",
    Sine: "sin",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
    nn.Softplus: "softplus",
}
# What of a module has to be as it is here, or it is another function.
_SETTINGS: dict[type[nn.Module], dict[str, Any]] = {nn.GELU: {"approximate": "none"}, nn.Softplus: {"beta": 1}}


def module_of(activation: str) -> nn.Module:
    """A new one."""
    return _MODULES[activation]()


def name_of(module: nn.Module) -> str | None:
    """Of the activation that a module is; None for none of ours, as ``nn.GELU("tanh")``."""
    kind = next((own for own in _KINDS if isinstance(module, own)), None)
    if kind is None or any(getattr(module, name) != value for name, value in _SETTINGS.get(kind, {}).items()):
        return None
    return _KINDS[kind]


def kind_of(activation: str) -> type[nn.Module]:
    """The class whose instances are such activations."""
    return next(kind for kind, name in _KINDS.items() if name == activation)
