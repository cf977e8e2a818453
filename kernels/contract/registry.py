"""Backends by name. Asked for by name, a backend that cannot run raises and says why; only "auto" chooses."""

from __future__ import annotations

import torch

from ..cpu.backend import CpuBackend
from ..errors import BackendUnavailable, InputError
from ..reference.backend import ReferenceBackend
from ..triton.backend import TritonBackend
from .base import Backend
from .fallback import WithFallback, say_once

_REFERENCE = ReferenceBackend()
# In order of preference for "auto".
_BACKENDS: dict[str, Backend] = {"triton": TritonBackend(), "cpu": CpuBackend(), "reference": _REFERENCE}
# What "auto" gives in place of a backend that cannot do every network.
_WITH_FALLBACK: dict[str, Backend] = {name: WithFallback(_BACKENDS[name], _REFERENCE) for name in ("triton", "cpu")}


def available_backends() -> dict[str, str | None]:
    """Every backend's name with None, or the reason why it cannot run here."""
    return {name: backend.unavailable() for name, backend in _BACKENDS.items()}


def get_backend(name: str = "auto", device: torch.device | None = None) -> Backend:
    """The backend of that name; ``"auto"`` takes the first that can run, with one warning for each that cannot.

    What ``"auto"`` gives leaves networks that are beyond its kernels (width, depth, memory) to the reference backend,
    and says so once.

    Args:
        name: see `available_backends`.
        device: where the tensors are; None: on the CPU.

    Raises:
        InputError: no such backend.
        BackendUnavailable: it cannot run here; the message says why.
    """
    if name == "auto":
        kind = "cpu" if device is None else device.type
        for backend in _BACKENDS.values():
            if backend.device_types is not None and kind not in backend.device_types:
                continue
            reason = backend.unavailable()
            if reason is None:
                return _WITH_FALLBACK.get(backend.name, backend)
            say_once(f"backend {backend.name!r} is not used: {reason}")
        raise BackendUnavailable(f"no backend can run here: {available_backends()}")
    if not isinstance(name, str) or name not in _BACKENDS:
        raise InputError(f"backend: expected one of {['auto', *_BACKENDS]}, got {name!r}")
    backend = _BACKENDS[name]
    reason = backend.unavailable()
    if reason is not None:
        raise BackendUnavailable(f"backend {name!r} cannot run here: {reason}")
    return backend
