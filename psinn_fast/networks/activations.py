"""Activations as torch's users know them: functions, modules, and which of ours a module is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..kernels import checks
from ..kernels.language.activations import TANH, activation_of

# Beyond its threshold torch takes softplus(z) for z; at 20, which is its default, that is off by 2e-9.
EXACT, DEFAULT = 50.0, 20.0


class Sine(nn.Module):
    """sin z, for ``nn.Sequential(nn.Linear(...), pf.Sine(), ...)``; torch has no module of it."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sin(z)


@dataclass(frozen=True)
class Adaptive:
    """An activation with trained slopes: hidden layers a(n s_l (W_l h + b_l)), one s_l for each of them.

    s_l starts at 1/n, so that the network begins as one without slopes, and is trained with the weights; n says how
    fast, since a step of Adam changes n s_l by n times as much. ``activation=pf.Adaptive("tanh", 5.0)`` where networks
    take an activation. All backends compute such networks; relations stay, since a common factor keeps them.

    Args:
        activation: "tanh", "sin", "silu", "gelu" or "softplus".
        factor: n.

    Raises:
        InputError: another activation; a factor that is no number from 1e-30 to below 1e30.

    Source: Jagtap, Kawaguchi & Karniadakis 2020, doi 10.1098/rspa.2020.0334 (without its slope recovery term).
    """

    activation: str = TANH.name
    factor: float = 1.0

    def __post_init__(self) -> None:
        activation_of(self.activation)
        object.__setattr__(self, "factor", checks.number("factor", self.factor, least=1e-30, below=1e30))


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
# By what settings a module is the function that the kernels have, and in words.
_SETTINGS: dict[type[nn.Module], tuple[Callable[[Any], bool], str]] = {
    nn.GELU: (lambda module: module.approximate == "none", "approximate='none'"),
    nn.Softplus: (
        lambda module: module.beta == 1 and module.threshold >= DEFAULT,
        f"beta=1, threshold={DEFAULT:g} or more",
    ),
}


def module_of(activation: str) -> nn.Module:
    """A new one."""
    return _MODULES[activation]()


def name_of(module: nn.Module) -> str | None:
    """Of the activation that a module is; None for none of ours, as ``nn.GELU("tanh")``."""
    kind = _kind(module)
    return None if kind is None or _settings_needed(module) else _KINDS[kind]


def described(module: nn.Module) -> str:
    """Its class; of an activation that its settings make another function, with these, and those that it needs."""
    own, needed = type(module).__name__, _settings_needed(module)
    return f"{own}({module.extra_repr()}) (known with {needed})" if needed else own


def _kind(module: nn.Module) -> type[nn.Module] | None:
    return next((own for own in _KINDS if isinstance(module, own)), None)


def _settings_needed(module: nn.Module) -> str | None:
    """Those that would make it the kernels' function; None where it has them, or there are none."""
    kind = _kind(module)
    if kind is None or kind not in _SETTINGS:
        return None
    is_ours, words = _SETTINGS[kind]
    return None if is_ours(module) else words


def kind_of(activation: str) -> type[nn.Module]:
    """The class whose instances are such activations."""
    return next(kind for kind, name in _KINDS.items() if name == activation)
