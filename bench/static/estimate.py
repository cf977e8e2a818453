"""Time of a training step, estimated from what was compiled: nothing here was measured on a chip.

A tile takes as long as the resource of a multiprocessor that it keeps busy longest, or longer where too few warps W are
in flight to hide latency:

    cycles per tile = max over resources / efficiency(W)
    issue           = instructions / schedulers
    fma, mma, mufu  = instructions / their rates
    shared          = wavefronts: passes through shared memory, as the emulator counts them (bench/emulator)
    efficiency(W)   = min(1, warps per scheduler * ILP / latency)

with a latency of 4 cycles per dependent instruction and ILP = 2 independent ones at any time. The programs that fit
take equal shares of the tiles; prologue and epilogue run once per program. A step has two launches; the second kernel
reads every program's partial gradient. Each floor is what the step would take if nothing else cost anything.

Not in it: the instruction cache, conflicts of registers, what several programs want of shared memory at once, the chain
of dependent loads in the second kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .artefact import Artefact

LATENCY, ILP = 4.0, 2.0
SCHEDULERS = 4
# Special functions: warp instructions per cycle.
MUFU = 1 / 2
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
    """Of a multiprocessor, warp instructions per cycle: ``fma``, ``fma64``, ``mma`` of 16 x 8 x 8 tf32 products,
    ``mma64`` of 8 x 8 x 4 float64 ones.

    ``bytes_per_second``: of its memory.
    """

    name: str
    chip: int
    processors: int
    hertz: float
    fma: float
    fma64: float
    mma: float
    mma64: float
    bytes_per_second: float


# From the manufacturer's data sheets: boost clocks, lanes, bandwidth. GeForce cards multiply tf32 as fast as float32;
# an H100 reaches five eighths of its rate by the instruction that Triton takes for so small products.
GPUS = (
    Gpu("RTX 4080", 89, 76, 2.505e9, 4, 1 / 16, 1 / 8, 1 / 128, 717e9),
    Gpu("A100 SXM", 80, 108, 1.410e9, 2, 1, 1 / 2, 1 / 4, 2039e9),
    Gpu("H100 SXM", 90, 132, 1.980e9, 4, 2, 5 / 8, 1 / 2, 3350e9),
    Gpu("RTX 3080", 86, 68, 1.710e9, 4, 1 / 16, 1 / 8, 1 / 128, 760e9),
    Gpu("RTX 5080", 120, 84, 2.617e9, 4, 1 / 16, 1 / 8, 1 / 128, 960e9),
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
    made: Artefact, wavefronts: int, block: int, warps: int, row: int, number_bytes: int, inputs: int, points: int,
    gpu: Gpu,
) -> dict[str, float]:  # fmt: skip
    """Microseconds of a step and of its floors; ``row``: numbers in a program's partial gradient."""
    resident = programs_per_processor(made, warps, gpu.chip)
    if resident == 0:
        return {}
    tiles = -(-points // block)
    programs = min(tiles, resident * gpu.processors)
    per_processor = -(-programs // gpu.processors)
    in_flight = per_processor * warps
    efficiency = min(1.0, in_flight / SCHEDULERS * ILP / LATENCY)
    loop, rest = (
        max(cycles(counts, passes, gpu).values()) / efficiency
        for counts, passes in ((made.loop, wavefronts), (made.rest, 0))
    )
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


def cycles(counts: Mapping[str, int], wavefronts: int, gpu: Gpu) -> dict[str, float]:
    """For how long each resource of a multiprocessor is busy, all schedulers at work."""
    return {
        "issue": sum(counts.values()) / SCHEDULERS,
        "fma": counts.get("fma", 0) / gpu.fma,
        "fma64": counts.get("fma64", 0) / gpu.fma64,
        "mma": counts.get("mma", 0) / gpu.mma,
        "mma64": counts.get("mma64", 0) / gpu.mma64,
        "mufu": counts.get("mufu", 0) / MUFU,
        "shared": float(wavefronts),
    }
