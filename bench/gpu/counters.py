"""Hardware counters of the first kernel of a step, by Nsight Compute, beside what the emulator counted without a chip.

The emulator's passes through shared memory (`wavefronts`) decide which kernels are shipped; here they are checked. It
counts what a point costs inside the loop over tiles, residual term alone. So two launches are counted, one on twice as
many points, with equally many programs: what they differ in is that.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import partial

import torch

from psinn_fast.kernels.triton.configuration import entry_for
from psinn_fast.kernels.triton.layout import make_layout
from psinn_fast.kernels.triton.naming import LOSS

from .cases import case_of
from .expected import chip, emulated
from .lines import Row
from .settings import Settings, Task
from .tools import find, watch

LIMIT = 60.0
WAVEFRONTS = "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum"
CONFLICTS = "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum"
METRICS = (
    WAVEFRONTS,
    CONFLICTS,
    "gpu__time_duration.sum",
    "launch__registers_per_thread",
    "launch__occupancy_limit_registers",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "sm__inst_executed_pipe_fma.avg.pct_of_peak_sustained_active",
    "smsp__issue_active.avg.pct_of_peak_sustained_active",
    "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum",
    "smsp__inst_executed.sum",
    "smsp__inst_executed_op_local_ld.sum",
    "smsp__inst_executed_op_local_st.sum",
    "dram__bytes.sum",
)
# Whole tiles for every program of the grid, of any size.
POINTS = 1 << 18, 1 << 19
# Those whose emulated counts differ most in kind: FMAs, tied blocks, two symmetries, tensor cores.
KERNELS = (("dense-32", "ieee"), ("psi-32", "ieee"), ("dense-32", "tf32x3"), ("two-32", "ieee"))


def tasks(settings: Settings) -> list[Task]:
    wanted = [("dense-4", "ieee")] if settings.quick else KERNELS
    return [
        Task(f"{network}/{precision}", partial(_count, network, precision, settings), limit=LIMIT + 10)
        for network, precision in wanted
    ]


def _count(network: str, precision: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    program = find("ncu")
    if program is None:
        return {"absent": "ncu (Nsight Compute) is not installed"}
    if settings.interpret:
        return {"absent": "there is no GPU code in Triton's interpreter"}
    # The clocks are left as they are.
    command = [program, "--csv", "--page", "raw", "--print-units", "base", "--clock-control", "none"]
    command += ["--kernel-name", f"regex:^{LOSS}", "--metrics", ",".join(METRICS)]
    arguments = ["--networks", network, "--precision", precision, "--residual", *map(str, POINTS)]
    status, output = watch(command, arguments, LIMIT)
    launches = counters(output)
    if len(launches) != len(POINTS):
        raise RuntimeError(f"{len(launches)} launches counted, exit status {status}: {output.strip()[-200:]!r}")
    row = {"network": network, "precision": precision, "points": list(POINTS), "launches": launches}
    return row | compared(launches, network, precision, settings)


def compared(launches: list[dict[str, float]], network: str, precision: str, settings: Settings) -> Row:
    """Per point, beside the emulated row of the same chip and tiles, with the ratio of wavefronts, or why not."""
    few, many = launches
    row: Row = {
        f"{name}_per_point": (many[metric] - few[metric]) / (POINTS[1] - POINTS[0])
        for name, metric in (("wavefronts", WAVEFRONTS), ("conflicts", CONFLICTS))
        if metric in few and metric in many
    }
    here = chip(settings)
    known = emulated(network, precision, here)
    if known is None:
        return row | {"emulated": f"nothing for {here}"}
    entry = entry_for(here, make_layout(case_of(network, 1, settings).network().plan), torch.float32, precision)
    if (entry.block, entry.warps) != (known["block"], known["warps"]):
        tiles = f"{known['block']} points and {known['warps']} warps, not {entry.block} and {entry.warps}"
        return row | {"emulated": f"of {tiles}"}
    point = known["per_point"]
    row["emulated"] = {name: point[name] for name in ("wavefronts", "most_wavefronts")} | {"commit": known["commit"]}
    if point["wavefronts"] and "wavefronts_per_point" in row:
        row["ratio"] = row["wavefronts_per_point"] / point["wavefronts"]
    return row


def counters(output: str) -> list[dict[str, float]]:
    """From the table that ``ncu --csv --page raw`` prints: names, units, one line per launch."""
    lines = output.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        return []
    names, _, *launches = list(csv.reader(line for line in lines[start:] if line.startswith('"')))
    return [_numbers(dict(zip(names, values, strict=False))) for values in launches]


def _numbers(values: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for name in METRICS:
        try:
            found[name] = float(values[name].replace(",", ""))
        except (KeyError, ValueError):  # n/a on this chip
            continue
    return found
