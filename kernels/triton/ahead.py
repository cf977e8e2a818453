"""The kernel of training, compiled for a chip that need not be here: a launch there finds it in Triton's cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from ..contract import Term
from ..contract.precision import IEEE
from ..errors import BackendLimit, BackendUnavailable, InputError
from ..language.channels import ChannelSet
from ..network.plan import Plan
from .backend import TritonBackend
from .configuration import Configuration, entry_for
from .fitting import first_likely
from .layout import make_layout
from .machine import installed_triton, is_interpreted, why_not_compiled
from .point_kernel import ALIGNED, PointKernel, Weights
from .writer import Mode

if TYPE_CHECKING:
    from triton.compiler import ASTSource, CompiledKernel

TYPES, WARP = {torch.float32: "fp32", torch.float64: "fp64"}, 32

# Shared memory that a program may have, in KB (CUDA C++ Programming Guide, "Technical Specifications per Compute
# Capability").
ROOMS = {"sm_80": 163, "sm_86": 99, "sm_89": 99, "sm_90": 227, "sm_120": 99}


def compile_for(chip: str, plan: Plan, terms: Sequence[Term], n_unknown: int, precision: str = IEEE) -> None:
    """Compile the first kernel of a training step, which takes longest, as the backend launches it on that chip.

    The second kernel depends on how many processors a card has, and is compiled there, in a second or two.

    Raises:
        InputError: an unknown chip.
        BackendUnavailable: Triton is not here, cannot be used, or interprets.
        BackendLimit: the chip has no room for it, or runs train such networks by another backend.
    """
    if chip not in ROOMS:
        advice = f"; write sm_{chip}" if f"sm_{chip}" in ROOMS else ""
        raise InputError(f"chip: expected one of {', '.join(ROOMS)}, got {chip!r}{advice}")
    check_compiler()
    like = terms[0].points
    check_fused(plan, [term.program.channels for term in terms], like.dtype)
    layout = make_layout(plan, like.dtype)
    entry = entry_for(chip, layout, like.dtype, precision)
    usual = Configuration(entry.block, entry.warps, 1, precision)
    members = list(dict.fromkeys(term.program for term in terms))
    channels = max(len(program.channels) for program in members)
    configuration = first_likely(layout, usual, Mode.LOSS, channels, like.dtype, chip, ROOMS[chip] * 1024)
    sources = [(program.channels, program) for program in members]
    compiled(PointKernel(layout, Weights(layout, like), sources, Mode.LOSS, n_unknown, configuration), like.dtype, chip)


def check_fused(plan: Plan, channel_sets: Sequence[ChannelSet], dtype: torch.dtype) -> None:
    """
    Raises:
        BackendLimit: "auto" does not train the network by the fused kernel; the message says by what it does.
    """
    backend, device = TritonBackend(), torch.device("cpu" if is_interpreted() else "cuda")
    limits = (backend.supports(plan, channels, dtype, device) for channels in channel_sets)
    reason = next((limit for limit in limits if limit is not None), None)
    if reason is None and plan.widest > backend.best_width:
        reason = f"plan: layers up to {backend.best_width} wide train by backend 'triton', got {plan.widest}"
    if reason is not None:
        raise BackendLimit(f"{reason}. Backend 'gemm' trains it, whose kernels compile within seconds: nothing to do")


def check_compiler() -> None:
    """
    Raises:
        BackendUnavailable: Triton is not here, cannot be used, or interprets.
    """
    if reason := why_not_compiled():
        raise BackendUnavailable(f"backend 'triton' cannot compile here: {reason}")


def compiled(kernel: PointKernel, dtype: torch.dtype, chip: str) -> CompiledKernel:
    """What a launch in training would compile on that chip, in Triton's cache; it raises as `check_compiler` does."""
    check_compiler()
    import triton
    from triton.backends.compiler import GPUTarget

    target = GPUTarget("cuda", int(chip.removeprefix("sm_")), WARP)
    return triton.compile(source_of(kernel, dtype), target=target, options=kernel.options)


def source_of(kernel: PointKernel, dtype: torch.dtype) -> ASTSource:
    """Its key in Triton's cache has to be that of the launch.

    That knows of pointers that are multiples of 16 bytes: all but that of coefficients behind some number of weights.
    Of other pointers and of constants that are texts it says nothing, but that it does; from Triton 3.7 on of all
    constants.
    """
    from triton.compiler import ASTSource

    types, constants = kernel.signature(TYPES[dtype])
    known: dict[tuple[int], list[list[object]]] = {}
    mentioned = object if installed_triton()[0] >= (3, 7) else str
    for at, name in enumerate(kernel.function.arg_names):
        is_odd = name == "unknown" and kernel.has_odd_unknown
        if types[name].startswith("*") and not is_odd:
            known[at,] = [["tt.divisibility", ALIGNED]]
        elif is_odd or (name in constants and isinstance(constants[name], mentioned)):
            known[at,] = []
    return ASTSource(kernel.function, types, constants, known)
