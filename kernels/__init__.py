"""Kernels of psinn_fast: operations on tanh networks, one contract, several backends.

Nothing here imports the front end (``psinn_fast.*``), and importing it probes no device.
"""

from .contract.registry import available_backends, get_backend, register_backend, unregister_backend

__all__ = ["available_backends", "get_backend", "register_backend", "unregister_backend"]
