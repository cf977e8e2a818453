"""Shared memory of kernels that are compiled no further than Triton allots it: ``python -m bench.static.shared``.

For wide layers the rest of a compilation takes minutes. Beside each number stands what it is at least (`least_shared`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

import torch

from bench.environment import environment
from psinn_fast.kernels.language.program import Program
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.triton.ahead import source_of
from psinn_fast.kernels.triton.configuration import Configuration
from psinn_fast.kernels.triton.emission import Mode
from psinn_fast.kernels.triton.layout import Layout, make_layout
from psinn_fast.kernels.triton.point_kernel import PointKernel, Weights
from psinn_fast.kernels.triton.shared_memory import least_shared
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure
from psinn_fast.problems import get_problem

RESULTS = Path(__file__).parents[1] / "results" / "static" / "shared.json"
LAYERS = (
    (2, 8, 8, 16, 1), (2, 16, 16, 1), (2, 32, 32, 32, 1), (2, 32, 32, 32, 32, 1), (2, 64, 64, 1),
    (2, 64, 64, 64, 64, 1), (2, 32, 128, 32, 1), (2, 128, 128, 1), (2, 128, 128, 128, 1),
)  # fmt: skip
# Of published structures, where it is called otherwise; how wide they are made.
PROBLEMS, WIDTH = {"flow": "cylinder"}, 16


def layout_of(row: dict[str, Any]) -> tuple[Layout, Configuration, torch.dtype]:
    """What a row of the table is about."""
    dtype = torch.float64 if row["precision"] == "float64" else torch.float32
    layers = row["layers"]
    structure = published_structure(layers).with_width(WIDTH) if isinstance(layers, str) else Structure.dense(layers)
    precision = "ieee" if dtype == torch.float64 else row["precision"]
    return make_layout(lower(structure.layers), dtype), Configuration(row["block"], row["warps"], 1, precision), dtype


@cache
def program_of(problem: str) -> Program:
    """Of its residual."""
    return get_problem(problem).terms(torch.float32)[0].program


def least(row: dict[str, Any]) -> int:
    """What `least_shared` says."""
    layout, configuration, dtype = layout_of(row)
    return least_shared(layout, row["channels"], Mode(row["mode"]), configuration, dtype, f"sm_{row['chip']}")


def allotted(row: dict[str, Any]) -> int:
    """Bytes that Triton allots."""
    from triton._C.libtriton import ir, nvidia, passes
    from triton.backends.compiler import GPUTarget
    from triton.backends.nvidia.compiler import get_ptx_version_from_options
    from triton.compiler.compiler import make_backend

    layout, configuration, dtype = layout_of(row)
    program, mode = program_of(row["problem"]), Mode(row["mode"])
    group = program.channels, program if mode in (Mode.LOSS, Mode.JACOBIAN) else None
    kernel = PointKernel(layout, Weights(layout, torch.zeros(1, dtype=dtype)), [group], mode, 0, configuration)
    source: Any = source_of(kernel, dtype)
    target = GPUTarget("cuda", row["chip"], 32)
    backend: Any = make_backend(target)
    options = backend.parse_options(kernel.options)
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    functions = backend.get_codegen_implementation(options)
    module = source.make_ir(target, options, functions, backend.get_module_map(), context)
    stages: dict[str, Any] = {}
    backend.add_stages(stages, options, source.language)
    for name in ("ttir", "ttgir"):
        module = stages[name](module, {})
    manager = ir.pass_manager(module.context)
    passes.ttgpuir.add_combine_tensor_select_and_if(manager)
    passes.ttgpuir.add_allocate_warp_groups(manager)
    passes.convert.add_scf_to_cf(manager)
    passes.gluon.add_inliner(manager)
    version = get_ptx_version_from_options(options, row["chip"])
    nvidia.passes.ttgpuir.add_allocate_shared_memory_nv(manager, row["chip"], version)
    manager.run(module, "allot")
    return int(module.get_int_attr("ttg.shared"))


def rows() -> Iterator[dict[str, Any]]:
    """All that is compiled; tensor cores at width 64 take Triton a minute each, and are left out."""

    def row(
        layers: tuple[int, ...] | str, precision: str, block: int, warps: int, chip: int = 89, problem: str = "laplace",
        mode: str = "loss",
    ) -> dict[str, Any]:  # fmt: skip
        own = {"layers": layers, "problem": problem, "mode": mode, "precision": precision}
        return {**own, "block": block, "warps": warps, "chip": chip}

    for precision, layers in product(("ieee", "tf32x3"), LAYERS):
        if precision == "ieee" or 64 not in layers:
            yield row(layers, precision, 16, 4)
    narrow, wide, deep = (2, 32, 32, 32, 1), (2, 128, 128, 1), (2, 128, 128, 128, 1)
    for precision, mode in product(("ieee", "tf32x3"), ("jets", "jets_backward", "jacobian")):
        yield row(wide, precision, 16, 8, mode=mode)
    for layers, precision, block, warps, chip in (
        (narrow, "ieee", 8, 2, 90), (narrow, "ieee", 32, 8, 89), (narrow, "tf32x3", 32, 8, 89),
        (deep, "tf32x3", 16, 8, 90), (deep, "tf32x3", 16, 8, 80), (wide, "tf32x3", 64, 8, 90),
        (wide, "ieee", 16, 8, 120), (wide, "ieee", 8, 8, 89), (deep, "ieee", 4, 8, 89),
        (narrow, "float64", 16, 8, 89), ((2, 64, 64, 1), "float64", 16, 8, 89), (wide, "float64", 16, 8, 89),
        ((2, 16, 16, 1), "float64", 16, 1, 90),
    ):  # fmt: skip
        yield row(layers, precision, block, warps, chip, "burgers")
    for name, precision, block, warps, chip in (
        ("laplace", "ieee", 4, 1, 89), ("laplace", "ieee", 16, 4, 89), ("laplace", "tf32x3", 16, 4, 89),
        ("burgers", "ieee", 16, 4, 89), ("burgers", "tf32x3", 16, 4, 89), ("poisson", "tf32x3", 16, 8, 90),
        ("flow", "ieee", 8, 4, 89),
    ):  # fmt: skip
        yield row(name, precision, block, warps, chip, PROBLEMS.get(name, name))


def main() -> int:
    """Command line; 1 if a kernel needs less than it should."""
    found = []
    for row in rows():
        row["channels"] = len(program_of(row["problem"]).channels)
        row |= {"shared_bytes": allotted(row), "at_least": least(row)}
        print(json.dumps(row), flush=True)
        found.append(row)
    conditions = {"command": "python -m bench.static.shared", **environment(), "triton": metadata.version("triton")}
    RESULTS.write_text(json.dumps({**conditions, "rows": found}, indent=1) + "\n", encoding="utf-8")
    return int(any(row["at_least"] > row["shared_bytes"] for row in found))


if __name__ == "__main__":
    sys.exit(main())
