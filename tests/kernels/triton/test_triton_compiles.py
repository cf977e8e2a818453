"""Kernels through Triton's real compiler, for a chip that need not be there: what the interpreter lets pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import on_device  # noqa: F401  (skips this file where there is no Triton)

# In a process of its own: in this one Triton interprets.
SCRIPT = """
import sys
import torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.triton.configuration import by_rule, Configuration
from psinn_fast.kernels.triton.emission import Mode
from psinn_fast.kernels.triton.layout import make_layout
from psinn_fast.kernels.triton.point_kernel import PointKernel, Weights
from psinn_fast.kernels.triton.update import adam, collect
from psinn_fast.problem.pde import PDE
from psinn_fast import Problem
from psinn_fast.problem.conditions import Data, Residual
from psinn_fast.domains import Box
from psinn_fast.networks.structure import Structure

def compile_all(chip, number):
    dtype = {"fp32": torch.float32, "fp64": torch.float64}[number]

    def compiled(name, function, signature, constants, warps):
        values = {(function.arg_names.index(key),): value for key, value in constants.items()}
        source = ASTSource(function, signature, values)
        triton.compile(source, target=GPUTarget("cuda", chip, 32), options={"num_warps": warps})
        print(name)

    sizes = {"Q": 321, "ROW": 700, "SQUARES": 699, "BLOCK": 8, "CHUNK": 256}
    sizes |= {"N_LOSSES": 3, "PADDED": 4, "N_PROGRAMS": 264}
    of_adam = {"HAS_OTHERS": True, "LAYERS": 3, "BLOCKS": 11, "COPIES": 2}
    own = [(adam, of_adam | {"KIND": kind}) for kind in ("l1", "")]
    for function, own in (*own, (collect, {})):
        constants = sizes | own | {"TERMS": 2}
        special = {"rows": "*i32", "owners": "*i32", "state": "*i64", "layers": "*i32", "places": "*i32"}
        types = {key: "constexpr" if key in constants else special.get(key, f"*{number}") for key in function.arg_names}
        compiled(function.__name__, function, types, constants, 4)

    box = Box(t=(0, 1), x=(-1, 1))
    pde = PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, unknown={"nu": 0.1})
    conditions = [Residual(box.random(9, seed=1)), Data(box.random(5, seed=2), u=0.5)]
    programs = [term.program for term in Problem("p", pde, box, conditions).terms(dtype)]
    layout = make_layout(lower(Structure.dense([2, 8, 8, 1]).layers), dtype)
    weights = Weights(layout, torch.zeros(1, dtype=dtype))
    entry = by_rule(f"sm_{chip}", layout, dtype, "ieee")
    configuration = Configuration(entry.block, entry.warps, 4)
    jets = [(ChannelSet.closure(2, [(1, 1), (0, 2)]), None)]
    for mode, groups, n_unknown, need_x in (
        (Mode.JETS, jets, 0, False),
        (Mode.JETS_BACKWARD, jets, 0, True),
        (Mode.LOSS, [(program.channels, program) for program in programs], 1, False),
        (Mode.JACOBIAN, [(programs[0].channels, programs[0])], 1, False),
    ):
        kernel = PointKernel(layout, weights, groups, mode, n_unknown, configuration, need_x)
        compiled(mode.value, kernel.function, *kernel.signature(number), entry.warps)

for chip, number in zip(sys.argv[1::2], sys.argv[2::2]):
    compile_all(int(chip), number)
"""


def test_kernels_compile(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path / "triton"), "PSINN_FAST_CACHE": str(tmp_path / "psinn")}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, "89", "fp32"],
        capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    first = [*["adam"] * 2, "collect", "jets", "jets_backward", "loss", "jacobian"]
    assert result.stdout.split() == first
