"""Hardware counters of the first kernel of a step, by Nsight Compute where the machine has it and lets us."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import partial

from .cases import MAIN, MOST
from .lines import Row
from .settings import Settings, Task
from .tools import find, watch

LIMIT = 60.0
METRICS = (
    "gpu__time_duration.sum",
    "launch__registers_per_thread",
    "launch__occupancy_limit_registers",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "sm__inst_executed_pipe_fma.avg.pct_of_peak_sustained_active",
    "smsp__issue_active.avg.pct_of_peak_sustained_active",
    "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum",
    "smsp__inst_executed.sum",
    "l1tex__data_bank_conflicts_pipe_lsu.sum",
    "smsp__inst_executed_op_local_ld.sum",
    "smsp__inst_executed_op_local_st.sum",
    "dram__bytes.sum",
)
# The generated kernels' name, see point_kernel.py; the first launches meet cold caches.
KERNEL, SKIPPED, COUNTED = "regex:^psinn_loss", 2, 1


def tasks(settings: Settings) -> list[Task]:
    wanted = [(network, points) for points in (MAIN, MOST) for network in ("dense-32", "psi-32", "two-32")]
    return [
        Task(f"{network}@{points}", partial(_count, network, points, settings), limit=LIMIT + 10)
        for network, points in wanted[: 1 if settings.quick else None]
    ]


def _count(network: str, points: int, settings: Settings, done: Mapping[str, Row]) -> Row:
    program = find("ncu")
    if program is None:
        return {"absent": "ncu (Nsight Compute) is not installed"}
    if settings.interpret:
        return {"absent": "there is no GPU code in Triton's interpreter"}
    # The clocks are left as they are.
    command = [program, "--csv", "--page", "raw", "--clock-control", "none", "--kernel-name", KERNEL]
    command += ["--launch-skip", str(SKIPPED), "--launch-count", str(COUNTED), "--metrics", ",".join(METRICS)]
    arguments = ["--networks", network, "--points", str(points), "--evaluations", str(SKIPPED + COUNTED)]
    status, output = watch(command, arguments, LIMIT)
    found = counters(output)
    if not found:
        raise RuntimeError(f"no counters, exit status {status}: {output.strip()[-200:]!r}")
    return {"network": network, "points": points, "counters": found}


def counters(output: str) -> dict[str, float]:
    """From the table that ``ncu --csv --page raw`` prints: names, units, one line per launch."""
    lines = output.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None or len(lines) < start + 3:
        return {}
    names, units, values = list(csv.reader(lines[start : start + 3]))
    found = {}
    for name, unit, value in zip(names, units, values, strict=False):
        if name in METRICS:
            try:
                number = float(value.replace(",", ""))
            except ValueError:  # n/a on this chip
                continue
            found[f"{name} [{unit}]" if unit else name] = number
    return found
