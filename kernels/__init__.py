"""Kernels of psinn_fast: operations on tanh networks, one contract, several backends.

Nothing here imports the front end (``psinn_fast.*``), and importing it probes no device.
"""

from .contract.registry import (
    at_work,
    available_backends,
    get_backend,
    kernels_for,
    networks_of_the_library,
    or_reference,
    products_at_work,
    register_backend,
    unregister_backend,
)
from .triton.ahead import check_compiler, check_fused, compile_for
from .triton.machine import BY_TRITON

__all__ = [
    "BY_TRITON",
    "at_work",
    "available_backends",
    "check_compiler",
    "check_fused",
    "compile_for",
    "get_backend",
    "kernels_for",
    "networks_of_the_library",
    "or_reference",
    "products_at_work",
    "register_backend",
    "unregister_backend",
]
