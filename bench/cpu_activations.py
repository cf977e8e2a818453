"""A step with each activation over the same step with tanh; one thread, float32 and float64."""

from __future__ import annotations

from functools import partial

import torch

from psinn_fast.kernels.language.activations import ACTIVATIONS
from psinn_fast.kernels.network.lowering.lowering import lower

from .cases import Case
from .check import Expected, compare
from .peers import TrainStep
from .section import Row, Settings, attempt
from .timing import at_most, cell, spread, time_steps

LAYERS = ((2, 8, 8, 16, 1), (2, 32, 32, 32, 1), (2, 64, 64, 64, 64, 1))
# Of sin, which periodic solutions ask for; the others are reported against 2.
BARS = {"sin": 1.1}
OTHERS = 2.0
FLOATS = {"float32": torch.float32, "float64": torch.float64}


def run(settings: Settings) -> list[Row]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            attempt({"layers": list(layers), "numbers": name}, partial(_measure, layers, dtype, settings))
            for layers in LAYERS[: 1 if settings.quick else None]
            for name, dtype in FLOATS.items()
        ]
    finally:
        torch.set_num_threads(before)


def _measure(layers: tuple[int, ...], dtype: torch.dtype, settings: Settings) -> Row:
    case = Case("", layers, points=settings.points(Case.points))
    steps = {name: _step(case, name, dtype, settings.backend) for name in ACTIVATIONS}
    few = Case("", layers, points=200, edge_points=5)
    for name in ACTIVATIONS:
        compare(
            _step(few, name, dtype, settings.backend), Expected.of(_step(few, name, torch.float64, "reference")), name
        )
    # A round of wide layers takes as long as one of narrow ones.
    block = max(1, settings.own_block * 8 // max(layers))
    times = time_steps(steps, settings.rounds, block)
    return {
        "points": case.points,
        "milliseconds_per_step": {name: spread(seconds * 1e3) for name, seconds in times.items()},
        "ratio": {
            name: at_most(seconds / times["tanh"], BARS.get(name, OTHERS))
            for name, seconds in times.items()
            if name != "tanh"
        },
    }


def _step(case: Case, activation: str, dtype: torch.dtype, backend: str) -> TrainStep:
    net = case.network()
    plan = lower(net.structure.layers, activation)
    return TrainStep(plan, net.theta.to(dtype), case.terms(dtype), backend, case.lr)


def table(rows: list[Row]) -> str:
    names = [name for name in ACTIVATIONS if name != "tanh"]
    lines = [f"{'layers':18}{'numbers':9}{'tanh, ms per step':25}" + "".join(f"{name:36}" for name in names)]
    for row in rows:
        start = f"{'-'.join(map(str, row['layers'])):18}{row['numbers']:9}"
        if "failure" in row:
            lines.append(f"{start}FAILED  {row['failure']}")
        else:
            ratios = "".join(f"{cell(row['ratio'][name], digits=2):36}" for name in names)
            lines.append(f"{start}{cell(row['milliseconds_per_step']['tanh']):25}{ratios}")
    return "\n".join(lines)
