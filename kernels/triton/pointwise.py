"""The chain rule through a hidden layer as two generated kernels, which read and write every number once.

In torch it takes some ten passes over all jets of a layer; beside products by the chip's own library these would take
most of a step.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor

from ..language.activations import Activation
from ..language.channels import ChannelSet
from ..reference.activation_jet import ChainRule
from .activation_source import jets, jets_adjoint, keep
from .functions import IS_INTERPRETED
from .lines import Lines
from .modules import module_of
from .naming import PREFIX

HEADER = """import triton
import triton.language as tl
from psinn_fast.kernels.triton.functions import cos, erf, exp, sigmoid, sin, softplus, tanh
"""
# Numbers that a program holds, of all channels together, read and written; the interpreter takes as long for any.
HELD, MOST, LEAST = 8192, 1024, 128


def jet(z: Tensor, activation: Activation, channels: ChannelSet, first: int) -> tuple[Tensor, None]:
    """See `ChainRule`; nothing is kept, since it is sooner computed again than read."""
    h = z.new_empty(len(channels) - first, *z.shape[1:])
    _launch("jet", activation, channels, first, z, h)
    return h, None


def adjoint(z: Tensor, saved: None, h_bar: Tensor, activation: Activation, channels: ChannelSet, first: int) -> Tensor:
    z_bar = torch.empty_like(z)
    _launch("adjoint", activation, channels, first, z, h_bar.contiguous(), z_bar)
    return z_bar


GENERATED = ChainRule(jet, adjoint)


def _launch(name: str, activation: Activation, channels: ChannelSet, first: int, z: Tensor, *others: Tensor) -> None:
    """``name``: of the kernel. Offsets are 32-bit numbers: chunks of points see to that (`gemm.NUMBERS`)."""
    n = z[0].numel()
    block = 1 << 14 if IS_INTERPRETED.value else block_of(channels)
    kernel = getattr(kernels(activation, channels, first), f"{PREFIX}_{name}")
    kernel[(-(-n // block),)](z.contiguous(), *others, n, BLOCK=block, num_warps=4)


def block_of(channels: ChannelSet) -> int:
    """Numbers of one channel that a program takes: a power of two."""
    fitting = HELD // (2 * len(channels))
    return max(LEAST, min(MOST, 1 << (fitting.bit_length() - 1)))


@lru_cache(maxsize=256)
def kernels(activation: Activation, channels: ChannelSet, first: int) -> ModuleType:
    """``psinn_jet(z, h, n)``, ``psinn_adjoint(z, h_bar, z_bar, n)``: tensors (channels, n), of h from ``first`` on."""
    return module_of(source(activation, channels, first))


def source(activation: Activation, channels: ChannelSet, first: int) -> str:
    leaving = range(first, len(channels))
    forward, z, kept = _begin(activation, channels)
    for c, value in jets(forward, activation, channels, kept, z, leaving).items():
        forward.line(f"tl.store(h + {c - first} * n + at, {value}, mask=inside)")
    back, z, kept = _begin(activation, channels)
    h_bar = {
        c: back.set(f"bar_h{c}", f"tl.load(h_bar + {c - first} * n + at, mask=inside, other=0.0)") for c in leaving
    }
    for c, value in enumerate(jets_adjoint(back, activation, channels, kept, z, h_bar)):
        back.line(f"tl.store(z_bar + {c} * n + at, {value}, mask=inside)")
    return "\n".join([
        HEADER, "",
        "@triton.jit", f"def {PREFIX}_jet(z, h, n, BLOCK: tl.constexpr):", *forward.lines, "", "",
        "@triton.jit", f"def {PREFIX}_adjoint(z, h_bar, z_bar, n, BLOCK: tl.constexpr):", *back.lines, "",
    ])  # fmt: skip


def _begin(activation: Activation, channels: ChannelSet) -> tuple[Lines, list[str], str]:
    """Names of all channels of z, and of what is kept of its value."""
    lines = Lines()
    lines.line("at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)")
    lines.line("inside = at < n")
    z = [lines.set(f"z{c}", f"tl.load(z + {c} * n + at, mask=inside, other=0.0)") for c in range(len(channels))]
    return lines, z, lines.set("kept", keep(lines, activation, "z0"))
