"""Backends by name. Asked for by name, a backend that cannot run raises and says why; only "auto" chooses."""

from __future__ import annotations

from .contract import Backend
from .cpu.backend import CpuBackend
from .errors import BackendUnavailable, InputError
from .reference.backend import ReferenceBackend

# In order of preference for "auto".
_BACKENDS: dict[str, Backend] = {"cpu": CpuBackend(), "reference": ReferenceBackend()}


def available_backends() -> dict[str, str | None]:
    """Every backend's name with None, or the reason why it cannot run here."""
    return {name: backend.unavailable() for name, backend in _BACKENDS.items()}


def get_backend(name: str = "auto") -> Backend:
    """The backend of that name; ``"auto"`` takes the first that can run.

    Raises:
        InputError: no such backend.
        BackendUnavailable: it cannot run here; the message says why.
    """
    if name == "auto":
        for backend in _BACKENDS.values():
            if backend.unavailable() is None:
                return backend
        raise BackendUnavailable(f"no backend can run here: {available_backends()}")
    if name not in _BACKENDS:
        raise InputError(f"backend: expected one of {['auto', *_BACKENDS]}, got {name!r}")
    backend = _BACKENDS[name]
    reason = backend.unavailable()
    if reason is not None:
        raise BackendUnavailable(f"backend {name!r} cannot run here: {reason}")
    return backend
