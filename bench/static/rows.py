"""One row of the table: a case on a chip, with its configuration."""

from __future__ import annotations

from collections import Counter

from bench.emulator.cases import Example, cost
from bench.section import Row, attempt
from psinn_fast.kernels.triton.configuration import Configuration, Entry, entry_for, signature
from psinn_fast.kernels.triton.layout import make_layout
from psinn_fast.networks.mlp import PsiMLP

from .artefact import compiled, point_kernel
from .cases import CASES, QUICK, StaticCase
from .estimate import GPUS, POINTS, cycles, programs_per_processor, step


def row_of(number: int, chip: int, is_quick: bool) -> Row:
    """What was found, or ``failure``. The case goes by its number: some of them no other process could unpickle."""
    case = (QUICK if is_quick else CASES)[number]
    head = {"case": case.name, "problem": case.problem, "precision": case.kind, "chip": f"sm_{chip}"}
    return attempt(head, lambda: measured(case, chip))


def measured(case: StaticCase, chip: int, entry: Entry | None = None) -> Row:
    """With the configuration that the backend takes, or with another one."""
    plan = PsiMLP(case.structure(), seed=0).plan
    layout = make_layout(plan, case.dtype)
    entry = entry or entry_for(f"sm_{chip}", layout, case.dtype, case.precision)
    configuration = Configuration(entry.block, entry.warps, 1, case.precision)
    layout, kernel = point_kernel(plan, [case.term()], configuration)
    made = compiled(kernel, case.dtype, configuration, chip)
    tile = cost(Example(case, chip, entry))
    gpu = next(gpu for gpu in GPUS if gpu.chip == chip)
    of_point = {name: busy / entry.block for name, busy in cycles(made.loop, tile.wavefronts, gpu).items()}
    estimates = {
        f"{gpu.name}, {points:,} points": step(
            made, tile.wavefronts, entry.block, entry.warps, kernel.row, case.dtype.itemsize, plan.d_in, points, gpu
        )
        for points in POINTS
    }
    return {
        "signature": signature(layout, case.dtype, case.precision),
        "block": entry.block,
        "warps": entry.warps,
        "registers": made.registers,
        "spill_bytes": made.stack,
        "shared_bytes": made.shared,
        "programs_per_processor": programs_per_processor(made, entry.warps, chip),
        "compile_seconds": round(made.seconds, 1),
        "instructions_per_tile": _listed(made.loop),
        "instructions_per_program": _listed(made.rest),
        "instructions_per_point": round(sum(made.loop.values()) / entry.block, 1),
        "emulated_wavefronts_per_point": [
            round(passes / entry.block, 1) for passes in (tile.wavefronts, tile.most_wavefronts)
        ],
        "cycles_per_point": {name: round(busy, 1) for name, busy in of_point.items() if busy},
        "binding": max(of_point, key=lambda name: of_point[name]),
        "estimates": estimates,
    }


def _listed(counts: Counter[str]) -> dict[str, int]:
    return {"all": sum(counts.values()), **dict(sorted(counts.items()))}
