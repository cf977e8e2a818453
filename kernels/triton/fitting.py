"""Tiles that fit on a chip: smaller ones, as long as there are any, and what to do where there are none."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from ..contract.precision import IEEE
from ..errors import BackendLimit
from ..network.plan import Plan
from .configuration import Configuration
from .layout import Layout
from .shared_memory import least_shared
from .writer import Mode

# Tensor cores take sixteen points at once; FMAs any number, in float32.
SMALL_BLOCK, SMALLEST_BLOCK, MOST_WARPS = 16, 4, 8


def smaller(configuration: Configuration, dtype: torch.dtype) -> Configuration | None:
    if configuration.block > SMALL_BLOCK:
        return replace(configuration, block=configuration.block // 2)
    if configuration.warps < MOST_WARPS:
        return replace(configuration, warps=configuration.warps * 2)
    if configuration.block > SMALLEST_BLOCK and configuration.precision == IEEE and dtype == torch.float32:
        return replace(configuration, block=configuration.block // 2)
    return None


def first_likely(
    layout: Layout, configuration: Configuration, mode: Mode, channels: int, dtype: torch.dtype, chip: str, room: int
) -> Configuration:
    """The first configuration, from this one on, that is not known to be too large for a program's ``room``, in bytes.

    Raises:
        BackendLimit: none is; the message says what would fit.
    """
    needed = partial(least_shared, layout, channels, mode, chip=chip)
    left: Configuration | None = configuration
    while left is not None and needed(left, dtype) > room:
        configuration, left = left, smaller(left, dtype)
    if left is not None:
        return left
    widest = layout.plan.widest
    narrower = (widest >> k for k in range(1, 5) if needed(configuration, dtype, halvings=k) <= room)
    remedies = [f"layers {next(narrower, 'much less')} wide"]
    now = configuration, dtype
    others = {
        "float32": (configuration, torch.float32),
        "precision 'ieee'": (replace(configuration, precision=IEEE), dtype),
    }
    remedies += [remedy for remedy, other in others.items() if other != now and needed(*other) <= room]
    reason = f"it takes {needed(*now)} bytes of shared memory, and there are {room}"
    raise no_room(widest, dtype, reason, ", ".join(remedies))


def needs_parameters(name: str, plan: Plan) -> str | None:
    """Why the kernels of a backend do not take a plan: they read its first number where a weight is zero."""
    if plan.n_parameters:
        return None
    return f"plan: backend {name!r} needs parameters, and this network has none; backend 'reference' takes any"


def no_room(widest: int, dtype: torch.dtype, reason: str, remedies: str) -> BackendLimit:
    return BackendLimit(
        f"plan: backend 'triton' has no room on this GPU for layers {widest} wide in {dtype} with these derivatives "
        f"({reason}); {remedies} or backend 'reference' would work"
    )
