"""How a kernel is cut up: points per tile, warps per program, programs on the chip."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .layout import Layout

PRECISIONS = ("ieee", "tf32x3", "tf32")


@dataclass(frozen=True)
class Configuration:
    """``block``: points per tile; ``warps`` per program; ``programs`` in the grid; ``precision`` of float32 products."""

    block: int
    warps: int
    programs: int
    precision: str = "ieee"


def widest_block(layout: Layout) -> int:
    return max((block.padded for own in layout.boundaries for block in own.neurons), default=16)


def choose(layout: Layout, dtype: torch.dtype, device: torch.device, precision: str) -> Configuration:
    """Small tiles: with 32 neurons and four channels, 32 points fill the registers of four warps."""
    if device.type != "cuda":  # the interpreter, where programs run one after another
        return Configuration(16, 1, 4, precision)
    width = widest_block(layout) * (2 if dtype == torch.float64 else 1)
    block = 32 if width <= 32 else 16
    warps = 4 if width <= 64 else 8
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    return Configuration(block, warps, 2 * processors, precision)
