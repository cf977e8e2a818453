"""Which share of the machine's multiply-adds our step reaches, and what the second thread brings."""

from __future__ import annotations

from functools import partial

import torch

from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.cpu.extension import chosen_instruction_set, native
from psinn_fast.kernels.language.program import Jet
from psinn_fast.kernels.network.plan import Plan

from .cases import Case
from .peers import TrainStep
from .section import Row, Settings, attempt
from .timing import WARM_UP_STEPS, alternate, cell, keep_freed_memory, spread

WIDTHS = (8, 16, 32, 64)
PEAK_SECONDS = 0.1


def run(settings: Settings) -> list[Row]:
    return [
        attempt({"layers": [2, w, w, w, 1]}, partial(_measure, (2, w, w, w, 1), settings))
        for w in (WIDTHS[:1] if settings.quick else WIDTHS)
    ]


def multiply_adds_per_point(plan: Plan, term: Term) -> int:
    """Of the products only: forward, and backward by inputs and by weights.

    Hidden layers count for every channel, the last for those that the residual reads. Everything else (first layer,
    tanh, residual) counts as nothing, so 100 % cannot be reached.
    """
    _, *hidden, last = plan.layers
    n_read = sum(isinstance(source, Jet) for source in term.program.inputs)
    products = len(term.program.channels) * sum(layer.multiplications for layer in hidden)
    return 3 * (products + n_read * last.multiplications)


def _measure(layers: tuple[int, ...], settings: Settings) -> Row:
    case = Case("peak", layers, points=settings.points(Case.points))
    net, residual = case.network(), case.terms()[0]
    block = settings.own_block
    seconds_of_peak = 0.01 if settings.quick else PEAK_SECONDS
    module = native()
    isa = chosen_instruction_set()
    assert module is not None
    counts = sorted({1, settings.threads})
    steps = {n: TrainStep(net.plan, net.theta, [residual], settings.backend) for n in counts}
    peaks: dict[int, list[float]] = {n: [] for n in counts}

    def prepare(n: int) -> None:
        torch.set_num_threads(n)
        peaks[n].append(module.peak_float32(module.isa(isa), n, seconds_of_peak))
        steps[n].steps(WARM_UP_STEPS)

    keep_freed_memory()
    try:
        times = alternate(
            {str(n): partial(step.steps, block) for n, step in steps.items()},
            settings.rounds,
            {str(n): partial(prepare, n) for n in counts},
        )
    finally:
        torch.set_num_threads(settings.threads)
    per_point = multiply_adds_per_point(net.plan, residual)
    row: Row = {"points": case.points, "instruction_set": isa, "multiply_adds_per_point": per_point, "threads": {}}
    for n in counts:
        # A share within one round: both meet the same clock rate.
        rate = per_point * case.points * block / times[str(n)]
        row["threads"][n] = {
            "milliseconds_per_step": spread(times[str(n)] / block * 1e3),
            "peak_multiply_adds_per_second": spread(peaks[n]),
            "share_of_peak": spread(rate / peaks[n]),
        }
    if len(counts) > 1:
        row["speedup_by_threads"] = spread(times["1"] / times[str(counts[-1])])
    return row


def table(rows: list[Row]) -> str:
    columns = ("ms per step", "peak, GMAC/s", "share of peak, %", "speed-up")
    lines = [f"{'layers':15}{'threads':>8}" + "".join(f"{column:>25}" for column in columns)]
    for row in rows:
        name = "-".join(map(str, row["layers"]))
        if "failure" in row:
            lines.append(f"{name:15}FAILED  {row['failure']}")
            continue
        for n, found in row["threads"].items():
            speedup = cell(row["speedup_by_threads"], digits=2) if int(n) > 1 else ""
            lines.append(
                f"{name:15}{n:>8}{cell(found['milliseconds_per_step']):>25}"
                f"{cell(found['peak_multiply_adds_per_second'], 1e-9, 1):>25}"
                f"{cell(found['share_of_peak'], 100, 1):>25}{speedup:>25}".rstrip()
            )
    return "\n".join(lines)
