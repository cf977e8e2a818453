"""Time of a training step, estimated from what was compiled: nothing here was measured on a chip.

A multiprocessor issues at most one instruction a cycle and scheduler, FMAs at most at the rate of their lanes; too few
warps W in flight to hide latency cost more:

    cycles per tile = max(instructions / schedulers, fma / fma_rate, shared / shared_rate) / efficiency(W)
    efficiency(W)   = min(1, warps per scheduler * ILP / latency)

with a latency of 4 cycles per dependent instruction and ILP = 2 independent ones at any time. The programs that fit
take equal shares of the tiles; prologue and epilogue run once per program. A step has two launches; the second kernel
reads every program's partial gradient. Each floor is what the step would take if nothing else cost anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from .artefact import Artefact

LATENCY, ILP = 4.0, 2.0
SCHEDULERS = 4
# Of one launch inside a CUDA graph, and of bringing up and draining a grid.
LAUNCH_SECONDS = 2.5e-6
REGISTERS, REGISTER_UNIT, WARPS_UNIT = 65536, 256, 4
# What the system keeps of a program's shared memory.
RESERVED_SHARED = 1024


@dataclass(frozen=True)
class Limits:
    """Of a multiprocessor: warps, programs, shared memory in bytes."""

    warps: int
    programs: int
    shared: int


LIMITS = {
    80: Limits(64, 32, 164 * 1024),
    86: Limits(48, 16, 100 * 1024),
    89: Limits(48, 24, 100 * 1024),
    90: Limits(64, 32, 228 * 1024),
    120: Limits(48, 24, 100 * 1024),
}


@dataclass(frozen=True)
class Gpu:
    """``fma``, ``fma64``: warp instructions per cycle and multiprocessor; ``bytes_per_second`` of its memory."""

    name: str
    chip: int
    processors: int
    hertz: float
    fma: float
    fma64: float
    bytes_per_second: float


# From the manufacturer's data sheets: boost clocks, lanes, bandwidth.
GPUS = (
    Gpu("RTX 4080", 89, 76, 2.505e9, 4, 1 / 16, 717e9),
    Gpu("A100 SXM", 80, 108, 1.410e9, 2, 1, 2039e9),
    Gpu("H100 SXM", 90, 132, 1.980e9, 4, 2, 3350e9),
)
POINTS = (10_201, 1_000_000)


def programs_per_processor(made: Artefact, warps: int, chip: int) -> int:
    """How many programs fit on a multiprocessor at once."""
    limits = LIMITS[chip]
    per_warp = -(-made.registers * 32 // REGISTER_UNIT) * REGISTER_UNIT
    by_registers = REGISTERS // per_warp // WARPS_UNIT * WARPS_UNIT // max(warps, 1)
    by_shared = limits.shared // (made.shared + RESERVED_SHARED)
    return min(by_registers, by_shared, limits.warps // warps, limits.programs)


def step(
    made: Artefact, block: int, warps: int, row: int, number_bytes: int, inputs: int, points: int, gpu: Gpu
) -> dict[str, float]:
    """Microseconds of a step and of its floors; ``row``: numbers in a program's partial gradient."""
    resident = programs_per_processor(made, warps, gpu.chip)
    if resident == 0:
        return {}
    tiles = -(-points // block)
    programs = min(tiles, resident * gpu.processors)
    per_processor = -(-programs // gpu.processors)
    in_flight = per_processor * warps
    efficiency = min(1.0, in_flight / SCHEDULERS * ILP / LATENCY)
    loop, rest = _cycles(made.loop, gpu) / efficiency, _cycles(made.rest, gpu) / efficiency
    rounds = -(-tiles // programs)
    busy = (rounds * loop + rest) * per_processor / gpu.hertz
    traffic = (points * inputs + 2 * programs * row) * number_bytes
    arithmetic = made.loop["fma"] / gpu.fma + made.loop["fma64"] / gpu.fma64
    return {
        "microseconds": 1e6 * (busy + 2 * LAUNCH_SECONDS + programs * row * number_bytes / gpu.bytes_per_second),
        "arithmetic_floor": 1e6 * tiles * arithmetic / gpu.processors / gpu.hertz,
        "memory_floor": 1e6 * traffic / gpu.bytes_per_second,
        "launch_floor": 1e6 * 2 * LAUNCH_SECONDS,
    }


def _cycles(counts: dict[str, int], gpu: Gpu) -> float:
    """On one multiprocessor with all schedulers busy. Shared memory: one warp instruction a cycle; MUFU: two cycles."""
    issue = sum(counts.values()) / SCHEDULERS
    by_unit = [counts.get("fma", 0) / gpu.fma, counts.get("fma64", 0) / gpu.fma64, counts.get("shared", 0) / 1.0]
    return max(issue, 2 * counts.get("mufu", 0), *by_unit)
