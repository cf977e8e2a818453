"""Whether a torch module computes what its class says: kernels read its numbers, and nothing else of it."""

from __future__ import annotations

from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def changed(module: nn.Module, kind: type[nn.Module]) -> str | None:
    """What makes it another function, or its gradient another one, than that of ``kind``; None for nothing."""
    own = type(module)
    if own.forward is not kind.forward or own.__call__ is not kind.__call__ or "forward" in module.__dict__:
        return f"its forward is not that of {kind.__name__}"
    if any(len(getattr(module, name)) for name in _HOOKS):
        return "it has hooks"
    return "it has parametrizations" if "parametrizations" in module._modules else None
