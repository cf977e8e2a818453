"""Kernels written by hand, on the emulator."""

from __future__ import annotations

import numpy as np
import torch

from bench.emulator.machine import Counts, Machine
from bench.emulator.memory import UNWRITTEN
from bench.emulator.ptx import Function, kernel

# Registers enough for all of them.
HEAD = """.version 8.8
.target sm_90
.address_size 64
.extern .shared .align 16 .b8 global_smem[];
{outside}
.visible .entry run(
{parameters}
)
.reqntid {threads}
{{
	.reg .pred %p<9>;
	.reg .b16 %rs<9>;
	.reg .b32 %r<40>;
	.reg .b64 %rd<40>;
{body}
	ret;
}}
"""
# %r1: the thread's number; %rd1, %rd2, ...: addresses of the tensors for that thread, four bytes each.
START = "mov.u32 %r1, %tid.x;\n"


def written(body: str, n_tensors: int = 1, threads: int = 32, outside: str = "") -> Function:
    parameters = ",\n".join(f"\t.param .u64 .ptr .global .align 1 run_param_{k}" for k in range(n_tensors))
    start = START + "".join(
        f"ld.param.b64 %rd{10 + k}, [run_param_{k}];\nmad.wide.u32 %rd{1 + k}, %r1, 4, %rd{10 + k};\n"
        for k in range(n_tensors)
    )
    return kernel(HEAD.format(parameters=parameters, threads=threads, body=start + body, outside=outside))


def ran(
    body: str, *tensors: torch.Tensor, threads: int = 32, programs: int = 1, shared: int = 0, outside: str = "",
    is_counting: bool = False,
) -> tuple[Counts, Machine]:  # fmt: skip
    """After ``START`` and the addresses of all tensors; these are changed."""
    machine = Machine(written(body, len(tensors), threads, outside), shared, threads)
    arguments = [tensor.data_ptr() for tensor in tensors]
    extents = {tensor.data_ptr(): tensor.view(torch.uint8).numpy() for tensor in tensors}
    return machine.run(programs, arguments, extents, is_counting=is_counting), machine


def computed(instruction: str, *operands: np.ndarray, result: str = "float32", threads: int = 32) -> np.ndarray:
    """What ``instruction`` makes of numbers of 32 bits: its operands are %r2, %r3, ..., its result %r9."""
    tensors = [torch.from_numpy(np.resize(own, threads).view(np.int32).copy()) for own in operands]
    out = torch.full((threads,), UNWRITTEN, dtype=torch.int32)
    loads = "".join(f"ld.global.b32 %r{2 + k}, [%rd{1 + k}];\n" for k in range(len(operands)))
    ran(f"{loads}{instruction};\nst.global.b32 [%rd{1 + len(operands)}], %r9;\n", *tensors, out, threads=threads)
    return out.numpy().view(result)
